"""Features of a network that has learnt nothing: seeded random convolutions, a control for the others."""

from __future__ import annotations

import functools
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.metrics.extractors.feature_id import feature_id_of

INPUT_SIZE = 64
WIDTHS = (3, 32, 64, 128, 256)
PREPROCESSING = (
    "random convolutions v1; seed 0; grey repeated to 3; bilinear antialiased to 64x64; 4 of 3x3, stride 2; 256"
)


@functools.cache
def kernels() -> tuple[Tensor, ...]:
    """Return four kernels with He's variance (He 2015, arXiv:1502.01852, eq. 10), from a stream of their own."""
    draw = torch.Generator().manual_seed(0)
    steps = itertools.pairwise(WIDTHS)
    return tuple(
        torch.randn(after, before, 3, 3, generator=draw) * math.sqrt(2 / (9 * before)) for before, after in steps
    )


@functools.cache
def feature_id() -> str:
    """Return the identity of these features: a hash of how they are made."""
    return feature_id_of("random", PREPROCESSING)


def features(images: Tensor) -> Tensor:
    """Return features (N, 256), float32, of images (N, C, H, W) in [0, 1] with 1 or 3 channels."""
    colour = images.expand(-1, 3, -1, -1)
    x = F.interpolate(colour, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False, antialias=True) * 2 - 1
    for kernel in kernels():
        x = F.relu(F.conv2d(x, kernel.to(x.device), stride=2, padding=1))
    return x.mean(dim=(2, 3))
