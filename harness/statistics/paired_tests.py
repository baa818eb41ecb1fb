"""Tests and estimates for one arm against the baseline, in matched blocks."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from harness.statistics.analysis import Favoured, WorstRank
from harness.statistics.paired_blocks import Bools, Floats, PairedBlocks
from harness.statistics.student_t import t_isf, t_sf
from harness.statistics.verdict_rule import Better

EXACT_UP_TO = 20
"""Blocks up to which all 2^n sign flips are counted."""
FLIPS = 99_999
"""Random sign flips beyond that, fewer when there are more than 50 blocks; the seed is fixed."""
FLIP_SEED = 20_240_601
MOST_STATISTICS = 20_000_000
"""t statistics that the adjustment over all contrasts computes at most; beyond, it takes random flips."""
MOST_SIGNS = 5_000_000
"""Random signs drawn at most, so that thousands of blocks take fewer flips (and not fewer than 999)."""
SIDES: dict[int, Favoured] = {1: "arm", -1: "baseline", 0: "neither"}
MOST_RANKED = 60
"""Blocks up to which the distribution of signed ranks is counted exactly."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Differences in the complete pairs of one contrast, on the scale of the analysis."""

    n: int
    mean: float
    """NaN without a pair."""
    sd: float
    """With n - 1; NaN with fewer than two pairs, exactly 0 when all differences are equal."""

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return self.sd / math.sqrt(self.n) if self.n else math.nan

    @property
    def usable(self) -> bool:
        """Whether a t interval exists: two pairs or more, with some spread."""
        return self.n >= 2 and self.sd > 0

    @property
    def t(self) -> float:
        """The paired t statistic; NaN where it does not exist."""
        return self.mean / self.se if self.usable else math.nan

    @property
    def p(self) -> float:
        """Two-sided p value of the paired t test; NaN where it does not exist."""
        return float(2 * t_sf(abs(self.t), self.n - 1)) if self.usable else math.nan

    def interval(self, p: float) -> tuple[float, float]:
        """Return the t interval of level 1 - `p`; NaN bounds where it does not exist."""
        if not self.usable:
            return math.nan, math.nan
        reach = float(t_isf(p / 2, self.n - 1)) * self.se
        return self.mean - reach, self.mean + reach


def summarise(pairs: PairedBlocks) -> Summary:
    """Return count, mean and standard deviation of the differences."""
    d = pairs.differences
    if len(d) == 0:
        return Summary(0, math.nan, math.nan)
    if len(d) == 1:
        return Summary(1, float(d[0]), math.nan)
    return Summary(len(d), float(np.mean(d)), 0.0 if pairs.equal else float(np.std(d, ddof=1)))


@functools.lru_cache(maxsize=2)
def flip_signs(n: int, most: int = 2**EXACT_UP_TO) -> tuple[NDArray[np.int8], bool]:
    """Return sign flips, shape (flips, n) of ±1, and whether they are all of them.

    Every flip with the last sign held at +1 (the other half is its mirror image, and the statistics here are
    symmetric) when that is at most `most` of them in up to `EXACT_UP_TO` blocks; else random ones with a fixed seed.
    """
    if n <= EXACT_UP_TO and 2 ** max(n - 1, 0) <= most:
        codes = np.arange(2 ** max(n - 1, 0), dtype=np.uint32)
        bits = (codes[:, None] >> np.arange(n, dtype=np.uint32)) & 1
        bits[:, n - 1 :] = 0
        return (1 - 2 * bits.astype(np.int8)).astype(np.int8), True
    count = int(min(FLIPS, max(999, min(most, MOST_SIGNS // n))))
    bits = np.random.default_rng(FLIP_SEED).integers(0, 2, size=(count, n), dtype=np.int8)
    return 1 - 2 * bits, False


@functools.lru_cache(maxsize=1)
def _flip_weights(n: int) -> tuple[Floats, bool]:
    """Return the flips as the floats that products need: casting them anew for each contrast takes longer."""
    signs, exact = flip_signs(n)
    return signs.astype(float), exact


def share_as_extreme(reached: Bools, exact: bool) -> float:
    """Return the p value from which flips reach the observed statistic, the observed one counted in when random."""
    return float(reached.mean()) if exact else float((reached.sum() + 1) / (len(reached) + 1))


def sign_flip(differences: Floats) -> float:
    """Return the two-sided sign-flip p value of the mean; NaN without differences.

    Exact for differences that are symmetric about 0 under the null (Fisher 1935); the smallest possible value is
    2 / 2^n, so six blocks are needed to get below 0.05.
    """
    d = np.asarray(differences, float)
    n = len(d)
    if n == 0:
        return math.nan
    observed = abs(d.sum())
    rounding = 1e-10 * np.abs(d).sum()
    if n <= EXACT_UP_TO:
        sums = d[:1]
        for value in d[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return share_as_extreme(np.abs(sums) >= observed - rounding, exact=True)
    signs, exact = _flip_weights(n)
    return share_as_extreme(np.abs(signs @ d) >= observed - rounding, exact)


def max_t(differences: Floats) -> Floats:
    """Return p values adjusted for all contrasts at once by flipping whole blocks, shape (contrasts,).

    One t statistic a contrast, signs flipped jointly over contrasts, so that what contrasts share through the baseline
    is kept; the adjusted p value is the share of flips whose largest |t| reaches the observed |t| (Westfall & Young
    1993).

    Args:
        differences: Shape (blocks, contrasts), NaN where a pair is lost.
    """
    d = np.asarray(differences, float)
    d = d[np.isfinite(d).any(axis=1)] if d.size else d
    counts = np.isfinite(d).sum(axis=0)
    filled = np.where(np.isfinite(d), d, 0.0)
    squares = (filled**2).sum(axis=0)
    testable = (counts >= 2) & (squares > 0)
    result = np.full(d.shape[1], np.nan)
    if not testable.any():
        return result
    filled, counts, squares = filled[:, testable], counts[testable], squares[testable]

    def strength(sums: NDArray[Any]) -> Floats:
        share = sums**2 / (counts * squares)
        return np.asarray(np.minimum(share, 1.0) * (counts - 1) / np.maximum(1.0 - share, 1e-12))

    observed = strength(filled.sum(axis=0))
    signs, exact = flip_signs(len(filled), MOST_STATISTICS // filled.shape[1])
    step = max(1, 4_000_000 // max(filled.shape))
    largest = np.concatenate([strength(signs[i : i + step] @ filled).max(axis=1) for i in range(0, len(signs), step)])
    result[testable] = [share_as_extreme(largest >= value * (1 - 1e-9), exact) for value in observed]
    return result


def tost(summary: Summary, margin: float) -> float:
    """Return the p value of two one-sided t tests against ±margin (Schuirmann 1987); NaN where there is no t test.

    When all differences are equal there is no t test; the one-sided sign flip takes its place, with p = 2^-n for a
    difference within the margin and 1 otherwise.
    """
    if summary.n >= 2 and summary.sd == 0:
        return 0.5**summary.n if abs(summary.mean) < margin else 1.0
    if not summary.usable:
        return math.nan
    above = t_sf((summary.mean + margin) / summary.se, summary.n - 1)
    below = t_sf((margin - summary.mean) / summary.se, summary.n - 1)
    return float(max(above, below))


def correlation(pairs: PairedBlocks) -> tuple[float, float]:
    """Return the correlation between arm and baseline over blocks, and the variance-reduction factor of pairing.

    The factor is (s_a^2 + s_b^2) / s_d^2: how many times more blocks an unpaired comparison would need; below 1 pairing
    did not pay. NaN with fewer than three pairs or without spread.
    """
    a, b = pairs.arm[pairs.complete], pairs.baseline[pairs.complete]
    if len(a) < 3:
        return math.nan, math.nan
    var_a, var_b, var_d = (float(np.var(x, ddof=1)) for x in (a, b, a - b))
    rho = float(np.corrcoef(a, b)[0, 1]) if _spread(a) and _spread(b) else math.nan
    return rho, (var_a + var_b) / var_d if summarise(pairs).sd > 0 else math.nan


def _spread(values: Floats) -> bool:
    return bool(np.ptp(values) > 4 * np.finfo(float).eps * np.max(np.abs(values)))


def pitman_morgan(pairs: PairedBlocks) -> tuple[float, float, float]:
    """Return both standard deviations (arm, baseline) over blocks and the p value that they are equal.

    The correlation of sums and differences is 0 exactly when the two variances are equal (Pitman 1939; Morgan 1939), so
    its test has n - 2 degrees of freedom; NaN p value with fewer than four pairs or without spread.
    """
    a, b = pairs.arm[pairs.complete], pairs.baseline[pairs.complete]
    if len(a) < 2:
        return math.nan, math.nan, math.nan
    sd_a, sd_b = float(np.std(a, ddof=1)), float(np.std(b, ddof=1))
    if len(a) < 4 or not (_spread(a + b) and summarise(pairs).sd > 0):
        return sd_a, sd_b, math.nan
    r = float(np.clip(np.corrcoef(a + b, a - b)[0, 1], -1, 1))
    t = math.inf if abs(r) == 1 else abs(r) * math.sqrt((len(a) - 2) / ((1 - r) * (1 + r)))
    return sd_a, sd_b, float(2 * t_sf(t, len(a) - 2))


def mcnemar(pairs: PairedBlocks) -> tuple[int, int, float]:
    """Return blocks in which only the arm failed, only the baseline failed, and the exact two-sided p value.

    Exact McNemar test on the discordant blocks; without any, p is 1.
    """
    arm_only = int((pairs.arm_failed & ~pairs.baseline_failed).sum())
    baseline_only = int((pairs.baseline_failed & ~pairs.arm_failed).sum())
    tail = special.bdtr(min(arm_only, baseline_only), arm_only + baseline_only, 0.5)
    return arm_only, baseline_only, min(float(2 * tail), 1.0)


def worst_ranked(pairs: PairedBlocks, better: Better) -> WorstRank:
    """Compare arm and baseline with failed trials ranked worse than every value.

    A block in which one of the two failed gets a difference larger than all finite ones; one in which both failed is a
    tie. The p value is that of `signed_rank`, which is Wilcoxon's test with ties, zeros left out (Lachin 1999 for the
    ranking); null when no block differs.
    """
    unknown = (np.isnan(pairs.arm) & ~pairs.arm_failed) | (np.isnan(pairs.baseline) & ~pairs.baseline_failed)
    one_failed = pairs.arm_failed.astype(int) - pairs.baseline_failed.astype(int)
    gap = np.where(pairs.complete, pairs.arm - pairs.baseline, 0.0) * (1 if better == "lower" else -1)
    worse_by = np.where(one_failed == 0, gap, np.copysign(np.inf, one_failed))[~unknown]
    worse_by = worse_by[worse_by != 0]
    if len(worse_by) == 0:
        return WorstRank(None, 0, 0, "neither")
    signed = np.sign(worse_by) * pd.Series(np.abs(worse_by)).rank().to_numpy()
    better_blocks = int((worse_by < 0).sum())
    return WorstRank(
        signed_rank(signed), better_blocks, len(worse_by) - better_blocks, SIDES[-int(np.sign(signed.sum()))]
    )


def signed_rank(signed: Floats) -> float:
    """Return the two-sided p value of a sum of signed mid-ranks, over all sign flips.

    Exact up to `MOST_RANKED` blocks, by adding up how many flips give each sum; beyond, random flips.
    """
    if len(signed) > MOST_RANKED:
        return sign_flip(signed)
    doubled = np.rint(2 * np.abs(signed)).astype(int)
    at_least = _flips_at_least(tuple(sorted(doubled.tolist())))
    return float(at_least[abs(int(np.rint(2 * signed.sum())))])


@functools.lru_cache(maxsize=1024)
def _flips_at_least(ranks: tuple[int, ...]) -> Floats:
    """Return the share of flips whose sum is at least 0, 1, … in size, of whole ranks."""
    total = sum(ranks)
    shares = np.zeros(2 * total + 1)
    shares[total] = 1.0
    for rank in ranks:
        up, down = np.zeros_like(shares), np.zeros_like(shares)
        up[rank:], down[: len(shares) - rank] = shares[: len(shares) - rank], shares[rank:]
        shares = (up + down) / 2
    folded = shares[total:] + np.concatenate([[0.0], shares[:total][::-1]])
    return np.asarray(np.minimum(np.cumsum(folded[::-1])[::-1], 1.0))


@dataclass(frozen=True, slots=True)
class DifferenceTest:
    """The test that decides whether an arm differs from the baseline."""

    p_value: float
    """Two-sided; NaN where there is no test."""
    favours: Favoured


def difference_test(pairs: PairedBlocks, better: Better) -> DifferenceTest:
    """Return the test for a difference: failed trials are outcomes.

    Without a block in which just one of the two failed it is the paired t test, or the sign flip where all differences
    are equal. With one, the exact test with failures ranked worst guards it: that test must reject, and in the same
    direction the t test or McNemar's, so the p value is the larger of its own and the smaller of those two.
    """
    summary = summarise(pairs)
    p = summary.p
    if pairs.equal:
        p = math.nan if summary.mean == 0 else 2 * 0.5**summary.n
    favours = _favoured(summary.mean if better == "lower" else -summary.mean)
    arm_only, baseline_only, p_failures = mcnemar(pairs)
    if arm_only + baseline_only == 0:
        return DifferenceTest(p, favours)
    ranked = worst_ranked(pairs, better)
    sides = ((p, favours), (p_failures, _favoured(arm_only - baseline_only)))
    agreeing = [q for q, side in sides if side == ranked.favours and not math.isnan(q)]
    guard = 1.0 if ranked.p_value is None else ranked.p_value
    return DifferenceTest(max(guard, min(agreeing, default=1.0)), ranked.favours)


def _favoured(worse_by: float) -> Favoured:
    return SIDES[0 if math.isnan(worse_by) else -int(np.sign(worse_by))]


def skewness(differences: Floats) -> float:
    """Return the adjusted sample skewness of the differences; NaN with fewer than three or without spread."""
    if len(differences) < 3 or not _spread(differences):
        return math.nan
    n, d = len(differences), differences - np.mean(differences)
    return float(math.sqrt(n * (n - 1)) / (n - 2) * np.mean(d**2 * d) / np.mean(d**2) ** 1.5)
