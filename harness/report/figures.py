"""Figures of blocks and of two axes together; text and lines take the page's colour, so they read in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.catalogue import metric_named
from harness.report.colours import COLOURS, LINES
from harness.report.drawing import INK, TEXT, Figure, Screen, panels_of, value_axis, wrapped
from harness.results.schema import REACHED_HORIZON
from harness.statistics import Analysis, Contrast
from harness.statistics.factorial import Factorial
from harness.statistics.verdict_rule import Better
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from numpy.typing import NDArray

MOST_LINES = 300
"""Blocks or trials that a figure draws one by one, over all its panels; more could not be told apart."""
MOST_PANELS = 12
"""Contrasts whose blocks are drawn; the table and the figure of intervals have all of them."""


def clearest(analysis: Analysis) -> list[Contrast]:
    """Return the contrasts that have pairs, in their order; of many those with the smallest p values."""
    every = [c for c in analysis.contrasts if c.n]
    kept = sorted(every, key=lambda c: math.inf if c.p_value is None else c.p_value)[:MOST_PANELS]
    return [c for c in every if c in kept]


def some_of(analysis: Analysis, shown: Sequence[Contrast]) -> str:
    """Return how many of the contrasts a figure shows; nothing where it shows all."""
    every = sum(c.n > 0 for c in analysis.contrasts)
    return f", the {len(shown)} clearest of {every} contrasts" if len(shown) < every else ""


def paired(findings: StudyVerdicts) -> Figure | None:
    """Return each block as a line from baseline to arm, a panel per contrast; None without a pair."""
    analysis, trials = findings.primary, findings.tables.trials
    contrasts = [] if analysis is None else clearest(analysis)
    if analysis is None or not contrasts:
        return None
    rows = trials[trials["status"].isin(REACHED_HORIZON)]
    values = rows.dropna(subset=[analysis.metric]).set_index(["block", "arm"])[analysis.metric].unstack("arm")
    pairs = [spaced(values[[c.baseline, c.arm]].dropna().astype("float64"), len(contrasts)) for c in contrasts]
    fewer = len(pairs[-1]) < len(values)
    some = (f", {len(pairs[-1])} blocks of {len(values)}" if fewer else "") + some_of(analysis, contrasts)
    return Figure(
        "paired",
        "Block by block",
        "Each line is one block (its number at the right), from the baseline to the arm: green is better, red is "
        "worse. Matched blocks share initial weights, data order and noise.",
        f"{analysis.metric} of baseline and arm, block by block{some}",
        lambda screen: _draw_paired(analysis, contrasts, pairs, screen),
    )


def _draw_paired(
    analysis: Analysis, contrasts: Sequence[Contrast], pairs: Sequence[pd.DataFrame], screen: Screen
) -> Drawing:
    drawing, panels = panels_of(screen, len(contrasts), height=2.5 if screen.narrow else 2.7, share=True)
    for axes, c, of_arm in zip(panels, contrasts, pairs, strict=True):
        for kind, lines in _by_direction(of_arm.to_numpy(), analysis.better).items():
            # One line with gaps: hundreds of lines of their own would be most of the page.
            between = np.full((len(lines), 1), math.nan)
            values, places = np.hstack([lines, between]).ravel(), np.tile([0.0, 1.0, math.nan], len(lines))
            axes.plot(places, values, color=COLOURS[kind], lw=1.4, marker="o", ms=4)
        lost = f", {c.pairs_lost} lost" if c.pairs_lost else ""
        counted = f"better in {c.better_in.blocks} of {c.better_in.of}{lost}"
        axes.set_title(f"{wrapped(c.arm, 20)}\n{counted}", fontsize=TEXT, parse_math=False)
        axes.set_xticks([0, 1], ["baseline", "arm"])
        axes.set_xlim(-0.25, 1.35)
        value_axis(axes, analysis.scale)
    for axes, of_arm in zip(panels, pairs, strict=True):
        _number_blocks(axes, of_arm.iloc[:, 1])
    panels[0].set_ylabel(metric_label(analysis.metric), parse_math=False)
    return drawing


def _by_direction(pairs: NDArray[np.float64], better: Better) -> dict[str, NDArray[np.float64]]:
    """Return rows of baseline and arm by what the arm does in them, named as the verdicts whose colours they take."""
    change = np.sign(pairs[:, 1] - pairs[:, 0]) * (-1 if better == "lower" else 1)
    return {kind: pairs[change == sign] for kind, sign in (("helps", 1), ("hurts", -1), ("inconclusive", 0))}


def _number_blocks(axes: Axes, ends: pd.Series[float]) -> None:
    """Write the number of each block at the end of its line, but where it would stand on another."""
    low, high = axes.get_ylim()
    last = -math.inf
    for block, end in ends.sort_values().items():
        if end - last < 0.07 * (high - low):
            continue
        last = float(end)
        axes.annotate(f"{block}", (1, end), (5, 0), "data", "offset points", va="center", fontsize=TEXT, color=INK)


def spaced(rows: pd.DataFrame, panels: int) -> pd.DataFrame:
    """Return as many rows as a figure of so many panels can show, evenly spaced."""
    most = max(6, MOST_LINES // panels)
    return rows.iloc[:: math.ceil(len(rows) / most)] if len(rows) > most else rows


def interactions(findings: StudyVerdicts) -> Figure | None:
    """Return the mean at each pair of levels, a panel per pair of axes; None for designs that are not factorial."""
    effects = findings.effects
    if effects is None or not effects.interaction_plot:
        return None
    return Figure(
        "interactions",
        "Two axes together",
        "Means of trials at each pair of levels. Lines that run side by side: each axis does the same whatever the "
        "other is set to; lines that part or cross: it depends.",
        f"{effects.metric} at each pair of levels of two axes",
        lambda screen: _draw_interactions(effects, screen),
    )


def _draw_interactions(effects: Factorial, screen: Screen) -> Drawing:
    means = {(tuple(point["factors"]), tuple(point["levels"])): point["mean"] for point in effects.interaction_plot}
    pairs = list(dict.fromkeys(factors for factors, _ in means))
    drawing, panels = panels_of(screen._replace(columns=1) if screen.narrow else screen, len(pairs), height=2.7)
    for axes, (first, second) in zip(panels, pairs, strict=True):
        levels = effects.factors[first]
        for number, level in enumerate(effects.factors[second]):
            line = [means.get(((first, second), (along, level)), math.nan) for along in levels]
            axes.plot(range(len(levels)), line, color=LINES[number % len(LINES)], lw=1.8, marker="o", ms=4, label=level)
        axes.set_xticks(range(len(levels)), [wrapped(level) for level in levels], parse_math=False)
        axes.set_xlabel(first, parse_math=False)
        axes.margins(x=0.15)
        value_axis(axes, effects.scale)
        legend = axes.legend(title=second, frameon=False, fontsize=TEXT, title_fontsize=TEXT, labelcolor=INK)
        for text in (legend.get_title(), *legend.get_texts()):
            text.set_color(INK)
            text.set_parse_math(False)
    panels[0].set_ylabel(metric_label(effects.metric), parse_math=False)
    return drawing


def metric_label(name: str) -> str:
    """Return a metric with its direction, in two lines."""
    arrow = {"lower": "↓ lower is better", "higher": "↑ higher is better"}[metric_named(name).better]
    return f"{name}\n{arrow}"
