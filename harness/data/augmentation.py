"""Augmentation of training batches; every draw comes from the stream that it is given."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

ENLARGED = 1.05
"""Largest enlargement of a pair (zi2zi-pytorch @0e9f3dd, utils/bytesIO.py)."""
BLURRED = 0.2
"""Probability of a blurred pair."""
RADII = (1.0, 1.5, 2.0)
"""Standard deviations of the blur in pixels, at 256 px."""


def augment(
    source: Tensor | None, target: Tensor, *, mode: Literal["none", "zi2zi", "flip"], generator: torch.Generator
) -> tuple[Tensor | None, Tensor]:
    """Return changed copies of a batch; source and target change alike.

    The number of draws depends on N alone, so the stream stands at the same place afterwards whatever was drawn.

    Args:
        source: (N, C, S, S) in [-1, 1], or None.
        target: (N, C, S, S) in [-1, 1], on any device.
        mode: `zi2zi` enlarges each pair by up to 5 %, crops it back at random and blurs one in five; `flip` mirrors
            half of the images; `none` changes nothing and draws nothing.
        generator: The stream of all draws, on the CPU.
    """
    if mode == "none":
        return source, target
    channels = target.shape[1]
    both = target if source is None else torch.cat([source, target], 1)
    both = _flip(both, generator) if mode == "flip" else _blur(_enlarge(both, generator), generator)
    return (None, both) if source is None else (both[:, :channels], both[:, channels:])


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(3), images)


def _enlarge(images: Tensor, generator: torch.Generator) -> Tensor:
    """Enlarge each image and cut a piece of the old size out of it at random.

    Bicubic, since bilinear sampling would train on softer letters than those that are held out.
    """
    draws = torch.rand(len(images), 3, generator=generator)
    scale = 1 + (ENLARGED - 1) * draws[:, 0]
    room = 1 - 1 / scale
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, :, 2] = (2 * draws[:, 1:] - 1) * room[:, None]
    grid = F.affine_grid(theta.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(-1, 1)


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur one image in five; the radius is drawn for each."""
    chosen = torch.rand(len(images), generator=generator) < BLURRED
    radius = torch.tensor(RADII)[torch.randint(len(RADII), (len(images),), generator=generator)]
    if not chosen.any():
        return images
    sigma = (radius * images.shape[-1] / 256)[chosen]
    reach = int(3 * max(RADII) * images.shape[-1] / 256) + 1
    x = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (x / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(images.shape[1], 0).to(images)
    part = images[chosen.to(images.device)]
    flat = F.pad(part.reshape(1, -1, *part.shape[2:]), (reach,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=len(kernel))
    changed = images.clone()
    changed[chosen.to(images.device)] = flat.view_as(part)
    return changed
