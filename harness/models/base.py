"""What goes into a pair of networks and what comes out: the contract of built-in and of users' networks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Conditions(NamedTuple):
    """What an image is generated from; what a data set or a generator has no use for is None."""

    source: Tensor | None = None
    """(N, C, H, W) float32 in [-1, 1]: the image to be redrawn."""
    style: Tensor | None = None
    """(N,) int64: the index of the wanted style."""
    latent: Tensor | None = None
    """(N, Z) float32, standard normal."""


class Generated(NamedTuple):
    """A generator's output."""

    image: Tensor
    """(N, C, H, W) in [-1, 1]."""
    code: Tensor | None = None
    """(N, K): the encoder's code of the source, for the constant loss; the generator then has `encode(image)`."""


class Judgement(NamedTuple):
    """A discriminator's output: logits, never probabilities."""

    real: Tensor
    """(N,): one logit per image, larger for images taken for real."""
    category: Tensor | None = None
    """(N, S): logits of the styles."""
