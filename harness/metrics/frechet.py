"""Fréchet distance between Gaussians fitted to features, exact by singular values, with its floor, bias and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from harness.metrics.feature_statistics import FeatureStatistics
from harness.metrics.task import FeatureSets
from harness.metrics.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

BIAS_FACTOR = 4
"""The first-order bias is reported from this many images per feature on; there the eigenvalues of one
sample tell 0.88 to 1.0 of what fresh samples of Gaussians show, at one image per feature 0.6 to 0.9."""
MOST_PULLS = 10_000
"""Images up to which the evaluation noise of a distance is computed."""
SPLITS = 8
"""Random halvings over which a floor is averaged, fewer above 500 images, where it varies less."""


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Return |mean difference|² + tr(A + B - 2 (A B)^½), ddof = 1; lower is better.

    The definition is Heusel 2017, arXiv:1706.08500, eq. 6.

    The trace of (A B)^½ is the nuclear norm of R_a R_bᵀ / sqrt((n - 1)(m - 1)) for roots R of the two scatters
    (Mathiasen & Hvilshøj 2020, arXiv:2009.14075, section 3). The forms by `scipy.linalg.sqrtm` or by eigenvalues of
    the d x d product take square roots of the rounding noise, some 1e-16 of the largest eigenvalue, in each direction
    without data: with fewer images than features these add up to 1e-7 to 1e-6 of the result, always making the
    distance too small. Singular values are exact to rounding there, and 0 for equal sets.

    Raises:
        ValueError: Different numbers of features, or fewer than two images on one side.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"frechet distance: got {len(a.mean)} and {len(b.mean)} features, expected equally many")
    if min(a.count, b.count) < 2:
        raise ValueError(f"frechet distance: got {a.count} and {b.count} images, expected at least 2 on each side")
    small, large = sorted((a, b), key=lambda s: len(s.root))
    overlap = float(torch.linalg.svdvals(large.root @ small.root.T).sum())
    return _assembled(a, b, overlap)


def _assembled(a: FeatureStatistics, b: FeatureStatistics, overlap: float) -> float:
    spread = a.trace() + b.trace()
    shift = float((a.mean - b.mean).square().sum())
    raw = shift + spread - 2 * overlap / math.sqrt((a.count - 1) * (b.count - 1))
    if raw < -1e-8 * spread:
        raise ArithmeticError(f"frechet distance: {raw} is below 0 by more than rounding")
    return max(raw, 0.0)


def first_order_bias(eigenvalues: Tensor, n: int, m: int) -> float:
    """Return by how much the distance of n to m images exceeds that of the two distributions, when these are equal.

    (1/n + 1/m) [tr S + ½ Σ_ij l_i l_j (1 + δ_ij) / (l_i + l_j)] for the eigenvalues l of the covariance S of a
    Gaussian, from the second-order expansion of the distance in the sampling errors of mean and covariance.
    For l = 1 and n = m it is d (d + 5) / (2 n). Holds for n and m well above the number of features.

    Args:
        eigenvalues: Of the covariance, (d,), not negative.
        n: Images on one side.
        m: Images on the other side.
    """
    values = eigenvalues[eigenvalues > 0]
    pairs = values[:, None] * values[None, :] / (values[:, None] + values[None, :])
    return float((1 / n + 1 / m) * (values.sum() + (pairs.sum() + pairs.diagonal().sum()) / 2))


def extrapolated_floor(
    count: int, n: int, m: int, between: Callable[[np.ndarray, np.ndarray], float], seed: int
) -> float | None:
    """Return the distance that n images of a set of ``count`` would have from m others of the same kind.

    Two disjoint sets as large as the whole do not exist, so the distance is taken between disjoint halves and between
    disjoint quarters and continued as a power of the (harmonic mean) count; where n and m are small enough, it is
    taken directly. For samples of known Gaussians the continued floor came to 0.8 to 1.2 times the true one.

    Args:
        count: Images that there are.
        n: Images on one side of the distance that the floor belongs to.
        m: Images on its other side.
        between: Distance of the images with these two arrays of indices.
        seed: Seed of the random halvings.

    Returns:
        The floor, or None with fewer than 8 images.
    """
    if count < 8:
        return None
    wanted = 2 / (1 / n + 1 / m)
    rng = np.random.Generator(np.random.PCG64([seed, count]))
    large = min(count // 2, max(2, round(wanted)))
    sizes = [large] if wanted <= count // 2 else [large, large // 2]
    splits = max(1, min(SPLITS, 500 * SPLITS // count))
    orders = [rng.permutation(count) for _ in range(splits)]
    means = [float(np.mean([between(order[:size], order[size : 2 * size]) for order in orders])) for size in sizes]
    if len(means) == 1 or min(means) <= 0:
        return means[0]
    power = np.log(means[1] / means[0]) / np.log(sizes[0] / sizes[1])
    return means[0] * float((sizes[0] / wanted) ** power)


def influences(real: FeatureStatistics, features: Tensor) -> Tensor:
    """Return how strongly each generated image pulls at the distance (N,), to first order; they average to about 0.

    The derivative of the distance to the weight of one image; of the nuclear norm of C it is the polar factor of C.
    Their standard deviation over the root of their number estimates that of the distance over fresh samples.
    In float32, which is faster than float64: two digits of a noise are enough.
    """
    x = features.to(torch.float64)
    gap = (x.mean(dim=0) - real.mean).float()
    centred = (x - x.mean(dim=0)).float()
    shift = 2 * centred @ gap
    cross = real.root.float() @ centred.T / math.sqrt((real.count - 1) * (len(x) - 1))
    if len(x) <= x.shape[1]:
        values, vectors = torch.linalg.eigh(cross.T @ cross)
        own = (vectors.square() * values.clamp(min=0).sqrt()).sum(dim=1)
    else:
        turned, _ = torch.linalg.qr(centred)
        left, singular, _ = torch.linalg.svd(turned.T @ cross.T, full_matrices=False)
        own = ((turned @ left).square() * singular).sum(dim=1)
    pull: Tensor = shift + centred.square().sum(dim=1) - own * len(x)
    return pull - pull.mean()


def fid(sets: FeatureSets) -> Value:
    """Return the Fréchet distance of real and generated features, lower is better, with floor, bias and noise."""
    sets.require(2)
    real, fake = sets.real, FeatureStatistics.of(sets.fake)
    n, m = len(real.values), fake.count
    holds = min(n, m) >= BIAS_FACTOR * len(fake.mean)
    return Value(
        value=frechet_distance(real.statistics, fake),
        floor=real.number(f"floor 1 {n} {m} {sets.seed}", lambda: _floor(real.values, n, m, sets.seed)),
        bias=real.number(f"bias 1 {n} {m}", lambda: first_order_bias(real.statistics.spectrum(), n, m))
        if holds
        else None,
        evaluation_sd=_noise(sets, fake) if max(n, m) <= MOST_PULLS else None,
    )


def _noise(sets: FeatureSets, fake: FeatureStatistics) -> float:
    pulls = influences(sets.real.statistics, sets.fake)
    if sets.paired:
        pulls = pulls + influences(fake, sets.real.values)
    return float(pulls.std() / math.sqrt(len(pulls)))


def _floor(values: Tensor, n: int, m: int, seed: int) -> float | None:
    def between(left: np.ndarray, right: np.ndarray) -> float:
        return frechet_distance(FeatureStatistics.of(values[left]), FeatureStatistics.of(values[right]))

    return extrapolated_floor(len(values), n, m, between, seed)
