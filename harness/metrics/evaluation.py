"""What is measured: real and generated images of one trial at one step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn


class Judged(Protocol):
    """What a discriminator says of images."""

    @property
    def scores(self) -> Tensor:
        """One logit per image (N,)."""

    @property
    def category(self) -> Tensor | None:
        """Logits of the styles (N, S)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetworks:
    """A trained pair of networks, asked in evaluation mode; images are on [-1, 1] and answers on the CPU."""

    generator: nn.Module
    discriminator: nn.Module
    sources: Tensor | None
    """(N, C, H, W): what the real images are pairs of."""
    styles: Tensor | None
    """(N,) int64: the styles of the real images."""
    draw: Callable[[], Tensor]
    """Draws the measured images once more."""
    redraw: Callable[[Tensor], Tensor] | None
    """Draws from other sources (N, C, H, W); None where there are none."""
    judge: Callable[[Tensor, Tensor | None], Judged]
    """From images of the real items, and their sources, to what the discriminator says."""
    maps: Callable[[Tensor, Tensor | None], Tensor | None]
    """The same to its last map (N, C, h, w); None where it shows none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """The images of one evaluation: the same real ones, in the same order, for every arm and block.

    Raises:
        ValueError: Wrong shape, dtype or range, NaN, no image, or pairs that do not match.
    """

    real: Tensor
    """Held-out real images (N, C, H, W), float32 in [0, 1], with C = 1 or 3."""
    fake: Tensor
    """Generated images (M, C, H, W), float32 in [0, 1]; of N items in the same order where they are pairs."""
    paired: bool = False
    """Each generated image has the real image of the same index as its target."""
    train: Tensor | None = None
    """Training images (T, C, H, W), float32 in [0, 1], for the nearest-neighbour ratio."""
    characters: tuple[str, ...] | None = None
    """The wanted character of each generated image, for the reading network."""
    real_id: str = ""
    """Content hash of the real images: the key of their cached statistics; empty: computed where it is needed."""
    seed: int = 0
    """Seed of all random subsets."""
    networks: TrainedNetworks | None = None
    """The networks themselves, where a trial is measured."""
    cache: Path | None = None
    """Folder for statistics of real images, by content; can be deleted at any time. None: nothing is kept."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where networks of the harness's own compute features; all else is computed on the CPU, as the images are."""

    def __post_init__(self) -> None:
        _check("real", self.real)
        _check("fake", self.fake)
        if self.real.shape[1:] != self.fake.shape[1:]:
            raise ValueError(
                f"images: real {_shape(self.real)} and fake {_shape(self.fake)} differ in more than number"
            )
        if self.paired and len(self.real) != len(self.fake):
            raise ValueError(
                f"pairs: got {len(self.real)} real and {len(self.fake)} fake images, expected equally many"
            )
        if self.train is not None:
            _check("train", self.train)
        if self.characters is not None and len(self.characters) != len(self.fake):
            raise ValueError(
                f"characters: got {len(self.characters)}, expected one for each of {len(self.fake)} images"
            )


def to_unit_range(images: Tensor) -> Tensor:
    """Return images from [-1, 1] as float32 in [0, 1], clamped and rounded to 8 bits, as a saved picture would be.

    Real and generated images go through this one function, so that rounding cannot tell them apart.
    """
    return ((images.detach().to(torch.float32) + 1) * 127.5).clamp(0, 255).round() / 255


def content_id(images: Tensor) -> str:
    """Return a hash of the values and the shape of images, 32 hex digits."""
    array = images.detach().cpu().contiguous().numpy()
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(array.data)
    return digest.hexdigest()[:32]


def _shape(images: Tensor) -> str:
    return " x ".join(str(side) for side in images.shape)


def _check(name: str, images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"{name}: got shape {_shape(images)}, expected N x 1 or 3 x H x W with at least one image")
    if images.dtype != torch.float32:
        raise ValueError(f"{name}: got {images.dtype}, expected float32")
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name}: got values from {low:.4g} to {high:.4g}, expected 0 to 1 (see to_unit_range)")
