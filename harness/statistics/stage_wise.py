"""Estimates after a stop: median-unbiased, with the interval of the same ordering."""

from __future__ import annotations

import numpy as np
import scipy

from harness.statistics.analysis import StageWise
from harness.statistics.group_sequential import boundaries, normal_scores, null_scores
from harness.statistics.paired_tests import Summary
from harness.statistics.student_t import t_isf

DRAWS = 50_000
"""Simulated studies behind each estimate: a probability near 0.5 is off by 0.002."""
PRECISION = 0.001
"""In standard errors of the mean."""
REACH = 40.0
"""The bounds are looked for within so many standard errors of the mean, or further where they are not there."""


def stage_wise(looks: tuple[int, ...], look: int, summary: Summary, alpha: float) -> StageWise | None:
    """Return the median-unbiased estimate of a mean difference and its interval, after a stop.

    Outcomes are ordered stage-wise (Jennison & Turnbull 2000, chapter 8): stopping earlier above the boundary is
    stronger evidence for a large difference, and so is a larger statistic at the same look. The estimate is the
    difference under which the observed outcome lies in the middle; the bounds leave alpha / 2 on either side. Other
    differences than 0 are tested by moving the boundary by their size in standard errors, with the spread seen at the
    stop; stops for equivalence are not counted as stops, so that the ordering is one line.

    Args:
        looks: The whole schedule.
        look: Index of the look at which the contrast stopped.
        summary: Differences at that look.
        alpha: Level at which a difference was tested over all looks.

    Returns:
        None where there is no t test.
    """
    if not summary.usable:
        return None
    if look == 0:
        return StageWise(summary.mean, 1 - alpha, *summary.interval(alpha))
    n = np.array(looks[: look + 1])
    z = null_scores(looks)[:DRAWS, : look + 1]
    critical = t_isf(np.array(boundaries(looks, alpha)[:look]) / 2, n[:-1] - 1)

    def as_large(effect: float) -> float:
        """Return the probability of an outcome at least as large as the observed one."""
        shift = effect / summary.sd * np.sqrt(n[:-1])
        upper, lower = (normal_scores(side * critical - shift, n[:-1] - 1) for side in (1, -1))
        going_on, total = np.ones(len(z), dtype=bool), 0
        for k in range(look):
            above = z[:, k] >= upper[k]
            total += int((going_on & above).sum())
            going_on &= ~above & (z[:, k] > lower[k])
        observed = float(normal_scores((summary.mean - effect) / summary.se, summary.n - 1))
        total += int((going_on & (z[:, look] >= observed)).sum())
        return total / len(z)

    tails, reach = (alpha / 2, 1 - alpha / 2), REACH * summary.se
    # With a few blocks at the first look its boundary is far out, and so are the bounds.
    while as_large(summary.mean - reach) > tails[0] or as_large(summary.mean + reach) < tails[1]:
        reach *= 2
    bracket = summary.mean - reach, summary.mean + reach
    low, middle, high = (
        float(scipy.optimize.brentq(lambda effect, p=p: as_large(effect) - p, *bracket, xtol=PRECISION * summary.se))
        for p in (alpha / 2, 0.5, 1 - alpha / 2)
    )
    return StageWise(middle, 1 - alpha, low, high)
