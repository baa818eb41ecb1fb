"""What the analysis of a factorial table says, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.statistics.analysis import Interval, plain
from harness.statistics.verdict_rule import Scale, Verdict


@dataclass(frozen=True, slots=True)
class LevelEffect:
    """One level of a factor with more than two levels, averaged over the other factors."""

    level: str
    mean: float
    """Fitted, on the scale of the analysis."""
    difference: float
    """Against the factor's first level."""
    ci: Interval


@dataclass(frozen=True, slots=True)
class ByBlock:
    """The effect computed in each complete block, then a t test over blocks, so that terms need not share an error."""

    n: int
    t: float | None
    p_value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One term of the model of a factorial design."""

    term: str
    """Factor names joined by ``:``."""
    estimate: float | None
    """Two-level terms: mean at + minus mean at -, + being the second level in `Factorial.factors` (for interactions:
    where the product of signs is +). Null for terms with more than two levels, which have `levels`."""
    ci: Interval
    sum_of_squares: float
    """Of this term after all others (type III)."""
    df: int
    f: float | None
    p_value: float | None
    """F test against the residual; with Lenth's method, t with m / 3 degrees of freedom (Lenth 1989)."""
    p_holm: float | None
    pse: float | None
    """Lenth's pseudo standard error, where there is no residual."""
    margin_of_error: float | None
    fold_change: float | None
    """exp(estimate) on the log scale."""
    aliases: tuple[str, ...]
    """Terms that this design cannot tell from this one, with the sign."""
    levels: tuple[LevelEffect, ...]
    by_block: ByBlock | None
    verdict: Verdict | None
    """Of a main effect of two levels where a direction is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """The analysis of one factorial table."""

    metric: str
    scale: Scale
    alpha: float
    margin: str | None
    factors: dict[str, tuple[str, ...]]
    """Levels of each factor; the first is -."""
    blocks: int
    rows: int
    rows_lost: int
    """Rows that failed or have no value."""
    mean: float
    effects: tuple[Effect, ...]
    block_sum_of_squares: float | None
    block_df: int
    residual_sum_of_squares: float
    residual_df: int
    pse: float | None
    margin_of_error: float | None
    simultaneous_margin_of_error: float | None
    main_effects_plot: tuple[dict[str, Any], ...]
    """Mean and count per level of each factor, on the scale of the table (geometric means on the log scale)."""
    interaction_plot: tuple[dict[str, Any], ...]
    """Mean and count per pair of levels of each two factors."""
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types, null in place of NaN and infinity."""
        document: dict[str, Any] = plain(self)
        return document
