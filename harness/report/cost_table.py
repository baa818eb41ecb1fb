"""What each arm costs, as multiples of the baseline's: as a table, and in a few words."""

from __future__ import annotations

import math

from harness.report.table import NONE, TIMES, Column, Table, ratio, short, table
from harness.statistics import Contrast
from harness.verdicts.judge import StudyVerdicts

SAME = 0.05
"""Costs that differ from the baseline's by less than this share are not worth a word beside a verdict."""


def costs_in_short(c: Contrast, most: int = 2) -> str:
    """Return the cost that differs most from the baseline's and the time, ``parameters of D ×4.2``.

    Nothing where no cost is known.
    """
    ratios = {cost.name: cost.ratio for cost in c.costs if cost.ratio is not None and cost.ratio > 0}
    if not ratios:
        return ""
    differ = sorted((name for name, r in ratios.items() if abs(r - 1) >= SAME), key=lambda n: -abs(math.log(ratios[n])))
    first = [*differ[:1], *(name for name in differ[1:] if name.startswith("time"))]
    return ", ".join(f"{name} {TIMES}{short(ratios[name], 2)}" for name in first[:most]) or "costs the same"


def cost_table(findings: StudyVerdicts) -> Table | None:
    """Return the costs of each arm as multiples of the baseline's; None where none are known."""
    analysis = findings.primary
    if analysis is None:
        return None
    names = dict.fromkeys(cost.name for c in analysis.contrasts for cost in c.costs)
    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("verdict", lambda c: c.verdict.value, words=True, marked=True),
        *(Column(name, lambda c, name=name: _cost(c, name)) for name in names),  # type: ignore[misc]
    )
    return table(
        "costs",
        "What it costs",
        f"Each cost as a multiple of that of '{analysis.baseline}' (medians over trials); below 1 is cheaper. D is the "
        "discriminator, G the generator.",
        columns,
        (c for c in analysis.contrasts if c.costs),
    )


def _cost(c: Contrast, name: str) -> str:
    return next((ratio(cost.ratio) for cost in c.costs if cost.name == name), NONE)
