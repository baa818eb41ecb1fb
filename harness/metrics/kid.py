"""Kernel distance: the unbiased squared maximum mean discrepancy between features, with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.metrics.task import FeatureSets
from harness.metrics.value import Value

WHOLE = 5000
"""Up to this many images on a side, all pairs are used; above, blocks of at most this many."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Squared maximum mean discrepancy with its sampling errors."""

    value: float
    standard_error: float | None
    """Over fresh images on both sides (fresh pairs, where they are pairs)."""
    fake_sd: float | None
    """Over fresh generated images (fresh pairs, where they are pairs)."""


def discrepancy(real: Tensor, fake: Tensor, *, paired: bool = False) -> Discrepancy:
    """Return the unbiased squared maximum mean discrepancy of features (N, d) and (M, d), lower is better.

    The kernel is (x·y / d + 1)³ (Binkowski 2018, arXiv:1801.01401, section 4); the estimate is the U-statistic over all
    pairs (Gretton 2012, eq. 3), which uses no random subsets; errors are those of the jackknife over images
    (up to 1.5 times too large where the distributions are equal, where the estimate is degenerate).

    Args:
        real: Features of real images.
        fake: Features of generated images.
        paired: Item i of both belongs together, so that the jackknife leaves out both at once.

    Raises:
        ValueError: Fewer than two images on one side, or different numbers of features.
    """
    n, m = len(real), len(fake)
    if min(n, m) < 2 or real.shape[1] != fake.shape[1]:
        shapes = f"{tuple(real.shape)} and {tuple(fake.shape)}"
        raise ValueError(f"kernel distance: got features {shapes}, expected (N, d) and (M, d) with N and M at least 2")
    x, y = real.to(torch.float64), fake.to(torch.float64)
    within_real, within_fake, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    rows_real = within_real.sum(dim=1) - within_real.diagonal()
    rows_fake = within_fake.sum(dim=1) - within_fake.diagonal()
    to_fake, to_real = across.sum(dim=1), across.sum(dim=0)
    sums = (rows_real.sum(), rows_fake.sum(), to_fake.sum())
    value = float(_combined(*sums, n, m))
    if min(n, m) < 3:
        return Discrepancy(value, None, None)
    if paired:
        left = sums[2] - to_fake - to_real + across.diagonal()
        without = _combined(sums[0] - 2 * rows_real, sums[1] - 2 * rows_fake, left, n - 1, m - 1)
        error = _jackknifed(without)
        return Discrepancy(value, error, error)
    from_real = _jackknifed(_combined(sums[0] - 2 * rows_real, sums[1], sums[2] - to_fake, n - 1, m))
    from_fake = _jackknifed(_combined(sums[0], sums[1] - 2 * rows_fake, sums[2] - to_real, n, m - 1))
    return Discrepancy(value, math.hypot(from_real, from_fake), from_fake)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow_(3)


def _combined(real: Tensor, fake: Tensor, across: Tensor, n: int, m: int) -> Tensor:
    return real / (n * (n - 1)) + fake / (m * (m - 1)) - 2 * across / (n * m)


def _jackknifed(without: Tensor) -> float:
    count = len(without)
    return math.sqrt((count - 1) / count * float((without - without.mean()).square().sum()))


def in_blocks(real: Tensor, fake: Tensor, seed: int) -> Discrepancy:
    """Return the mean discrepancy over disjoint random blocks that use every image once, for sets too large for one."""
    count = -(-max(len(real), len(fake)) // WHOLE)
    rng = np.random.Generator(np.random.PCG64([seed, len(real), len(fake)]))
    parts = [np.array_split(rng.permutation(len(side)), count) for side in (real, fake)]
    values = np.array([discrepancy(real[i], fake[j]).value for i, j in zip(*parts, strict=True)])
    return Discrepancy(float(values.mean()), float(values.std(ddof=1) / math.sqrt(count)), None)


def kid(sets: FeatureSets) -> Value:
    """Return the unbiased kernel distance of real and generated features, lower is better, with its standard error."""
    sets.require(2)
    real, fake = sets.real.values, sets.fake
    if max(len(real), len(fake)) > WHOLE:
        found = in_blocks(real, fake, sets.seed)
    else:
        found = discrepancy(real, fake, paired=sets.paired)
    return Value(value=found.value, floor=0.0, standard_error=found.standard_error, evaluation_sd=found.fake_sd)
