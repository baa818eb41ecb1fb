"""When contrasts are decided, and by which interval: fixed blocks, looks, or anytime-valid beyond the schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.statistics import group_sequential as sequential
from harness.statistics import paired_tests as tests
from harness.statistics.analysis import Look, known
from harness.statistics.family import Outcome, holm, levels, replay
from harness.statistics.paired_blocks import PairedBlocks
from harness.statistics.paired_tests import DifferenceTest, Summary
from harness.statistics.verdict_rule import Better, Verdict, classify

FEWEST_EQUIVALENT = 6
"""Complete pairs below which nothing is called equivalent: with fewer, no test without normal errors could."""
DECIDED = frozenset(Verdict) - {Verdict.INCONCLUSIVE}
Bounds = tuple[float, float]
NOTHING: Bounds = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Rules:
    """What every contrast of one analysis is judged by."""

    better: Better
    looks: tuple[int, ...] | None
    alpha: float

    @property
    def schedule(self) -> tuple[int, ...]:
        """The looks; a fixed design has one, at whatever number of blocks there are."""
        return self.looks or (0,)


@dataclass(frozen=True, slots=True)
class Stage:
    """One contrast with the blocks of one look."""

    pairs: PairedBlocks
    summary: Summary
    difference: DifferenceTest

    @classmethod
    def of(cls, pairs: PairedBlocks, better: Better) -> Stage:
        """Return the stage of these blocks."""
        return cls(pairs, tests.summarise(pairs), tests.difference_test(pairs, better))

    @property
    def failed_alone(self) -> bool:
        """Whether just one of the two failed in some block."""
        return bool((self.pairs.arm_failed != self.pairs.baseline_failed).any())

    def p_equal(self, margin: float | None) -> float:
        """Return the p value of two one-sided tests, NaN where nothing may be called equivalent."""
        few = self.summary.n < FEWEST_EQUIVALENT
        if margin is None or few or self.failed_alone or self.pairs.saturated:
            return math.nan
        return tests.tost(self.summary, margin)

    def outer(self, p: float) -> Bounds:
        """Return the interval that excludes 0 when the two-sided p value is below `p`."""
        if not self.pairs.equal:
            return self.summary.interval(p)
        shown = self.summary.mean == 0 or 2 * 0.5**self.summary.n <= p
        return (self.summary.mean, self.summary.mean) if shown else NOTHING

    def inner(self, p: float) -> Bounds:
        """Return the interval that lies inside a margin when its two one-sided tests are below `p`."""
        if not self.pairs.equal:
            return self.summary.interval(2 * p)
        return (self.summary.mean, self.summary.mean) if 0.5**self.summary.n <= p else NOTHING


@dataclass(frozen=True, slots=True)
class Decision:
    """What one contrast came to within its family."""

    stage: Stage
    verdict: Verdict
    reason: str | None
    """Why the verdict is not what the interval alone would say."""
    look: Look
    kind: str
    """Of the interval, see `Interval.kind`."""
    level: float
    """Of the test for a difference: alpha shared among the contrasts that were open."""
    level_equal: float
    outer: Bounds
    inner: Bounds
    p_over_looks: float
    p_holm: float
    p_equal_holm: float
    stopped: int | None
    """Index of the look at which a schedule stopped; None without one, and while the contrast is open."""


def decide(contrasts: Sequence[PairedBlocks], rules: Rules, margin: float | None) -> list[Decision]:
    """Return the decision on each contrast, all of them one family.

    At look k the first n_k blocks in which both arms have a row are analysed. Blocks after a decision, or between
    looks, are not used. Contrasts whose values are identical are no part of the family: nothing can be found in them.

    Args:
        contrasts: The pairs of each contrast.
        rules: Direction, looks and error rate.
        margin: Half-width of the margin.
    """
    stages = [_stages(pairs, rules) for pairs in contrasts]
    counted = [i for i, pairs in enumerate(contrasts) if not pairs.identical]
    outcome, beyond = _family([stages[i] for i in counted], [contrasts[i] for i in counted], rules, margin)
    decisions: list[Decision] = []
    for i, pairs in enumerate(contrasts):
        if i in counted:
            j = counted.index(i)
            decisions.append(_decision(pairs, stages[i], outcome, j, beyond[j], rules, margin))
        else:
            alone, _ = _family([stages[i]], [pairs], rules, margin)
            decisions.append(_decision(pairs, stages[i], alone, 0, None, rules, margin))
    return decisions


def _stages(pairs: PairedBlocks, rules: Rules) -> list[Stage]:
    if rules.looks is None:
        return [Stage.of(pairs, rules.better)]
    return [Stage.of(pairs.first(n), rules.better) for n in rules.looks if n <= len(pairs.arm)]


def _family(
    stages: list[list[Stage]], contrasts: list[PairedBlocks], rules: Rules, margin: float | None
) -> tuple[Outcome, list[Stage | None]]:
    """Return the outcome of the family, and the stage of all blocks of those open beyond the schedule."""
    count, schedule = len(stages), rules.schedule
    p_differs, p_equal = np.full((2, 1, count, len(schedule)), np.nan)
    for i, seen in enumerate(stages):
        for k, stage in enumerate(seen):
            p_differs[0, i, k], p_equal[0, i, k] = stage.difference.p_value, stage.p_equal(margin)
    reached = np.array([[len(seen) for seen in stages]], dtype=np.int64).reshape(1, count)
    dead = np.array([[bool(seen) and seen[0].pairs.dead for seen in stages]], dtype=bool).reshape(1, count)
    outcome = replay(p_differs, p_equal, looks=schedule, alpha=rules.alpha, reached=reached, settled=dead)
    beyond: list[Stage | None] = [None] * count
    for i, pairs in enumerate(contrasts):
        decided = outcome.differs[0, i] or outcome.equal[0, i] or dead[0, i]
        if rules.looks is not None and not decided and len(pairs.arm) > rules.looks[-1]:
            beyond[i] = Stage.of(pairs, rules.better)
    return (_with_anytime(outcome, beyond, rules, margin), beyond) if any(beyond) else (outcome, beyond)


def _with_anytime(outcome: Outcome, beyond: list[Stage | None], rules: Rules, margin: float | None) -> Outcome:
    """Judge what is open after the last look by e values, which hold at any number of blocks."""
    p_differs, p_equal = outcome.p_differs.copy(), outcome.p_equal.copy()
    for i, stage in enumerate(beyond):
        if stage is not None:
            p_differs[0, i] = min(1.0, 1 / sequential.e_value(stage.summary))
            p_equal[0, i] = math.nan
            if not math.isnan(stage.p_equal(margin)) and margin is not None and abs(stage.summary.mean) < margin:
                either = (sequential.e_value(stage.summary, side) for side in (margin, -margin))
                p_equal[0, i] = min(1.0, 1 / min(either))
            if stage.failed_alone:
                p_differs[0, i] = max(p_differs[0, i], stage.difference.p_value)
    return Outcome(
        outcome.stop,
        p_differs,
        p_equal,
        holm(p_differs) <= rules.alpha,
        holm(p_equal) <= rules.alpha,
        levels(p_differs, rules.alpha),
        levels(p_equal, rules.alpha),
        outcome.look_differs,
        outcome.look_equal,
    )


def _decision(
    pairs: PairedBlocks,
    stages: list[Stage],
    outcome: Outcome,
    i: int,
    beyond: Stage | None,
    rules: Rules,
    margin: float | None,
) -> Decision:
    differs, equal = bool(outcome.differs[0, i]), bool(outcome.equal[0, i])
    level, level_equal = float(outcome.level_differs[0, i]), float(outcome.level_equal[0, i])
    shown = [
        look[0, i] for look, is_shown in ((outcome.look_differs, differs), (outcome.look_equal, equal)) if is_shown
    ]
    number = int(max(shown)) if shown else int(outcome.stop[0, i])
    stage = beyond or (stages[number] if stages else Stage.of(pairs, rules.better))
    verdict = Verdict(classify(differs, equal, stage.difference.favours == "arm").item())
    if stages and stage.pairs.dead:
        verdict = Verdict.INVALID
    look, kind, nominal, nominal_equal = _look(pairs, stages, number, beyond, rules, verdict, (level, level_equal))
    if beyond is None:
        outer, inner = stage.outer(nominal), stage.inner(nominal_equal)
    else:
        outer, inner = (sequential.anytime_interval(stage.summary, a) for a in (level, level_equal))
    closed = look.rule == "scheduled" and look.next is None
    return Decision(
        stage,
        verdict,
        _reason(stage, look, verdict, outer, inner, margin),
        look,
        "exact" if stage.pairs.equal else kind,
        level,
        level_equal,
        outer,
        inner,
        float(outcome.p_differs[0, i]),
        float(holm(outcome.p_differs)[0, i]),
        float(holm(outcome.p_equal)[0, i]),
        number if closed else None,
    )


def _look(
    pairs: PairedBlocks,
    stages: list[Stage],
    number: int,
    beyond: Stage | None,
    rules: Rules,
    verdict: Verdict,
    level: tuple[float, float],
) -> tuple[Look, str, float, float]:
    """Return the look, the kind of its interval, and the nominal levels of its two tests."""
    have, looks = len(pairs.arm), rules.looks
    if looks is None:
        return Look("fixed", None, have, level[0], None, 0, None), "t", *level
    if not stages:
        return Look("before the first look", None, have, None, looks[0], 0, None), "t", *level
    if beyond is not None:
        evidence = known(sequential.e_value(beyond.summary))
        return Look("anytime-valid", None, have, None, None, 0, evidence), "anytime", *level
    nominal = sequential.boundaries(looks, level[0])[number]
    nominal_equal = sequential.boundaries(looks, level[1], sides=1)[number]
    following = looks[len(stages)] if verdict not in DECIDED and len(stages) < len(looks) else None
    used = looks[number]
    look = Look("scheduled", number + 1, used, nominal, following, have - used, None)
    return look, "repeated", nominal, nominal_equal


def _reason(
    stage: Stage, look: Look, verdict: Verdict, outer: Bounds, inner: Bounds, margin: float | None
) -> str | None:
    """Say why the verdict is not what the interval alone would say."""
    n, pairs = stage.summary.n, stage.pairs
    open_, inside = verdict not in DECIDED, margin is not None and inner[0] > -margin and inner[1] < margin
    few = n < FEWEST_EQUIVALENT and margin is not None and (inside or (look.next is None and open_))
    early = look.rule == "before the first look"
    if stage.failed_alone and not early:
        return _failures_reason(pairs, verdict, excludes=outer[0] > 0 or outer[1] < 0, inside=inside)
    reasons = (
        (early, f"the first look is at {look.next} blocks; there are {look.blocks}"),
        (pairs.dead, f"every trial of both failed in all {len(pairs.arm)} blocks, so there is nothing to compare"),
        (n == 0, "no block has a value of both"),
        (n == 1, "one block has no spread to judge a difference by"),
        (pairs.saturated, "every value of both is the same number, so this metric cannot tell them apart here"),
        (few, f"nothing is called equivalent with fewer than {FEWEST_EQUIVALENT} complete pairs, and there are {n}"),
        (
            pairs.equal and stage.summary.mean == 0 and open_,
            "the values are equal in every block, which one metric alone does not show of the networks",
        ),
        (pairs.equal, "all differences are equal, so the exact sign-flip test decides in place of the t interval"),
    )
    return next((text for applies, text in reasons if applies), None)


def _failures_reason(pairs: PairedBlocks, verdict: Verdict, *, excludes: bool, inside: bool) -> str | None:
    arm_only, baseline_only, _ = tests.mcnemar(pairs)
    count = f"only the arm failed in {arm_only}, only the baseline in {baseline_only} of {len(pairs.arm)} blocks"
    if verdict is Verdict.INCONCLUSIVE and excludes:
        return f"{count}, and with failed trials ranked worst the difference is not established"
    if verdict in (Verdict.HELPS, Verdict.HURTS) and not excludes:
        return f"{count}; the exact test on failures decides"
    return f"{count}, so nothing can be called equal" if inside else None
