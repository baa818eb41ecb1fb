"""The figure of intervals: estimate and interval of every contrast, with the margin as a band and the cost beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.report.colours import COLOURS
from harness.report.cost_table import costs_in_short
from harness.report.drawing import INK, TEXT, WIDE, Figure, Screen, panels_of, ratio_label, wrapped
from harness.report.verdict_tables import margin_in_words
from harness.statistics import Analysis, Contrast
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

TICKS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 1.0),
    *(1.01, 1.02, 1.05, 1.1, 1.25),
    *(2, 5, 10, 20, 50, 100),
)
"""Ratios at which a logarithmic axis of changes may be labelled."""


def forest(findings: StudyVerdicts) -> Figure | None:
    """Return estimate and interval of every contrast, with the margin as a band; None where nothing was estimated."""
    analysis = findings.primary
    if analysis is None or all(c.estimate is None for c in analysis.contrasts):
        return None
    return Figure(
        "forest",
        "How large, and how sure",
        "Dot: estimate. The thin line is the interval that asks whether there is a difference: one that stays clear of "
        "0 shows that there is. The thick line is the narrower interval that asks whether it matters: one that stays "
        "inside the band, the margin, shows that it does not. Costs are multiples of the baseline's.",
        f"Change in {analysis.metric} of each arm, with its interval, the margin and what it costs",
        lambda screen: draw_forest(analysis, screen),
    )


def draw_forest(analysis: Analysis, screen: Screen = WIDE) -> Drawing:
    """Return the figure for a screen: names and costs stand beside the lines on a wide one, above them on a phone's."""
    contrasts = [c for c in analysis.contrasts if c.estimate is not None]
    tall = 0.72 if screen.narrow else 0.46
    drawing, (axes,) = panels_of(screen._replace(columns=1), 1, height=1.0 + tall * max(len(contrasts), 1))
    margin = next((c.equivalence.margin for c in contrasts if c.equivalence.margin is not None), None)
    limit = _limit(contrasts, margin)
    if margin is not None:
        axes.axvspan(-margin, margin, color=COLOURS["equivalent"], alpha=0.14, lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    for row, c in enumerate(contrasts):
        _whisker(axes, row, c, limit)
        (_say_above if screen.narrow else _say_beside)(axes, row, c)
    axes.set_xlim(-limit, limit)
    axes.set_ylim(len(contrasts) - 0.4, -0.8 if screen.narrow else -0.6)
    axes.set_yticks(
        [] if screen.narrow else range(len(contrasts)),
        [] if screen.narrow else [wrapped(c.arm, 30) for c in contrasts],
        parse_math=False,
    )
    axes.tick_params(axis="y", length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    _label_changes(axes, analysis, limit)
    first, second = ("better", "worse") if analysis.better == "lower" else ("worse", "better")
    band = [] if margin is None else [f"(band: margin of {margin_in_words(analysis)})"]
    axes.set_xlabel(("\n" if screen.narrow else " ").join([f"change in {analysis.metric}", *band]), parse_math=False)
    for place, word, side in ((0.0, f"← {first}", "left"), (1.0, f"{second} →", "right")):
        axes.annotate(word, (place, 1.0), (0, 3), "axes fraction", "offset points", ha=side, color=INK, fontsize=TEXT)
    return drawing


def _limit(contrasts: Sequence[Contrast], margin: float | None) -> float:
    """Return how far the axis reaches: past every estimate and margin; an interval of few blocks may run out of it."""
    core = max([abs(c.estimate or 0.0) for c in contrasts] + ([2 * margin] if margin else []), default=1.0)
    reach = [abs(b) for c in contrasts for b in (c.ci.low, c.ci.high) if b is not None]
    return 1.12 * max(core, min(max(reach, default=0.0), 3 * core)) or 1.0


def _whisker(axes: Axes, row: int, c: Contrast, limit: float) -> None:
    colour, estimate = COLOURS[c.verdict.value], c.estimate or 0.0
    if c.ci.low is not None and c.ci.high is not None:
        low, high = max(c.ci.low, -limit), min(c.ci.high, limit)
        axes.plot([low, high], [row, row], color=colour, lw=1.6, solid_capstyle="butt")
        for bound, end, marker in ((c.ci.low, -limit, "<"), (c.ci.high, limit, ">")):
            if abs(bound) > limit:
                axes.plot([end * 0.99], [row], marker=marker, color=colour, ms=7, clip_on=False)
    inner = c.equivalence
    if inner.margin is not None and inner.low is not None and inner.high is not None:
        ends = [max(inner.low, -limit), min(inner.high, limit)]
        axes.plot(ends, [row, row], color=colour, lw=5, solid_capstyle="butt", alpha=0.55)
    axes.plot([estimate], [row], marker="o", color=colour, ms=8)


def _say_beside(axes: Axes, row: int, c: Contrast) -> None:
    """Write verdict and cost at the right of a line."""
    costs = costs_in_short(c, most=1)
    for text, up, weight, colour in (
        (f"{c.verdict.value} (n = {c.n})", 6 if costs else 0, "bold", COLOURS[c.verdict.value]),
        (costs, -7, "normal", INK),
    ):
        axes.annotate(
            text,
            (1.0, row),
            (8, up),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            color=colour,
            fontweight=weight,
            fontsize=TEXT,
            parse_math=False,
        )


def _say_above(axes: Axes, row: int, c: Contrast) -> None:
    """Write arm, verdict and cost over a line."""
    arm = c.arm if len(c.arm) <= 34 else f"{c.arm[:33]}…"
    said = f"{c.verdict.value} (n = {c.n}){', ' * bool(costs := costs_in_short(c, most=1))}{costs}"
    for text, up, weight, colour in ((arm, 19, "normal", INK), (said, 7, "bold", COLOURS[c.verdict.value])):
        axes.annotate(
            text,
            (0.0, row),
            (0, up),
            ("axes fraction", "data"),
            "offset points",
            color=colour,
            fontweight=weight,
            fontsize=TEXT,
            parse_math=False,
        )


def _label_changes(axes: Axes, analysis: Analysis, limit: float) -> None:
    """Label a logarithmic axis with percentages and multiples, any other with so few numbers that they stay apart."""
    if analysis.scale != "log":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(5))
        return
    ratios = [r for r in TICKS if abs(math.log(r)) <= limit]
    kept: list[float] = [1.0]
    for r in sorted(ratios, key=lambda r: -abs(math.log(r))):
        if all(abs(math.log(r) - math.log(k)) > limit / 4 for k in kept):
            kept.append(r)
    axes.set_xticks([math.log(r) for r in kept], [ratio_label(r) for r in kept])
