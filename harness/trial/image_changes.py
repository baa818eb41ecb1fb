"""What is done to images before the discriminator sees them in training: noise that fades, and DiffAugment.

All of it can be differentiated, and is done to real and generated images alike; every draw is from a named stream.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.models import Conditions
from harness.study.training_settings import InstanceNoiseSettings, TrainingSettings

Draw = Callable[[str], torch.Generator]
"""From a purpose to a CPU generator at the start of its stream."""


def instance_noise(images: Tensor, settings: InstanceNoiseSettings, share: float, draw: Draw) -> Tensor:
    """Add Gaussian noise that shrinks along a line (Sønderby 2016, arXiv:1610.04490, section 3).

    Args:
        images: (N, C, H, W) in [-1, 1].
        settings: Size at the start, and the share of the training over which it shrinks to nothing.
        share: Of the training that is over, in [0, 1).
        draw: Gives the stream.
    """
    sigma = settings.sigma * (max(0.0, 1 - share / settings.fade) if settings.fade else 1.0)
    if not sigma:
        return images
    noise = torch.randn(images.shape, generator=draw("instance-noise"))
    return images + sigma * noise.to(images)


def diff_augment(
    images: Tensor, source: Tensor | None, policy: str, draw: Draw, probability: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Change colours, move and cut out (Zhao 2020, arXiv:2006.10738, section 3 and their code).

    A source is moved and cut as its image is, since both are judged together; colours are the image's alone.

    Args:
        images: (N, C, H, W) in [-1, 1].
        source: The same, or None.
        policy: `color`, `translation`, `cutout` or `all`.
        draw: Gives the streams.
        probability: Of each change of each image, a number in [0, 1] on their device; None makes all of them.
    """
    count = len(images)

    def uniform(purpose: str, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=draw(f"diffaugment/{purpose}")).to(images)

    def changed(
        change: Callable[[Tensor, Tensor], Tensor], purpose: str, draws: Tensor, *given: Tensor
    ) -> list[Tensor]:
        if probability is None:
            return [change(x, draws) for x in given]
        chosen = (uniform(f"{purpose}/chosen") < probability).view(-1, 1, 1, 1)
        return [torch.where(chosen, change(x, draws), x) for x in given]

    if policy in ("color", "all"):
        (images,) = changed(_recoloured, "color", uniform("color", 3), images)
    for purpose, change in (("translation", _moved), ("cutout", _cut)):
        if policy in (purpose, "all"):
            given = [images] if source is None else [images, source]
            images, *rest = changed(change, purpose, uniform(purpose, 2), *given)
            source = rest[0] if rest else None
    return images, source


def _recoloured(x: Tensor, draws: Tensor) -> Tensor:
    """Change brightness by up to 0.5, saturation by a factor of 0 to 2, and contrast by one of 0.5 to 1.5."""
    brightness, saturation, contrast = (draws[:, i].view(-1, 1, 1, 1) for i in range(3))
    x = x + (brightness - 0.5)
    mean = x.mean(1, keepdim=True)
    x = (x - mean) * (2 * saturation) + mean
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _moved(x: Tensor, draws: Tensor, ratio: float = 0.125) -> Tensor:
    """Move each image by up to an eighth of its sides; what comes in is 0, as in the original."""
    height, width = x.shape[-2:]
    up, left = (_whole(draws[:, i], round(size * ratio)) for i, size in enumerate((height, width)))
    rows = torch.arange(height, device=x.device)[None] + up[:, None] + 1
    columns = torch.arange(width, device=x.device)[None] + left[:, None] + 1
    padded = F.pad(x, (1, 1, 1, 1))
    items = torch.arange(len(x), device=x.device)[:, None, None]
    chosen = padded.permute(0, 2, 3, 1)[
        items, rows.clamp(0, height + 1)[:, :, None], columns.clamp(0, width + 1)[:, None, :]
    ]
    return chosen.permute(0, 3, 1, 2)


def _whole(draws: Tensor, most: int) -> Tensor:
    """Return whole numbers from -most to most, each as likely."""
    return (draws * (2 * most + 1)).floor().long().clamp(max=2 * most) - most


def _cut(x: Tensor, draws: Tensor, ratio: float = 0.5) -> Tensor:
    """Set a rectangle of half the sides to 0, at any place, so that it may lie partly outside."""
    mask = torch.ones_like(x[:, :1])
    keep = []
    for i, size in enumerate(x.shape[-2:]):
        side = int(size * ratio + 0.5)
        start = (draws[:, i] * (size + 1 - side % 2)).floor().long() - side // 2
        along = torch.arange(size, device=x.device)[None]
        keep.append((along < start[:, None]) | (along >= start[:, None] + side))
    rows, columns = keep
    outside = rows[:, None, :, None] | columns[:, None, None, :]
    return x * (mask * outside)


def shown(
    images: Tensor,
    conditions: Conditions,
    settings: TrainingSettings,
    share: float,
    kind: str,
    draw: Draw,
    probability: Tensor | None = None,
) -> tuple[Tensor, Conditions]:
    """Return images and conditions as the discriminator sees them at a step of the training.

    Args:
        images: (N, C, H, W) in [-1, 1].
        conditions: Of as many items.
        settings: Of the training.
        share: Of the training that is over, in [0, 1).
        kind: `real` or `fake`: noise is drawn for each; an item's real and generated image are augmented alike.
        draw: Gives the streams.
        probability: Of the changes of `adaptive_augment`, where it has any.
    """
    if settings.diff_augment != "none":
        images, source = diff_augment(images, conditions.source, settings.diff_augment, draw)
        conditions = conditions._replace(source=source)
    if probability is not None:
        policy = settings.adaptive_augment.policy
        images, source = diff_augment(
            images, conditions.source, policy, lambda purpose: draw(f"adaptive/{purpose}"), probability
        )
        conditions = conditions._replace(source=source)
    if settings.instance_noise.sigma:
        images = instance_noise(images, settings.instance_noise, share, lambda purpose: draw(f"{purpose}/{kind}"))
    return images, conditions
