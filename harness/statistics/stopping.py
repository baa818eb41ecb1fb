"""When a contrast is decided: fixed blocks, scheduled looks, or an anytime-valid interval beyond the schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.statistics import group_sequential as looking
from harness.statistics import paired_tests as paired
from harness.statistics.analysis import Look, known
from harness.statistics.paired_blocks import PairedBlocks
from harness.statistics.paired_tests import Summary
from harness.statistics.verdict_rule import Better, Verdict, classify

ZERO_NOTE = "every difference is exactly 0"
DECIDED = frozenset(Verdict) - {Verdict.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Reading:
    """The pairs as one rule sees them: two intervals and the p value that tests have to reach."""

    pairs: PairedBlocks
    summary: Summary
    outer: tuple[float, float]
    inner: tuple[float, float]
    kind: str
    nominal_p: float
    """Two-sided p value for a difference."""
    look: Look
    p_family: float
    """For a difference, over all looks so far: what Holm's correction takes."""
    p_family_equal: float
    """The same for a difference smaller than the margin."""

    def verdict(self, margin: float | None, better: Better) -> tuple[Verdict, str | None]:
        """Return the verdict against a margin, and why it is not what the interval alone would say."""
        if self.look.rule == "before the first look":
            return Verdict.INCONCLUSIVE, f"the first look is at {self.look.next} blocks; there are {self.look.blocks}"
        exact_zero = self.summary.n >= 2 and not self.pairs.differences.any()
        by_interval = Verdict(classify(*self.outer, *self.inner, margin=margin, better=better).item())
        if exact_zero:
            by_interval = Verdict.NO_OP
        verdict, reason = with_failures(by_interval, self.pairs, self.nominal_p, better)
        if verdict is Verdict.NO_OP:
            return verdict, ZERO_NOTE
        if reason is None and self.summary.n == 1:
            return verdict, "one block has no spread to judge a difference by"
        if reason is None and self.summary.n == 0:
            return verdict, "no block has a value of both"
        if reason is None and self.summary.sd == 0:
            return verdict, "all differences are equal, so the exact sign-flip test decides in place of the t interval"
        return verdict, reason


def with_failures(
    verdict: Verdict, pairs: PairedBlocks, nominal_p: float, better: Better
) -> tuple[Verdict, str | None]:
    """Return the verdict once failed trials are taken as outcomes, and the reason if they changed it.

    Only blocks in which just one of the two failed matter. Then the exact test with failures ranked worst guards every
    difference: *helps* and *hurts* stand only if it rejects in the same direction; nothing is called equivalent; and an
    inconclusive contrast becomes *helps* or *hurts* when it and McNemar's test both reject.
    """
    arm_only, baseline_only, p_failures = paired.mcnemar(pairs)
    if arm_only + baseline_only == 0:
        return verdict, None
    count = f"only the arm failed in {arm_only}, only the baseline in {baseline_only} of {len(pairs.arm)} blocks"
    ranked = paired.worst_ranked(pairs, better)
    rejects = ranked.p_value is not None and ranked.p_value <= nominal_p
    direction = {"arm": Verdict.HELPS, "baseline": Verdict.HURTS}.get(ranked.favours, Verdict.INCONCLUSIVE)
    if verdict in (Verdict.HELPS, Verdict.HURTS):
        if rejects and direction is verdict:
            return verdict, None
        return Verdict.INCONCLUSIVE, f"{count}, and with failed trials ranked worst the difference is not established"
    by_failures = Verdict.HURTS if arm_only > baseline_only else Verdict.HELPS
    if verdict is Verdict.INCONCLUSIVE:
        if rejects and p_failures <= nominal_p and direction is by_failures:
            return direction, f"{count}; the exact test on failures decides"
        return verdict, None
    return Verdict.INCONCLUSIVE, f"{count}, so nothing can be called equal"


def _equal_differences(
    summary: Summary, p_outer: float, p_inner: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    nothing, point = (math.nan, math.nan), (summary.mean, summary.mean)
    flip, one_sided = 2 * 0.5**summary.n, 0.5**summary.n
    zero = summary.mean == 0
    return point if zero or flip <= p_outer else nothing, point if one_sided <= p_inner else nothing


def _read(
    pairs: PairedBlocks, p_outer: float, p_inner: float
) -> tuple[Summary, tuple[float, float], tuple[float, float], str]:
    """Return summary and t intervals: two-sided `p_outer`, and one-sided `p_inner` on either side."""
    summary = paired.summarise(pairs)
    if summary.n >= 2 and summary.sd == 0:
        return summary, *_equal_differences(summary, p_outer, p_inner), "exact"
    return summary, summary.interval(p_outer), summary.interval(2 * p_inner), "t"


def difference_p(pairs: PairedBlocks, summary: Summary, better: Better) -> float:
    """Return the p value for a difference: the t test, or the sign flip when all differences are equal.

    Where just one of the two failed in some block it is that of the guarded rule of `with_failures`: the larger of the
    worst-rank p value and the smaller of the t test's and McNemar's.
    """
    p = summary.p
    if summary.n >= 2 and summary.sd == 0:
        p = math.nan if summary.mean == 0 else 2 * 0.5**summary.n
    arm_only, baseline_only, p_failures = paired.mcnemar(pairs)
    if arm_only + baseline_only == 0:
        return p
    ranked = paired.worst_ranked(pairs, better).p_value
    return max(1.0 if ranked is None else ranked, p_failures if math.isnan(p) else min(p, p_failures))


def read_fixed(pairs: PairedBlocks, alpha: float, margin: float | None, better: Better) -> Reading:
    """Return the reading for a number of blocks that was fixed in advance: t intervals of 1 - alpha and 1 - 2 alpha."""
    summary, outer, inner, kind = _read(pairs, alpha, alpha)
    look = Look("fixed", None, len(pairs.arm), None, None, 0, None)
    equal = math.nan if margin is None else paired.tost(summary, margin)
    return Reading(pairs, summary, outer, inner, kind, alpha, look, difference_p(pairs, summary, better), equal)


def read_looks(
    pairs: PairedBlocks, looks: tuple[int, ...], alpha: float, margin: float | None, better: Better
) -> Reading:
    """Return the reading at the look that decided, else at the last look reached, else beyond the schedule.

    At look k the first n_k blocks in which both arms have a row are analysed, and both intervals are the repeated
    confidence interval of the boundary. Blocks after a decision, or between looks, are not used.
    """
    nominal = looking.boundaries(looks, alpha)
    reached = [n for n in looks if n <= len(pairs.arm)]
    if not reached:
        early = read_fixed(pairs, alpha, margin, better)
        look = Look("before the first look", None, len(pairs.arm), None, looks[0], 0, None)
        return replace(early, look=look, p_family=math.nan, p_family_equal=math.nan)
    p_values: list[float] = []
    equal_p: list[float] = []
    for number, n in enumerate(reached, start=1):
        p = nominal[number - 1]
        seen = pairs.first(n)
        summary, outer, inner, kind = _read(seen, p, p / 2)
        p_values.append(difference_p(seen, summary, better))
        equal_p.append(math.nan if margin is None else min(1.0, 2 * paired.tost(summary, margin)))
        following = looks[number] if number < len(looks) else None
        look = Look("scheduled", number, n, p, following, len(pairs.arm) - n, None)
        kind = "repeated" if kind == "t" else kind
        reading = Reading(
            seen,
            summary,
            outer,
            inner,
            kind,
            p,
            look,
            looking.sequential_p(looks, p_values),
            looking.sequential_p(looks, equal_p),
        )
        if reading.verdict(margin, better)[0] in DECIDED:
            return replace(reading, look=replace(look, next=None))
    return reading if len(pairs.arm) <= looks[-1] else read_anytime(pairs, alpha, margin)


def read_anytime(pairs: PairedBlocks, alpha: float, margin: float | None) -> Reading:
    """Return the reading of all blocks by the confidence sequence, which holds at whatever number one stops."""
    summary = paired.summarise(pairs)
    low, high = looking.anytime_interval(summary, alpha)
    e_zero = looking.e_value(summary)
    look = Look("anytime-valid", None, len(pairs.arm), None, None, 0, known(e_zero))
    equal = math.nan
    if margin is not None and abs(summary.mean) < margin:
        equal = min(1.0, 1 / min(looking.e_value(summary, margin), looking.e_value(summary, -margin)))
    p = min(1.0, 1 / e_zero)
    return Reading(pairs, summary, (low, high), (low, high), "anytime", alpha, look, p, equal)


def family_verdict(reading: Reading, p_holm: float, p_equal_holm: float, verdict: Verdict, alpha: float) -> Verdict:
    """Return the verdict that stands when the error is controlled over all contrasts of an analysis."""
    if verdict in (Verdict.HELPS, Verdict.HURTS):
        return verdict if p_holm <= alpha or reading.summary.n == 0 else Verdict.INCONCLUSIVE
    if verdict in (Verdict.EQUIVALENT, Verdict.NEGLIGIBLE):
        differs, equal = p_holm <= alpha, p_equal_holm <= alpha
        if not equal:
            return Verdict.INCONCLUSIVE
        return Verdict.NEGLIGIBLE if differs else Verdict.EQUIVALENT
    return verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values in the same order (Holm 1979); NaN stays NaN and does not count as a test.

    Own lines because `multipletests` of statsmodels, which the tests compare with, takes a full garbage collection a
    call (50 ms) and a second to import.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(tested):
        largest = max(largest, (len(tested) - rank) * p)
        adjusted[i] = min(1.0, largest)
    return adjusted
