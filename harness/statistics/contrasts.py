"""From a table of units, arms and values to contrasts with verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from harness.errors import DataError, did_you_mean
from harness.statistics import group_sequential as looking
from harness.statistics import paired_tests as paired
from harness.statistics import sentences as words
from harness.statistics import stopping
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
    Sensitivity,
    Spread,
    WorstRank,
    known,
)
from harness.statistics.paired_blocks import Blocks, Floats, PairedBlocks, baseline_mean, blocks_of, label
from harness.statistics.stopping import DECIDED, Reading
from harness.statistics.verdict_rule import Better, Margin, Scale, Verdict

Costs = Mapping[str, Mapping[str, float | None]]
Given = Mapping[str, tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of every contrast of one analysis."""

    baseline: str
    better: Better
    scale: Scale
    margin: Margin | None
    margin_base: float
    """The baseline mean that a relative margin on the raw scale refers to."""
    looks: tuple[int, ...] | None
    alpha: float
    costs: Costs

    def width(self, factor: float = 1.0) -> float | None:
        """Half-width of the margin times a factor, on the scale of the analysis."""
        return None if self.margin is None else self.margin.times(factor).on(self.scale, self.margin_base)

    def read(self, pairs: PairedBlocks) -> Reading:
        """Return the reading by the rule that the question asks for."""
        if self.looks is None:
            return stopping.read_fixed(pairs, self.alpha, self.width(), self.better)
        return stopping.read_looks(pairs, self.looks, self.alpha, self.width(), self.better)


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
    where: str = "table",
) -> Analysis:
    """Return the verdict on every arm against the baseline, in matched blocks.

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
        alpha: Error rate of each contrast, in (0, 0.5).
        metric: What the values are called in sentences.
        family: ``exploratory`` analyses are labelled so; pass them to `false_discovery` together.
        costs: Per cost (``parameters``) its value in each arm, to be shown beside quality.
        given: Arms that were settled before training: a verdict (no-op, invalid) and the reason. They need no rows.
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
    schedule = None if looks is None else looking.check_looks(looks)
    asked = _Question(
        baseline,
        better,
        scale,
        Margin.parse(margin),
        baseline_mean(blocks, baseline, schedule[0] if schedule else None),
        schedule,
        alpha,
        costs or {},
    )
    readings = [asked.read(blocks.pairs(arm, baseline)) for arm in arms]
    contrasts = _adjusted(
        [_contrast(asked, arm, r) for arm, r in zip(arms, readings, strict=True)], readings, blocks, alpha
    )
    contrasts += [_given(asked, arm, verdict, reason) for arm, (verdict, reason) in given.items()]
    analysis = Analysis(
        metric=metric,
        baseline=baseline,
        better=better,
        scale=scale,
        alpha=alpha,
        margin=None if asked.margin is None else str(asked.margin),
        family=family,
        blocks=len(blocks.units),
        looks=schedule,
        nominal_p=None if schedule is None else looking.boundaries(schedule, alpha),
        contrasts=tuple(contrasts),
        notes=_notes(blocks, baseline, family),
    )
    return replace(analysis, contrasts=tuple(replace(c, sentence=words.sentence(c, analysis)) for c in contrasts))


def _contrast(asked: _Question, arm: str, reading: Reading) -> Contrast:
    pairs, summary = reading.pairs, reading.summary
    verdict, reason = reading.verdict(asked.width(), asked.better)
    width = asked.width()
    low90, high90 = summary.interval(2 * asked.alpha)
    rho, factor = paired.correlation(pairs)
    sd_arm, sd_baseline, p_spread = paired.pitman_morgan(pairs)
    arm_only, baseline_only, p_failures = paired.mcnemar(pairs)
    d = pairs.differences
    wins = int((d < 0).sum() if asked.better == "lower" else (d > 0).sum())
    means = [_mean(x[pairs.complete], asked.scale) for x in (pairs.arm, pairs.baseline)]
    low, high = (known(bound) for bound in reading.outer)
    skew = paired.skewness(d)
    p_flip = paired.sign_flip(d)
    return Contrast(
        arm=arm,
        baseline=asked.baseline,
        n=summary.n,
        pairs_lost=pairs.lost,
        mean_arm=means[0],
        mean_baseline=means[1],
        estimate=known(summary.mean),
        sd=known(summary.sd),
        ci=Interval(1 - asked.alpha, low, high, reading.kind),
        t=known(summary.t),
        p_value=known(summary.p),
        p_sign_flip=known(p_flip),
        sign_flip="exact" if len(d) <= paired.EXACT_UP_TO else "monte carlo",
        p_sequential=None if asked.looks is None else known(reading.p_family),
        equivalence=Equivalence(
            width, None if width is None else known(paired.tost(summary, width)), known(low90), known(high90)
        ),
        correlation=known(rho),
        variance_reduction=known(factor),
        verdict=verdict,
        verdict_half_margin=reading.verdict(asked.width(0.5), asked.better)[0],
        verdict_double_margin=reading.verdict(asked.width(2.0), asked.better)[0],
        verdict_family=verdict,
        decided=verdict in DECIDED,
        better_in=BetterIn(wins, len(d), int((d == 0).sum()), wins / len(d) if len(d) else None),
        fold_change=_fold(asked.scale, summary.mean, low, high, means),
        relative_change=_relative(asked.scale, summary.mean, means[1]),
        failures=Failures(
            int(pairs.arm_failed.sum()), int(pairs.baseline_failed.sum()), arm_only, baseline_only, p_failures
        ),
        worst_rank=paired.worst_ranked(pairs, asked.better),
        spread=Spread(
            known(sd_arm), known(sd_baseline), known(sd_arm / sd_baseline) if sd_baseline else None, known(p_spread)
        ),
        sensitivity=Sensitivity(known(skew), len(d) >= 6 and abs(skew) > 1, _agree(reading, p_flip)),
        look=reading.look,
        costs=_costs(asked, arm),
        reason=reason,
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


def _agree(reading: Reading, p_flip: float) -> bool | None:
    p = reading.nominal_p
    if not reading.summary.usable or 2 * 0.5**reading.summary.n > p:
        return None
    if reading.look.rule == "anytime-valid":
        return ((reading.outer[0] > 0) | (reading.outer[1] < 0)) == (p_flip <= p)
    return (reading.summary.p <= p) == (p_flip <= p)


def _costs(asked: _Question, arm: str) -> tuple[CostRatio, ...]:
    costs = []
    for name, by_arm in asked.costs.items():
        a, b = by_arm.get(arm), by_arm.get(asked.baseline)
        costs.append(CostRatio(name, a, b, a / b if a is not None and b else None))
    return tuple(costs)


def _adjusted(contrasts: list[Contrast], readings: list[Reading], blocks: Blocks, alpha: float) -> list[Contrast]:
    differs = stopping.holm([r.p_family for r in readings])
    equal = stopping.holm([r.p_family_equal for r in readings])
    used = np.full((len(blocks.units), len(readings)), np.nan)
    for column, (contrast, reading) in enumerate(zip(contrasts, readings, strict=True)):
        both = np.flatnonzero(
            blocks.present[:, blocks.column(contrast.arm)] & blocks.present[:, blocks.column(contrast.baseline)]
        )[: len(reading.pairs.arm)]
        used[both, column] = reading.pairs.arm - reading.pairs.baseline
    joint = paired.max_t(used)
    return [
        replace(
            c,
            p_holm=known(p),
            p_max_t=known(float(p_joint)),
            verdict_family=stopping.family_verdict(r, p, p_equal, c.verdict, alpha),
        )
        for c, r, p, p_equal, p_joint in zip(contrasts, readings, differs, equal, joint, strict=True)
    ]


def _given(asked: _Question, arm: str, verdict: Verdict, reason: str) -> Contrast:
    nothing = np.empty(0)
    none = np.empty(0, dtype=bool)
    pairs = PairedBlocks(nothing, nothing, none, none, np.empty(0, dtype=np.int64), 0)
    empty = _contrast(asked, arm, stopping.read_fixed(pairs, asked.alpha, None, asked.better))
    return replace(
        empty,
        verdict=verdict,
        verdict_half_margin=verdict,
        verdict_double_margin=verdict,
        verdict_family=verdict,
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


def false_discovery(analyses: Sequence[Analysis]) -> tuple[Analysis, ...]:
    """Return exploratory analyses with `p_fdr` over all their contrasts together (Benjamini & Hochberg 1995)."""
    p_values = [c.p_sequential if c.p_sequential is not None else c.p_value for a in analyses for c in a.contrasts]
    tested = [p for p in p_values if p is not None]
    adjusted = iter(stats.false_discovery_control(tested).tolist() if tested else [])
    p_fdr = iter([None if p is None else float(next(adjusted)) for p in p_values])
    return tuple(
        replace(a, family="exploratory", contrasts=tuple(replace(c, p_fdr=next(p_fdr)) for c in a.contrasts))
        for a in analyses
    )
