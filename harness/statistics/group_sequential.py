"""Looks: boundaries on a schedule, p values over all looks, and intervals that hold at any number of blocks."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.errors import DataError
from harness.statistics.paired_blocks import Floats
from harness.statistics.paired_tests import Summary

Sides = Literal[1, 2]

SHAPE = 0.25
"""Wang & Tsiatis' shape: 0 is O'Brien and Fleming's boundary, 0.5 is Pocock's (Wang & Tsiatis 1987)."""
NULL_DRAWS = 400_000
"""Simulated null studies for a boundary; the error of an alpha of 0.05 is 0.0003."""
NULL_SEED = 19_871_943
MIXTURE = 1.0
"""Prior variance of the standardised effect in the e-process (g in methods of Lai 1976)."""


MOST_LOOKS, LAST_LOOK = 100, 1_000_000


def check_looks(looks: Sequence[int]) -> tuple[int, ...]:
    """Return a schedule as a tuple.

    Raises:
        DataError: It is empty, does not grow, starts below two blocks, or goes beyond `MOST_LOOKS` or `LAST_LOOK`.
    """
    schedule = tuple(int(look) for look in looks)
    grows = all(a < b for a, b in itertools.pairwise(schedule))
    if not schedule or schedule[0] < 2 or not grows or schedule != tuple(looks):
        raise DataError(f"looks: {list(looks)} found; growing whole numbers from 2 up are needed, such as 6, 9, 12")
    if len(schedule) > MOST_LOOKS or schedule[-1] > LAST_LOOK:
        raise DataError(
            f"looks: {len(schedule)}, the last {schedule[-1]}; at most {MOST_LOOKS} up to block {LAST_LOOK} are allowed"
        )
    return schedule


def parse_looks(looks: str | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return a schedule that a person wrote, ``"6,9,12"``, as numbers; None stays None.

    Raises:
        DataError: A part is not a whole number.
    """
    if looks is None:
        return None
    parts = looks.replace(",", " ").split() if isinstance(looks, str) else looks
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        raise DataError(f"looks: {looks!r} found; whole numbers are needed, such as 6,9,12") from None


def normal_scores(t: ArrayLike, df: ArrayLike) -> Floats:
    """Return the z that has the same one-sided p value as t, with its sign."""
    t = np.asarray(t, float)
    scores = -special.ndtri(np.clip(special.stdtr(df, -np.abs(t)), 1e-300, 0.5))
    return np.asarray(np.copysign(scores, t))


def weights(looks: tuple[int, ...], shape: float = SHAPE) -> Floats:
    """Return what normal scores are multiplied with so that one constant bounds all looks, shape (looks,)."""
    return np.asarray((np.array(looks) / looks[-1]) ** (0.5 - shape))


def draw_statistics(
    looks: tuple[int, ...], draws: int, effect: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw means and standard deviations of normal differences at each look, each of shape (draws, looks).

    Draws the sums and sums of squares of each stretch between looks, which is exact and does not grow with the blocks.

    Args:
        looks: Numbers of blocks.
        draws: Simulated studies.
        effect: True mean difference in standard deviations of the differences.
        rng: Source of randomness.
    """
    steps = np.diff((0, *looks))
    noise = rng.standard_normal((draws, len(looks))) * np.sqrt(steps)
    within = np.where(steps > 1, 2 * rng.standard_gamma(np.maximum(steps - 1, 1) / 2, (draws, len(looks))), 0.0)
    sums = noise + effect * steps
    total = np.cumsum(sums, axis=1)
    squares = np.cumsum(within + sums**2 / steps, axis=1)
    n = np.array(looks)
    mean = total / n
    return mean, np.sqrt(np.maximum(squares - n * mean**2, 0.0) / (n - 1))


@functools.lru_cache(maxsize=2)
def null_scores(looks: tuple[int, ...], draws: int = NULL_DRAWS) -> Floats:
    """Return normal scores of the paired t statistic at each look of studies without a difference, (draws, looks)."""
    mean, sd = draw_statistics(looks, draws, 0.0, np.random.default_rng(NULL_SEED))
    n = np.array(looks)
    return normal_scores(mean / sd * np.sqrt(n), n - 1)


@functools.lru_cache(maxsize=16)
def _largest(looks: tuple[int, ...], shape: float, sides: Sides) -> Floats:
    """Return the sorted largest weighted score over looks: of its size, or of either side on its own."""
    scores = null_scores(looks) * weights(looks, shape)
    if sides == 2:
        return np.sort(np.abs(scores).max(axis=1))
    return np.sort(np.concatenate([scores.max(axis=1), (-scores).max(axis=1)]))


def boundaries(looks: Sequence[int], alpha: float = 0.05, shape: float = SHAPE, sides: Sides = 2) -> tuple[float, ...]:
    """Return the nominal p value at each look for a type I error of `alpha` over all looks.

    Wang and Tsiatis' family (Biometrics 43, 1987): |z_k| >= c (n_k / n_last)^(shape - 1/2), with c calibrated for this
    schedule on paired t statistics of normal differences by 400,000 simulated null studies with a fixed seed.

    Args:
        looks: Numbers of blocks, growing, from 2 up.
        alpha: Type I error over all looks, in (0, 1).
        shape: 0.25 by default; 0.5 gives equal nominal p values.
        sides: 2 for a difference either way; 1 for one of the two one-sided tests of equivalence.

    Raises:
        DataError: The schedule is no schedule.
    """
    schedule = check_looks(looks)
    if len(schedule) == 1:
        return (alpha,)
    null = _largest(schedule, shape, sides)
    place = (1 - alpha) * (len(null) - 1)
    below, above = null[math.floor(place)], null[math.ceil(place)]
    bound = float(below + (above - below) * (place % 1))  # null is sorted: no need to look for the quantile
    return tuple(float(sides * special.ndtr(-bound / w)) for w in weights(schedule, shape))


def sequential_p(looks: tuple[int, ...], p_values: ArrayLike, shape: float = SHAPE, sides: Sides = 2) -> Floats:
    """Return after each look the smallest overall alpha at which one of the looks so far rejects.

    Args:
        looks: The whole schedule.
        p_values: Nominal p values at the looks so far, along the last axis; NaN for a look without a test.
        shape: Shape of the boundary.
        sides: As in `boundaries`.

    Returns:
        The shape of `p_values`; NaN before the first test.
    """
    p = np.asarray(p_values, float)
    if len(looks) == 1:
        return p
    score = -special.ndtri(np.clip(p, 1e-300, 1.0) / sides) * weights(looks, shape)[: p.shape[-1]]
    best = np.maximum.accumulate(np.where(np.isnan(p), -np.inf, score), axis=-1)
    null = _largest(looks, shape, sides)
    reached = (len(null) - np.searchsorted(null, best) + 1) / (len(null) + 1)
    return np.asarray(np.where(np.logical_and.accumulate(np.isnan(p), axis=-1), np.nan, reached))


def log_e(t: ArrayLike, n: ArrayLike, g: float = MIXTURE) -> Any:
    """Return the logarithm of the evidence against a mean difference of 0, from t statistics of n pairs.

    Normal-mixture t e-process with the right-Haar prior on the spread (Lai 1976; Wang & Ramdas 2023,
    arXiv:2310.03722): E = (1 + n g)^(-1/2) [(1 + x) / (1 + x / (1 + n g))]^(n/2), x = t^2 / (n - 1).
    """
    n = np.asarray(n, float)
    x = np.asarray(t, float) ** 2 / (n - 1)
    return -0.5 * np.log1p(n * g) + n / 2 * (np.log1p(x) - np.log1p(x / (1 + n * g)))


def e_value(summary: Summary, center: float = 0.0) -> float:
    """Return the evidence against a mean difference of `center`; 20 or more rejects at 0.05 at any time."""
    if not summary.usable:
        return 1.0
    return math.exp(min(float(log_e((summary.mean - center) / summary.se, summary.n)), 700.0))


def anytime_interval(summary: Summary, alpha: float = 0.05, g: float = MIXTURE) -> tuple[float, float]:
    """Return the confidence sequence at this number of blocks: all means with an e value below 1 / alpha.

    NaN bounds where evidence cannot reach 1 / alpha yet; with alpha 0.05 that is below five blocks.
    """
    if not summary.usable:
        return math.nan, math.nan
    n = summary.n
    ratio = math.exp(2 / n * (0.5 * math.log1p(n * g) - math.log(alpha)))
    if ratio >= 1 + n * g:
        return math.nan, math.nan
    reach = summary.se * math.sqrt((n - 1) * (ratio - 1) / (1 - ratio / (1 + n * g)))
    return summary.mean - reach, summary.mean + reach
