"""How many blocks a verdict takes, and which difference a number of blocks can detect."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy

from harness.errors import DataError
from harness.statistics.decisions import FEWEST_EQUIVALENT
from harness.statistics.paired_blocks import Floats, blocks_of
from harness.statistics.paired_tests import summarise
from harness.statistics.student_t import t_isf
from harness.statistics.verdict_rule import Margin, Scale

MOST_BLOCKS = 100_000
Goal = Literal["difference", "equivalence"]


@functools.cache
def _nodes() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return (nodes + 1) / 2, weights / 2


def _averaged(inside: Callable[[Floats], Floats], df: int, top: float) -> float:
    """Average over u = s / sigma up to `top`, where df u^2 is chi-square with df degrees of freedom."""
    reach = 12 / math.sqrt(2 * df)
    low, high = max(0.0, 1 - reach), min(top, 1 + reach)
    if high <= low:
        return 0.0
    nodes, weights = _nodes()
    u = low + (high - low) * nodes
    constant = math.log(2) + df / 2 * math.log(df / 2) - float(scipy.special.gammaln(df / 2))
    density = np.exp(constant + (df - 1) * np.log(u) - df * u**2 / 2)
    return float((inside(u) * density * weights).sum() * (high - low))


def power_of_difference(n: int, difference: float, sd: float, alpha: float = 0.05) -> float:
    """Return the power of the two-sided paired t test: the noncentral t distribution, by numerical integration.

    Args:
        n: Complete pairs; with fewer than two the power is 0.
        difference: True mean difference, on the scale of the analysis.
        sd: Standard deviation of the paired differences, greater than 0.
        alpha: Error rate.
    """
    return _power(n - 1, abs(difference) / sd * math.sqrt(n), alpha) if n >= 2 else 0.0


def _power(df: int, shift: float, alpha: float) -> float:
    critical = float(t_isf(alpha / 2, df))

    def missed(u: Floats) -> Floats:
        return np.asarray(scipy.special.ndtr(critical * u - shift) - scipy.special.ndtr(-critical * u - shift))

    return min(1.0, max(0.0, 1 - _averaged(missed, df, math.inf)))


def power_of_equivalence(n: int, margin: float, sd: float, alpha: float = 0.05, difference: float = 0.0) -> float:
    """Return the power of two one-sided t tests at a true difference, by integrating over the sample's spread.

    With u = s / sigma, equivalence is found when |mean| < margin - t s / sqrt(n): a normal probability for each u
    (Phillips 1990 gives the same by Owen's Q).

    Args:
        n: Complete pairs.
        margin: Half-width of the margin, on the scale of the analysis.
        sd: Standard deviation of the paired differences, greater than 0.
        alpha: Error rate of each one-sided test.
        difference: True mean difference.
    """
    if n < 2:
        return 0.0
    critical, root = float(t_isf(alpha, n - 1)), math.sqrt(n)
    width, shift = margin / sd * root, difference / sd * root

    def inside(u: Floats) -> Floats:
        reach = width - critical * u
        return np.asarray(scipy.special.ndtr(reach - shift) - scipy.special.ndtr(-reach - shift))

    return min(1.0, max(0.0, _averaged(inside, n - 1, width / critical)))


def detectable(n: int, sd: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true difference that `n` pairs show with this power; infinity with fewer than two.

    Args:
        n: Complete pairs.
        sd: Standard deviation of the paired differences.
        alpha: Two-sided error rate.
        power: Probability of showing it, between alpha and 1.
    """
    if n < 2:
        return math.inf
    top = 4.0
    while power_of_difference(n, top, 1.0, alpha) < power:
        top *= 2
    return sd * float(scipy.optimize.brentq(lambda d: power_of_difference(n, d, 1.0, alpha) - power, 1e-9, top))


def blocks_needed(
    size: float, sd: float, *, goal: Goal = "difference", alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return the number of blocks that reach the power, None beyond 100,000.

    Args:
        size: The true difference to show, or for ``equivalence`` the margin at a true difference of 0; greater than 0.
        sd: Standard deviation of the paired differences.
        goal: What is to be shown.
        alpha: Error rate.
        power: Probability of showing it.
    """
    if sd == 0:
        return 2

    def reached(n: int) -> bool:
        of = power_of_difference if goal == "difference" else power_of_equivalence
        return of(n, size, sd, alpha) >= power

    return _smallest(reached)


def _with_fewest(blocks: int | None) -> int | None:
    """Return a number of blocks at which "equivalent" can be said."""
    return None if blocks is None else max(blocks, FEWEST_EQUIVALENT)


def _smallest(reached: Callable[[int], bool]) -> int | None:
    """Return the smallest number of blocks from 2 up that is enough; power grows with blocks."""
    high = 2
    while not reached(high):
        high *= 2
        if high > MOST_BLOCKS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return max(2, high)


def unmatched_blocks(
    difference: float, sd: float, correlation: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return the blocks (trials of each arm) that an unpaired t test needs, None beyond 100,000.

    Args:
        difference: True mean difference, not 0.
        sd: Standard deviation of the paired differences; each arm's own is sd / sqrt(2 (1 - correlation)).
        correlation: Between the arms over blocks when they are matched, below 1; both arms spread equally.
        alpha: Two-sided error rate.
        power: Probability of showing it, between alpha and 1.
    """
    per_root = abs(difference) / sd * math.sqrt(1 - correlation)

    def reached(n: int) -> bool:
        return _power(2 * n - 2, per_root * math.sqrt(n), alpha) >= power

    return _smallest(reached)


def pilot_sd(table: pd.DataFrame, *, baseline: str, scale: Scale) -> dict[str, tuple[int, float, float]]:
    """Return per arm of a pilot the pairs, the standard deviation of its differences, and its upper 80 % bound.

    The bound comes from the chi-square distribution: planning with it keeps the power in four of five pilots (Browne
    1995). Arms with fewer than two pairs are left out.
    """
    blocks = blocks_of(table, scale=scale)
    pilots = {}
    for arm in blocks.arms:
        if arm == baseline or baseline not in blocks.arms:
            continue
        summary = summarise(blocks.pairs(arm, baseline))
        if summary.n >= 2:
            upper = summary.sd * math.sqrt((summary.n - 1) / scipy.stats.chi2.ppf(0.2, summary.n - 1))
            pilots[arm] = (summary.n, summary.sd, float(upper))
    return pilots


def plan(
    *,
    blocks: int,
    sd: float | None,
    margin: Margin | str | float | None,
    scale: Scale,
    baseline_mean: float = math.nan,
    contrasts: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> dict[str, Any]:
    """Return what a number of blocks can show, as JSON's own types.

    Without a pilot (`sd` None) differences are in standard deviations of the paired differences and the margin plays no
    part. The figures are for one contrast that differs among several that do not, which is tested at alpha over their
    number, and for a number of blocks fixed in advance; looks cost a little power at the same last look.

    Args:
        blocks: Blocks of the study (the last look of a schedule).
        sd: Standard deviation of the paired differences on the scale of the analysis, such as from `pilot_sd`.
        margin: The study's margin.
        scale: Scale of the analysis.
        baseline_mean: What a percentage on the raw scale is of.
        contrasts: Arms that are compared with the baseline.
        alpha: Error rate over all contrasts together.
        power: Wanted probability of a right verdict.
    """
    if blocks < 1:
        raise DataError(f"blocks: {blocks} found; one or more are needed")
    if contrasts < 1:
        raise DataError(f"contrasts: {contrasts} found; one or more are needed")
    alpha = alpha / contrasts
    m = Margin.parse(margin)
    width = None if m is None or sd is None else m.on(scale, baseline_mean)
    smallest = detectable(blocks, 1.0 if sd is None else sd, alpha, power)
    finite = math.isfinite(smallest)
    known_sd = sd if width is not None else None
    return {
        "blocks": blocks,
        "contrasts": contrasts,
        "sd": sd,
        "power": power,
        "detectable": smallest if finite else None,
        "detectable_change": float(np.expm1(min(smallest, 700)))
        if finite and sd is not None and scale == "log"
        else None,
        "margin": width,
        "power_at_margin": None if known_sd is None else power_of_difference(blocks, width or 0.0, known_sd, alpha),
        "power_equivalence": None
        if known_sd is None
        else power_of_equivalence(blocks, width or 0.0, known_sd, alpha) * (blocks >= FEWEST_EQUIVALENT),
        "blocks_for_difference": None
        if known_sd is None
        else blocks_needed(width or 0.0, known_sd, alpha=alpha, power=power),
        "blocks_for_equivalence": None
        if known_sd is None
        else _with_fewest(blocks_needed(width or 0.0, known_sd, goal="equivalence", alpha=alpha, power=power)),
    }
