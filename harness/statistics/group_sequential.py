"""Looks: repeated confidence intervals on a schedule, and anytime-valid intervals beyond it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from harness.errors import DataError
from harness.statistics.paired_blocks import Floats
from harness.statistics.paired_tests import Summary

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


def normal_scores(t: Floats, df: Floats | float) -> Floats:
    """Return |z| with the two-sided p value that |t| has."""
    return np.asarray(-special.ndtri(np.clip(special.stdtr(df, -np.abs(t)), 1e-300, 0.5)))


def weights(looks: tuple[int, ...], shape: float) -> Floats:
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


@functools.lru_cache(maxsize=32)
def _null(looks: tuple[int, ...], shape: float) -> Floats:
    rng = np.random.default_rng(NULL_SEED)
    mean, sd = draw_statistics(looks, NULL_DRAWS, 0.0, rng)
    n = np.array(looks)
    scores = normal_scores(mean / sd * np.sqrt(n), (n - 1).astype(float))
    return np.sort((scores * weights(looks, shape)).max(axis=1))


def boundaries(looks: Sequence[int], alpha: float = 0.05, shape: float = SHAPE) -> tuple[float, ...]:
    """Return the nominal two-sided p value at each look for a type I error of `alpha` over all looks.

    Wang and Tsiatis' family (Biometrics 43, 1987): |z_k| >= c (n_k / n_last)^(shape - 1/2), with c calibrated for this
    schedule on paired t statistics of normal differences by 400,000 simulated null studies with a fixed seed.

    Args:
        looks: Numbers of blocks, growing, from 2 up.
        alpha: Type I error over all looks, in (0, 1).
        shape: 0.25 by default; 0.5 gives equal nominal p values.

    Raises:
        DataError: The schedule is no schedule.
    """
    schedule = check_looks(looks)
    if len(schedule) == 1:
        return (alpha,)
    bound = float(np.quantile(_null(schedule, shape), 1 - alpha))
    return tuple(float(2 * special.ndtr(-bound / w)) for w in weights(schedule, shape))


def sequential_p(looks: tuple[int, ...], p_values: Sequence[float], shape: float = SHAPE) -> float:
    """Return the smallest overall alpha at which one of the looks so far rejects.

    Args:
        looks: The whole schedule.
        p_values: Nominal two-sided p values at the looks so far; NaN for a look without a test.
        shape: Shape of the boundary.
    """
    seen = [(p, w) for p, w in zip(p_values, weights(looks, shape), strict=False) if not math.isnan(p)]
    if not seen:
        return math.nan
    if len(looks) == 1:
        return seen[0][0]
    largest = max(float(-special.ndtri(max(p, 1e-300) / 2)) * w for p, w in seen)
    null = _null(looks, shape)
    return float((len(null) - np.searchsorted(null, largest)) + 1) / (len(null) + 1)


def e_value(summary: Summary, center: float = 0.0, g: float = MIXTURE) -> float:
    """Return the evidence against a mean difference of `center`; 20 or more rejects at 0.05 at any time.

    Normal-mixture t e-process with the right-Haar prior on the spread (Lai 1976; Wang & Ramdas 2023,
    arXiv:2310.03722): E = (1 + n g)^(-1/2) [(1 + x) / (1 + x / (1 + n g))]^(n/2), x = t^2 / (n - 1).
    """
    if not summary.usable:
        return 1.0
    n = summary.n
    x = ((summary.mean - center) / summary.se) ** 2 / (n - 1)
    log_e = -0.5 * math.log1p(n * g) + n / 2 * (math.log1p(x) - math.log1p(x / (1 + n * g)))
    return math.exp(min(log_e, 700.0))


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
