"""What a metric gives before anything is learned: values that a trained network must beat to have learned at all."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from harness.data import Dataset, load, to_range
from harness.metrics import measure
from harness.models import build_pair, place
from harness.results.schema import References
from harness.study.measure_settings import MeasureSettings
from harness.study.settings import TrialSettings
from harness.trial.evaluated_networks import generate
from harness.trial.measured_items import MeasuredItems, evaluation_of, measured_items


def references(
    settings: TrialSettings, plan: MeasureSettings, *, streams: str, cache: Path, device: str = "cpu"
) -> References | None:
    """Return what the metric of a study's health gives for networks that learned nothing; None where it has none.

    Args:
        settings: The baseline's.
        plan: What the study measures.
        streams: Key of the streams of the block whose initial weights are measured; other blocks differ little.
        cache: Folder of rendered data and real statistics, by content.
        device: A torch device.
    """
    if plan.health_metric is None:
        return None
    data = load(settings.data, cache)
    items = measured_items(data, plan, settings.latent)
    pair = build_pair(settings, styles=len(data.styles), block=streams)
    generator = place(pair.generator, channels_last=settings.training.channels_last, device=device)
    drawn = {"untrained": generate(generator, items.conditions, torch.device(device))}
    if data.paired:
        drawn["mean_image"] = mean_images(data, items)
    values: dict[str, float | None] = {}
    for name, images in drawn.items():
        if images.isfinite().all():
            (measured,) = measure([plan.health_metric], evaluation_of(images, items, data, cache))
            values[name] = measured.value
    return References(plan.health_metric, values.get("untrained"), values.get("mean_image"))


def mean_images(data: Dataset, items: MeasuredItems) -> Tensor:
    """Return for each measured item the mean training image of its style: what a generator blind to its source draws.

    Returns:
        (N, C, S, S) in [-1, 1].
    """
    target, style = to_range(data.train.target), data.train.style
    every = target.mean(dim=0)
    means = [target[style == k].mean(dim=0) if (style == k).any() else every for k in range(len(data.styles))]
    return torch.stack(means)[items.conditions.style]
