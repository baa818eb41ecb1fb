"""From a table of units, arms and values to contrasts with verdicts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics import paired_tests as tests
from harness.statistics.analysis import (
    Analysis,
    BetterIn,
    Contrast,
    CostRatio,
    Equivalence,
    Failures,
    FoldChange,
    Interval,
    Look,
    Provisional,
    Robustness,
    Spread,
    WorstRank,
    known,
)
from harness.statistics.decisions import DECIDED, Decision, Rules, decide
from harness.statistics.group_sequential import boundaries, check_looks
from harness.statistics.paired_blocks import Blocks, Floats, PairedBlocks, baseline_mean, blocks_of, label
from harness.statistics.sentences import sentence
from harness.statistics.stage_wise import stage_wise
from harness.statistics.verdict_rule import Better, Margin, Scale, Verdict

Costs = Mapping[str, Mapping[str, float | None]]
Given = Mapping[str, tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the contrasts of one analysis have in common."""

    scale: Scale
    margin: Margin | None
    margin_base: float
    """The baseline mean that a relative margin on the raw scale refers to."""
    rules: Rules

    def width(self, factor: float = 1.0) -> float | None:
        """Half-width of the margin times a factor, on the scale of the analysis; None too without a baseline value."""
        if self.margin is None or math.isnan(self.margin_base):
            return None
        return self.margin.times(factor).on(self.scale, self.margin_base)


def analyse(
    table: pd.DataFrame,
    *,
    baseline: str,
    better: Better,
    scale: Scale,
    margin: Margin | str | float | None,
    looks: Sequence[int] | None = None,
    alpha: float = 0.05,
    metric: str = "value",
    family: Literal["primary", "exploratory"] = "primary",
    costs: Costs | None = None,
    given: Given | None = None,
    identical: Collection[str] = (),
    provisional: Provisional | None = None,
    where: str = "table",
) -> Analysis:
    """Return the verdict on every arm against the baseline, in matched blocks.

    Verdicts hold over all arms together, and over all looks: the probability of a single false *helps* or *hurts* is
    at most `alpha`, and so is that of a single false *equivalent*.

    Args:
        table: Long, one row per unit and arm: columns `unit`, `arm`, `value` (a number or null) and perhaps `failed`.
            The order of the rows never matters; units are taken in natural order.
        baseline: The arm that the others are compared with.
        better: Which direction of the metric is better.
        scale: ``log`` compares ratios (values greater than 0), ``raw`` compares differences.
        margin: The smallest difference that matters; None when there is none, and then nothing can be equivalent. A
            percentage on the raw scale is of the baseline's mean, over the blocks up to the first look if there are
            looks.
        looks: Schedule of looks in blocks. Verdicts then hold over all looks together; without it the number of blocks
            counts as fixed in advance.
        alpha: Error rate of the whole analysis, in (0, 0.5).
        metric: What the values are called in sentences.
        family: ``exploratory`` analyses are labelled so; pass them to `false_discovery` together.
        costs: Per cost (``parameters``) its value in each arm, to be shown beside quality.
        given: Arms that were settled before training: a verdict (no-op, invalid) and the reason. They need no rows.
        identical: Arms of which the caller knows that everything measured equals the baseline's to the last bit, which
            makes them no-ops; equal values of one metric do not.
        provisional: What became of the error rate where the plan was changed after rows were seen.
        where: What the table is called in error messages.

    Raises:
        DataError: The table cannot be read as matched blocks, the baseline is not in it, or there is nothing to
            compare.
    """
    if not 0 < alpha < 0.5:
        raise DataError(f"alpha: {alpha} found; a number between 0 and 0.5 is needed, such as 0.05")
    for name, value, allowed in (("better", better, ("lower", "higher")), ("scale", scale, ("log", "raw"))):
        if value not in allowed:
            raise DataError(f"{name}: '{value}' found{did_you_mean(str(value), allowed)}")
    blocks = blocks_of(table, scale=scale, where=where)
    baseline, given = label(baseline), given or {}
    if baseline not in blocks.arms:
        raise DataError(f"{where}: no arm '{baseline}' to be the baseline{did_you_mean(baseline, blocks.arms)}")
    arms = [arm for arm in blocks.arms if arm != baseline and arm not in given]
    if not arms and not given:
        raise DataError(f"{where}: only the arm '{baseline}'; at least one more arm is needed to compare with it")
    schedule = None if looks is None else check_looks(looks)
    terms = Terms(
        scale,
        Margin.parse(margin),
        baseline_mean(blocks, baseline, schedule[0] if schedule else None),
        Rules(better, schedule, alpha),
    )
    pairs = {(arm, baseline): blocks.pairs(arm, baseline) for arm in arms}
    contrasts = _with_max_t(judged(pairs, terms), blocks)
    contrasts = [_no_op(c) if c.arm in identical and pairs[c.arm, baseline].identical else c for c in contrasts]
    contrasts += [_settled(terms, arm, baseline, verdict, reason) for arm, (verdict, reason) in given.items()]
    contrasts = [replace(c, costs=_costs(costs or {}, c.arm, baseline)) for c in contrasts]
    analysis = Analysis(
        metric=metric,
        baseline=baseline,
        better=better,
        scale=scale,
        alpha=alpha,
        margin=None if terms.margin is None else str(terms.margin),
        family=family,
        family_size=sum(not p.identical for p in pairs.values()),
        blocks=len(blocks.units),
        looks=schedule,
        nominal_p=None if schedule is None else boundaries(schedule, alpha),
        contrasts=(),
        provisional=provisional,
        notes=_notes(blocks, baseline, family),
    )
    return replace(analysis, contrasts=tuple(replace(c, sentence=sentence(c, analysis)) for c in contrasts))


def judged(pairs: Mapping[tuple[str, str], PairedBlocks], terms: Terms) -> list[Contrast]:
    """Return the contrasts of one family, without costs and sentences.

    Args:
        pairs: Matched blocks by the names of arm and baseline.
        terms: What they are judged by.
    """
    members = list(pairs.values())
    here, half, double = (decide(members, terms.rules, terms.width(factor)) for factor in (1.0, 0.5, 2.0))
    alone = [decide([one], terms.rules, terms.width())[0] for one in members]
    return [
        _contrast(names, terms, decision, (h.verdict, d.verdict, a.verdict))
        for names, decision, h, d, a in zip(pairs, here, half, double, alone, strict=True)
    ]


def _contrast(
    names: tuple[str, str], terms: Terms, decision: Decision, others: tuple[Verdict, Verdict, Verdict]
) -> Contrast:
    pairs, summary, rules = decision.stage.pairs, decision.stage.summary, terms.rules
    width = terms.width()
    rho, factor = tests.correlation(pairs)
    sd_arm, sd_baseline, p_spread = tests.pitman_morgan(pairs)
    arm_only, baseline_only, p_failures = tests.mcnemar(pairs)
    d = pairs.differences
    wins = int((d < 0).sum() if rules.better == "lower" else (d > 0).sum())
    means = [_mean(x[pairs.complete], terms.scale) for x in (pairs.arm, pairs.baseline)]
    low, high = (known(bound) for bound in decision.outer)
    skew, p_flip = tests.skewness(d), tests.sign_flip(d)
    return Contrast(
        arm=names[0],
        baseline=names[1],
        n=summary.n,
        pairs_lost=pairs.lost,
        mean_arm=means[0],
        mean_baseline=means[1],
        estimate=known(summary.mean),
        sd=known(summary.sd),
        ci=Interval(1 - decision.level, low, high, decision.kind),
        t=known(summary.t),
        p_value=known(summary.p),
        p_sign_flip=known(p_flip),
        sign_flip="exact" if len(d) <= tests.EXACT_UP_TO else "monte carlo",
        p_sequential=None if rules.looks is None else known(decision.p_over_looks),
        equivalence=Equivalence(
            width,
            None if width is None else known(tests.tost(summary, width)),
            known(decision.p_equal_holm),
            1 - 2 * decision.level_equal,
            *(known(bound) for bound in decision.inner),
        ),
        correlation=known(rho),
        variance_reduction=known(factor),
        p_holm=known(decision.p_holm),
        verdict=decision.verdict,
        verdict_half_margin=others[0],
        verdict_double_margin=others[1],
        verdict_uncorrected=others[2],
        decided=decision.verdict in DECIDED,
        better_in=BetterIn(wins, len(d), int((d == 0).sum()), wins / len(d) if len(d) else None),
        fold_change=_fold(terms.scale, summary.mean, low, high, means),
        relative_change=_relative(terms.scale, summary.mean, means[1]),
        failures=Failures(
            int(pairs.arm_failed.sum()), int(pairs.baseline_failed.sum()), arm_only, baseline_only, p_failures
        ),
        worst_rank=tests.worst_ranked(pairs, rules.better),
        spread=Spread(
            known(sd_arm), known(sd_baseline), known(sd_arm / sd_baseline) if sd_baseline else None, known(p_spread)
        ),
        robustness=Robustness(known(skew), len(d) >= 6 and abs(skew) > 1, _agree(decision, p_flip)),
        look=decision.look,
        stage_wise=None
        if rules.looks is None or decision.stopped is None
        else stage_wise(rules.looks, decision.stopped, summary, decision.level),
        reason=decision.reason,
    )


def _mean(values: Floats, scale: Scale) -> float | None:
    if len(values) == 0:
        return None
    return float(np.exp(values.mean()) if scale == "log" else values.mean())


def _fold(
    scale: Scale, mean: float, low: float | None, high: float | None, means: Sequence[float | None]
) -> FoldChange:
    if scale == "log":
        return FoldChange(
            *(None if x is None or math.isnan(x) else known(float(np.exp(min(x, 700.0)))) for x in (mean, low, high))
        )
    arm, baseline = means
    same_sign = arm is not None and baseline is not None and arm * baseline > 0
    return FoldChange(arm / baseline if same_sign and arm is not None and baseline is not None else None, None, None)


def _relative(scale: Scale, mean: float, baseline: float | None) -> float | None:
    if math.isnan(mean) or not baseline:
        return None
    return known(float(np.expm1(min(mean, 700.0)))) if scale == "log" else known(mean / abs(baseline))


def _agree(decision: Decision, p_flip: float) -> bool | None:
    summary, p = decision.stage.summary, decision.look.nominal_p or decision.level
    if not summary.usable or 2 * 0.5**summary.n > p:
        return None
    low, high = decision.outer
    return (low > 0 or high < 0) == (p_flip <= p)


def _costs(costs: Costs, arm: str, baseline: str) -> tuple[CostRatio, ...]:
    ratios = []
    for name, by_arm in costs.items():
        a, b = by_arm.get(arm), by_arm.get(baseline)
        ratios.append(CostRatio(name, a, b, a / b if a is not None and b else None))
    return tuple(ratios)


def _with_max_t(contrasts: list[Contrast], blocks: Blocks) -> list[Contrast]:
    """Return contrasts with p values adjusted by flipping whole blocks, over the blocks that each of them used."""
    used = np.full((len(blocks.units), len(contrasts)), np.nan)
    for column, c in enumerate(contrasts):
        arm, baseline = (blocks.column(name) for name in (c.arm, c.baseline))
        both = np.flatnonzero(blocks.present[:, arm] & blocks.present[:, baseline])[: c.look.blocks]
        used[both, column] = np.subtract(*(blocks.of(name)[both] for name in (c.arm, c.baseline)))
    return [replace(c, p_max_t=known(float(p))) for c, p in zip(contrasts, tests.max_t(used), strict=True)]


def _no_op(contrast: Contrast) -> Contrast:
    nothing = Verdict.NO_OP
    return replace(
        contrast,
        verdict=nothing,
        verdict_half_margin=nothing,
        verdict_double_margin=nothing,
        verdict_uncorrected=nothing,
        decided=True,
        look=replace(contrast.look, next=None),
        reason="everything that was measured is equal to the last bit",
    )


def _settled(terms: Terms, arm: str, baseline: str, verdict: Verdict, reason: str) -> Contrast:
    """Return the contrast of an arm that was settled before training."""
    nothing = np.empty(0)
    none = np.empty(0, dtype=bool)
    pairs = PairedBlocks(nothing, nothing, none, none, np.empty(0, dtype=np.int64), 0)
    empty = judged({(arm, baseline): pairs}, replace(terms, margin=None, rules=replace(terms.rules, looks=None)))[0]
    return replace(
        _no_op(empty) if verdict is Verdict.NO_OP else empty,
        verdict=verdict,
        verdict_half_margin=verdict,
        verdict_double_margin=verdict,
        verdict_uncorrected=verdict,
        decided=True,
        look=Look("given", None, 0, None, None, 0, None),
        worst_rank=WorstRank(None, 0, 0, "neither"),
        reason=reason,
    )


def _notes(blocks: Blocks, baseline: str, family: str) -> tuple[str, ...]:
    notes = []
    if len(blocks.units) == 1:
        notes.append("One block only: there is no spread to judge a difference by, so no interval and no verdict.")
    finite = blocks.raw[np.isfinite(blocks.raw)]
    if len(finite) > 1 and np.ptp(finite) == 0:
        notes.append(f"Every value in the table is {finite[0]:g}; check that this column measures something.")
    elif np.isfinite(blocks.raw[:, blocks.column(baseline)]).sum() == 0:
        notes.append(f"The baseline '{baseline}' has no value in any block, so nothing can be compared.")
    if family == "exploratory":
        notes.append("Exploratory: this metric was not the one the study set out to judge by.")
    return tuple(notes)


def next_look(analysis: Analysis) -> tuple[int | None, tuple[str, ...]]:
    """Return the number of blocks at the next look, and the arms whose contrasts are still open.

    The number is None when every contrast is decided or the schedule is at its end; arms can be open then. Only the
    baseline and the open arms need more blocks.
    """
    open_arms = [c for c in analysis.contrasts if not c.decided]
    following = [c.look.next for c in open_arms if c.look.next is not None]
    return (min(following) if following else None), tuple(c.arm for c in open_arms)


def closed(analysis: Analysis, arms: Collection[str]) -> Analysis:
    """Return an analysis of which some arms are looked at no more, whatever its own schedule had in store for them."""
    contrasts = [
        replace(c, look=replace(c.look, next=None)) if c.arm in arms and c.look.rule == "scheduled" else c
        for c in analysis.contrasts
    ]
    return replace(analysis, contrasts=tuple(replace(c, sentence=sentence(c, analysis)) for c in contrasts))
