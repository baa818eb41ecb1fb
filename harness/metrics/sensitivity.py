"""What a metric sees: a ladder of known damages to a study's own held-out images, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from harness.errors import DataError
from harness.metrics.array_cache import kept
from harness.metrics.catalogue import METRICS, metric_named
from harness.metrics.evaluation import Evaluation, content_id
from harness.metrics.features import extractor_named
from harness.metrics.ladder import Rung
from harness.metrics.measuring import measure
from harness.randomness import stream

GRAIN = 2 / 255
"""Height of the grain: nobody sees it."""
BLUR = 1.0
"""Standard deviation of the blur in pixels."""
VERSION = 1
"""Raised whenever a damage is made otherwise."""


def grain(images: Tensor, _others: Tensor, draw: torch.Generator) -> Tensor:
    """Return each pixel 2 of 255 tones lighter or darker."""
    signs = torch.randint(0, 2, images.shape, generator=draw) * 2 - 1
    return images + GRAIN * signs


def shift(images: Tensor, _others: Tensor, _draw: torch.Generator) -> Tensor:
    """Return images moved by one pixel to the right, with the border repeated."""
    return F.pad(images, (1, 0, 0, 0), mode="replicate")[..., :-1]


def blur(images: Tensor, _others: Tensor, _draw: torch.Generator) -> Tensor:
    """Return images under a Gaussian of one pixel."""
    softened = ndimage.gaussian_filter(images.double().numpy(), (0, 0, BLUR, BLUR), mode="nearest")
    return torch.from_numpy(softened).float()


def erased(images: Tensor, _others: Tensor, draw: torch.Generator) -> Tensor:
    """Return images with a piece of ink replaced by background: a square of a quarter of the side around some ink.

    Background is the median of the image's outermost pixels; ink is what differs from it most.
    """
    damaged = images.clone()
    half = max(1, images.shape[-1] // 8)
    for image in damaged:
        rim = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], dim=1)
        paper = rim.median(dim=1).values[:, None, None]
        contrast = (image - paper).abs().amax(dim=0)
        places = (contrast >= 0.5 * contrast.max()).nonzero()
        y, x = places[int(torch.randint(len(places), (1,), generator=draw))].tolist()
        image[:, max(0, y - half) : y + half, max(0, x - half) : x + half] = paper
    return damaged


def some_replaced(images: Tensor, others: Tensor, draw: torch.Generator) -> Tensor:
    """Return images of which every tenth, at random, is another one."""
    chosen = torch.randperm(len(images), generator=draw)[: max(1, round(len(images) / 10))]
    damaged = images.clone()
    damaged[chosen] = others[chosen]
    return damaged


def all_replaced(_images: Tensor, others: Tensor, _draw: torch.Generator) -> Tensor:
    """Return others altogether."""
    return others


def one_for_all(images: Tensor, _others: Tensor, draw: torch.Generator) -> Tensor:
    """Return one of the images as often as there are any."""
    chosen = int(torch.randint(len(images), (1,), generator=draw))
    return images[chosen : chosen + 1].expand_as(images).contiguous()


DAMAGES: Mapping[str, Callable[[Tensor, Tensor, torch.Generator], Tensor]] = {
    "grain of ±2/255": grain,
    "shifted by 1 px": shift,
    "blurred by 1 px": blur,
    "a stroke erased": erased,
    "a tenth replaced": some_replaced,
    "all replaced": all_replaced,
    "one for all": one_for_all,
}
"""From what nobody sees to what nobody misses; others are images that were not held out: other letters, other faces."""


def damaged(name: str, images: Tensor, others: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [0, 1] with a damage of `DAMAGES`, in 8 bits as a picture would be saved.

    Args:
        name: Of the damage.
        images: The undamaged ones.
        others: At least one image of the same kind that is not among them.
    """
    repeated = others[torch.arange(len(images)) % len(others)]
    changed = DAMAGES[name](images, repeated, stream(content_id(images), f"damage/{name}"))
    return (changed.clamp(0, 1) * 255).round() / 255


def ladder(names: Sequence[str], evaluation: Evaluation) -> tuple[Rung, ...]:
    """Return what each damage costs by each metric, by metric and then in the order of `DAMAGES`.

    Metrics that ask the networks themselves, or are worked out of stored rows, have no ladder and are left out.

    Args:
        names: Of metrics.
        evaluation: Its real images are damaged; its training images are the others. Kept in its cache by content.

    Raises:
        DataError: There are no training images.
    """
    if evaluation.train is None:
        raise DataError("sensitivity: there are no training images to replace held-out ones by")
    real, others = evaluation.real, evaluation.train
    measured = [n for n in names if (m := metric_named(n)).derivation is None and m.needs != "networks"]
    plain = replace(evaluation, networks=None)
    rungs: list[Rung] = []
    for name in measured:
        images = {"": real, **{damage: damaged(damage, real, others) for damage in DAMAGES}}

        def values(name: str = name, images: dict[str, Tensor] = images) -> dict[str, np.ndarray]:
            found = [measure([name], replace(plain, fake=fake))[0] for fake in images.values()]
            return {
                "value": np.array([math.nan if m.value is None else m.value for m in found]),
                "floor": np.array([math.nan if m.floor is None else m.floor for m in found]),
            }

        features = metric_named(name).features
        identity = extractor_named(features).feature_id if features else None
        images_id = (content_id(real), content_id(others), evaluation.characters, evaluation.paired)
        # A user's own metric may change without its name, so its values are not kept.
        folder = evaluation.cache if name in METRICS else None
        stored = kept(folder, (f"ladder {VERSION}", name, identity, *images_id), values)
        numbers = [None if math.isnan(number) else float(number) for number in stored["value"]]
        floors = [None if math.isnan(number) else float(number) for number in stored["floor"]]
        rungs += [
            Rung(name, damage, value, numbers[0], floor)
            for damage, value, floor in zip(DAMAGES, numbers[1:], floors[1:], strict=True)
        ]
    return tuple(rungs)
