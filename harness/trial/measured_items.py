"""What every trial of a study is measured on: which held-out items, in which order, and from which latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.data import Dataset, to_range
from harness.errors import HarnessError
from harness.metrics import Evaluation, to_unit_range
from harness.metrics.evaluation import TrainedNetworks
from harness.models import Conditions
from harness.randomness import stream
from harness.study.measure_settings import MeasureSettings

CPU = torch.device("cpu")


@dataclass(frozen=True)
class MeasuredItems:
    """The items that every trial of a study is measured on."""

    conditions: Conditions
    """What images are generated from: of each measured item, or of as many samples as the study asks for."""
    real: Tensor
    """(N, C, S, S) in [-1, 1]."""
    of_real: Conditions
    """Sources and styles of the real images."""
    labels: tuple[str, ...]
    """Of each generated image."""
    train: Tensor
    """Training images in [-1, 1], as many at the most."""


def measured_items(data: Dataset, plan: MeasureSettings, latent: int | None) -> MeasuredItems:
    """Return the held-out items that every trial on this data is measured on, in an order drawn once for the data.

    Args:
        data: The trial's.
        plan: What the study measures.
        latent: Numbers in a latent of the generator; None for generators that redraw a source.

    Raises:
        HarnessError: Samples are asked for beyond the held-out items, of a generator that redraws these.
    """
    held = data.heldout
    chosen = torch.randperm(len(held), generator=stream(data.draws, "measure/items"))[: plan.images]
    samples = plan.generated or len(chosen)
    if data.sourced and samples != len(chosen):
        raise HarnessError("measure.generated: each held-out source gives one generated image; leave it out")
    of_samples = chosen[torch.arange(samples) % len(chosen)]
    conditions = Conditions(
        source=None if held.source is None else to_range(held.source[of_samples]),
        style=held.style[of_samples],
        latent=torch.randn(samples, latent, generator=stream(data.draws, "measure/latent")) if latent else None,
    )
    some = torch.randperm(len(data.train), generator=stream(data.draws, "measure/train"))[: plan.images]
    return MeasuredItems(
        conditions,
        to_range(held.target[chosen]),
        Conditions(None if held.source is None else to_range(held.source[chosen]), held.style[chosen]),
        tuple(held.labels[i] for i in of_samples.tolist()),
        to_range(data.train.target[some]),
    )


def evaluation_of(
    images: Tensor,
    items: MeasuredItems,
    data: Dataset,
    cache: Path | None,
    networks: TrainedNetworks | None = None,
    device: torch.device = CPU,
) -> Evaluation:
    """Return what metrics are computed from.

    Args:
        images: (N, C, S, S) in [-1, 1], generated from `items.conditions`.
        items: What is measured.
        data: Where the items come from.
        cache: Folder of real statistics, by content.
        networks: Those that made the images, where metrics may ask them.
        device: Where features are computed.
    """
    return Evaluation(
        real=to_unit_range(items.real),
        fake=to_unit_range(images),
        paired=data.paired,
        train=to_unit_range(items.train),
        characters=items.labels,
        real_id=f"{data.draws}-{len(items.real)}",
        seed=0,
        networks=networks,
        cache=cache,
        device=device,
    )
