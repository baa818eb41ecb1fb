"""What an analysis says, as plain frozen data that turns into JSON without NaN."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from harness.statistics.verdict_rule import Better, Scale, Verdict

Favoured = Literal["arm", "baseline", "neither"]
Rule = Literal["fixed", "before the first look", "scheduled", "anytime-valid", "given"]


def plain(value: Any) -> Any:
    """Return JSON's own types: tuples as lists, enums as text, NaN and infinity as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)


def known(value: float) -> float | None:
    """Return a finite number as it is, and None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval on the scale of the analysis; null bounds where there is none."""

    level: float
    low: float | None
    high: float | None
    kind: str = "t"
    """``t``; ``repeated`` (holds at all looks together); ``anytime`` (holds at any number of blocks); ``exact`` (all
    differences are equal)."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided t tests against ±margin, and the interval that says the same."""

    margin: float | None
    """Half-width on the scale of the analysis; null without a margin."""
    p_value: float | None
    """For this number of blocks fixed in advance, of this contrast alone."""
    p_holm: float | None
    """Over all looks and over all contrasts of the analysis: equivalence is shown where it is at most alpha."""
    level: float
    """1 - 2 alpha for one contrast, which is 90 % by default; wider for each of several."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class BetterIn:
    """In how many blocks the arm was better than the baseline, among completed pairs."""

    blocks: int
    of: int
    ties: int
    share: float | None


@dataclass(frozen=True, slots=True)
class FoldChange:
    """The effect as a ratio arm / baseline of the metric; on the raw scale a ratio of means without bounds."""

    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed trials as an outcome of their own."""

    arm: int
    baseline: int
    arm_only: int
    baseline_only: int
    p_mcnemar: float | None
    """Exact two-sided McNemar test on the blocks in which just one of the two failed."""


@dataclass(frozen=True, slots=True)
class WorstRank:
    """The comparison with failed trials ranked worse than every value."""

    p_value: float | None
    """Exact sign flip of signed ranks."""
    better: int
    worse: int
    favours: Favoured


@dataclass(frozen=True, slots=True)
class Spread:
    """Stability over blocks, on the scale of the analysis: standard deviations and Pitman-Morgan's test."""

    sd_arm: float | None
    sd_baseline: float | None
    ratio: float | None
    p_pitman_morgan: float | None


@dataclass(frozen=True, slots=True)
class Robustness:
    """Whether the t test and the exact sign flip come to the same answer."""

    skewness: float | None
    skewed: bool
    """|skewness| above 1 in six or more pairs."""
    agree: bool | None
    """Null when there are too few pairs for the sign flip to reach the level, or no t test."""


@dataclass(frozen=True, slots=True)
class Look:
    """By which rule the verdict was reached, and when."""

    rule: Rule
    number: int | None
    """Which look of the schedule, from 1."""
    blocks: int
    """Blocks that were analysed, lost pairs included."""
    nominal_p: float | None
    """Two-sided p value that a test had to reach at this look."""
    next: int | None
    """Number of blocks at the next look if the contrast is still open; null when it is decided or the schedule ends."""
    unused: int
    """Later blocks with both rows that play no part: after a decision, or between two looks."""
    e_value: float | None
    """Evidence against no difference beyond the schedule; 1 / alpha or more rejects."""


@dataclass(frozen=True, slots=True)
class StageWise:
    """The effect once the stop is accounted for, by the stage-wise ordering of what could have come about."""

    estimate: float
    """Median-unbiased: as often too large as too small, over all studies with this schedule."""
    level: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Provisional:
    """The plan was changed after rows were seen, so the error rate is no longer the planned one."""

    reason: str
    error_rate: float | None
    """Of a false "helps" or "hurts" over all contrasts and all plans so far; null where nobody can know."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Whether the positive control was told apart by one metric (assay sensitivity, ICH E10)."""

    shown: bool
    reason: str
    """What the positive control came to, as a clause."""


@dataclass(frozen=True, slots=True)
class CostRatio:
    """One cost beside quality, such as parameters or seconds per step: medians over trials."""

    name: str
    arm: float | None
    baseline: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One arm against the baseline on one metric; estimates are arm minus baseline on the scale of the analysis."""

    arm: str
    baseline: str
    n: int
    """Completed pairs."""
    pairs_lost: int
    """Blocks analysed that gave no pair: failed, without a value or without a row."""
    mean_arm: float | None
    """Mean over completed pairs on the scale of the table; geometric on the log scale."""
    mean_baseline: float | None
    estimate: float | None
    sd: float | None
    """Standard deviation of the differences."""
    ci: Interval
    t: float | None
    p_value: float | None
    """Two-sided paired t test, for this number of blocks fixed in advance."""
    p_sign_flip: float | None
    sign_flip: Literal["exact", "monte carlo"]
    p_sequential: float | None
    """Of this contrast alone, over all looks; null without a schedule."""
    equivalence: Equivalence
    correlation: float | None
    variance_reduction: float | None
    p_holm: float | None = None
    """Over all contrasts and all looks (Holm on p values over looks): helps or hurts where it is at most alpha."""
    p_max_t: float | None = None
    p_fdr: float | None = None
    """Benjamini-Hochberg over exploratory contrasts; null in a primary analysis."""
    verdict: Verdict
    """Holds over all contrasts of the analysis and all looks together."""
    verdict_half_margin: Verdict
    verdict_double_margin: Verdict
    verdict_uncorrected: Verdict
    """Of this contrast as if it were the only one: what a false alarm rate of alpha for each contrast would say."""
    decided: bool
    better_in: BetterIn
    fold_change: FoldChange
    relative_change: float | None
    """Estimated change as a share of the baseline's mean; -0.1 is 10 % lower."""
    failures: Failures
    worst_rank: WorstRank
    spread: Spread
    robustness: Robustness
    look: Look
    stage_wise: StageWise | None
    """Where a schedule stopped; null without one, and while the contrast is open."""
    costs: tuple[CostRatio, ...] = ()
    reason: str | None = None
    """Why the verdict is not what the interval alone would say."""
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All contrasts of one metric; `to_dict` is the document of ``compare --json``."""

    metric: str
    baseline: str
    better: Better
    scale: Scale
    alpha: float
    margin: str | None
    """As it was written."""
    family: Literal["primary", "exploratory"]
    family_size: int
    """Contrasts over which the verdicts hold together: all that are judged by rows."""
    blocks: int
    """Units in the table."""
    looks: tuple[int, ...] | None
    nominal_p: tuple[float, ...] | None
    contrasts: tuple[Contrast, ...]
    sensitivity: Sensitivity | None = None
    """None where nobody asked whether the experiment could have told."""
    provisional: Provisional | None = None
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types, null in place of NaN and infinity."""
        document: dict[str, Any] = plain(self)
        return document

    def contrast(self, arm: str) -> Contrast:
        """Return the contrast of one arm; raises KeyError for an arm that has none."""
        for contrast in self.contrasts:
            if contrast.arm == arm:
                return contrast
        raise KeyError(arm)
