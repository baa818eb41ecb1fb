"""Statements about several arms at once: a ranking, and how far an outcome spreads over levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from harness.errors import DataError
from harness.statistics.paired_blocks import Floats
from harness.statistics.verdict_rule import Better, Scale


@dataclass(frozen=True, slots=True)
class Trend:
    """Page's test that arms are ranked as claimed."""

    statistic: float | None
    """Page's L: ranks within blocks, summed by arm, weighted by the claimed places; None without a whole block."""
    p_value: float | None
    """That the ranks rise along the claimed order by chance, one-sided."""
    p_reversed: float | None
    """That they fall along it by chance."""
    blocks: int
    """Blocks in which every arm has a row."""

    def outcome(self, alpha: float) -> str:
        """Return supported, contradicted (the reverse order is shown) or not settled."""
        if self.p_value is None or self.p_reversed is None:
            return "not settled"
        return "supported" if self.p_value <= alpha else "contradicted" if self.p_reversed <= alpha else "not settled"


def trend(table: pd.DataFrame, order: Sequence[str], better: Better) -> Trend:
    """Test a ranking that was claimed in advance, best first (Page, JASA 58, 1963), by blocks.

    Values are ranked within each block, the best first, failed trials last; equal ones share their mean rank. Against
    chance, where every order within a block is as likely.

    Args:
        table: Columns unit, arm, value, failed.
        order: Three arms or more, the best first.
        better: Which direction is better.

    Raises:
        DataError: Fewer than three arms, or one twice.
    """
    if len(order) < 3 or len(set(order)) < len(order):
        raise DataError(f"a ranking names three different arms or more, the best first; found {', '.join(order)}")
    cost = table["value"] * (1 if better == "lower" else -1)
    cost = cost.where(~table["failed"] & table["value"].notna(), np.inf)
    wide = table.assign(cost=cost).pivot(index="unit", columns="arm", values="cost").reindex(columns=list(order))
    ranks = scipy.stats.rankdata(wide.dropna().to_numpy(), axis=1)
    if len(ranks) < 2:
        return Trend(None, None, None, len(ranks))
    forward, backward = (scipy.stats.page_trend_test(r, ranked=True, method="auto") for r in (ranks, ranks[:, ::-1]))
    return Trend(float(forward.statistic), float(forward.pvalue), float(backward.pvalue), len(ranks))


def spreads(table: pd.DataFrame, of: str, over: str, scale: Scale) -> pd.DataFrame:
    """Return how far values spread over the levels of one factor, for each level of another and each block.

    The spread is the standard deviation over the levels of `over`, of logarithms on the log scale. A block in which
    one of these trials failed has a failed spread: whoever fails at a level is not insensitive to it.

    Args:
        table: Columns unit, value, failed and the two factors.
        of: Factor whose levels become arms.
        over: Factor over whose levels the values spread.
        scale: Of the metric.

    Returns:
        Columns unit, arm, value and failed, as contrasts are made of.
    """
    value = np.log(table["value"]) if scale == "log" else table["value"]
    every = table[over].nunique()
    grouped = table.assign(value=value).groupby(["unit", of], sort=False)
    rows = [
        {
            "unit": unit,
            "arm": level,
            "value": _spread(group["value"].to_numpy(float)),
            "failed": bool(group["failed"].any() or group["value"].isna().any()),
        }
        for (unit, level), group in grouped
        if len(group) == every
    ]
    return pd.DataFrame(rows, columns=["unit", "arm", "value", "failed"])


def _spread(values: Floats) -> float:
    return float(np.std(values, ddof=1)) if np.isfinite(values).all() else float("nan")
