"""The figures of a report; text and lines take the page's colour, so they read in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.report.drawing import INK, Figure, legend_below, panels_of, value_axis, wrapped
from harness.report.table import TIMES
from harness.report.verdict_tables import margin_in_words
from harness.results.schema import REACHED_HORIZON
from harness.statistics import Analysis, Contrast
from harness.study.study import BASELINE
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = {
    "helps": "#2e9e5b",
    "hurts": "#d6453d",
    "equivalent": "#3b82c4",
    "negligible": "#2a9d9d",
    "not sensitive": "#d98324",
    "inconclusive": "#8a8f98",
    "no-op": "#8a8f98",
    "invalid": "#8a8f98",
}
"""Middle tones, which read on white and on black; the word is always there as well."""
LINES = ("#3b82c4", "#d98324", "#2e9e5b", "#a05fb4", "#d6453d", "#2a9d9d", "#b08968", "#c2548c", "#7a8b2f", "#5b6abf")
TICKS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 1.0),
    *(1.01, 1.02, 1.05, 1.1, 1.25),
    *(2, 5, 10, 20, 50, 100),
)
"""Ratios at which a logarithmic axis of changes may be labelled."""
MOST_LINES = 300
"""Blocks or trials that a figure draws one by one, over all its panels; more could not be told apart."""
MOST_PANELS = 12
"""Contrasts whose blocks are drawn; the table and the figure of intervals have all of them."""
PANELS = 3
"""Small figures side by side."""


def forest(findings: StudyVerdicts) -> Figure | None:
    """Return estimate and interval of every contrast, with the margin as a band; None where nothing was estimated."""
    analysis = findings.primary
    contrasts = [c for c in findings.contrasts if c.estimate is not None]
    if analysis is None or not contrasts:
        return None
    drawing, (axes,) = panels_of(1, 1, width=8.8, height=1.1 + 0.42 * len(contrasts))
    margin = next((c.equivalence.margin for c in contrasts if c.equivalence.margin is not None), None)
    limit = _limit(contrasts, margin)
    if margin is not None:
        axes.axvspan(-margin, margin, color=COLOURS["equivalent"], alpha=0.14, lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    for row, c in enumerate(contrasts):
        _whisker(axes, row, c, limit)
    axes.set_xlim(-limit, limit)
    axes.set_ylim(len(contrasts) - 0.4, -0.6)
    axes.set_yticks(range(len(contrasts)), [c.arm for c in contrasts], parse_math=False)
    axes.tick_params(axis="y", length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    _label_changes(axes, analysis, limit)
    first, second = ("better", "worse") if analysis.better == "lower" else ("worse", "better")
    band = "" if margin is None else f" (band: margin of {margin_in_words(analysis)})"
    axes.set_xlabel(f"change in {analysis.metric}{band}", parse_math=False)
    for place, word, side in ((0.0, f"← {first}", "left"), (1.0, f"{second} →", "right")):
        axes.annotate(word, (place, 1.0), (0, 3), "axes fraction", "offset points", ha=side, color=INK, fontsize=9)
    return Figure(
        "forest",
        "How large, and how sure",
        "Dot: estimate. The thin line is the interval that asks whether there is a difference: one that stays clear of "
        "0 shows that there is. The thick line is the narrower interval that asks whether it matters: one that stays "
        "inside the band shows that it does not.",
        f"Change in {analysis.metric} of each arm, with its interval and the margin",
        drawing,
    )


def _limit(contrasts: Sequence[Contrast], margin: float | None) -> float:
    """Return how far the axis reaches: past every estimate and margin; an interval of few blocks may run out of it."""
    core = max([abs(c.estimate or 0.0) for c in contrasts] + ([2 * margin] if margin else []))
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
    axes.annotate(
        f"{c.verdict.value} (n = {c.n})",
        (1.0, row),
        (8, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        color=colour,
        fontweight="bold",
        fontsize=9,
    )


def _label_changes(axes: Axes, analysis: Analysis, limit: float) -> None:
    """Label a logarithmic axis with percentages and multiples."""
    if analysis.scale != "log":
        return
    ratios = [r for r in TICKS if abs(math.log(r)) <= limit]
    kept: list[float] = [1.0]
    for r in sorted(ratios, key=lambda r: -abs(math.log(r))):
        if all(abs(math.log(r) - math.log(k)) > limit / 4 for k in kept):
            kept.append(r)
    named = {r: f"{(r - 1) * 100:+.0f} %" if r < 1.9 else f"{TIMES}{r:.3g}" for r in kept}
    axes.set_xticks(
        [math.log(r) for r in kept], ["0" if r == 1 else named[r].replace("-", "\N{MINUS SIGN}") for r in kept]
    )


def paired(findings: StudyVerdicts) -> Figure | None:
    """Return each block as a line from baseline to arm, a panel per contrast; None without a pair."""
    analysis, trials = findings.primary, findings.tables.trials
    if analysis is None or not any(c.n for c in analysis.contrasts):
        return None
    every = [c for c in analysis.contrasts if c.n]
    clearest = sorted(every, key=lambda c: math.inf if c.p_value is None else c.p_value)[:MOST_PANELS]
    contrasts = [c for c in every if c in clearest]
    rows = trials[trials["status"].isin(REACHED_HORIZON)]
    values = rows.dropna(subset=[analysis.metric]).set_index(["block", "arm"])[analysis.metric].unstack("arm")
    drawing, panels = panels_of(
        len(contrasts), PANELS, width=3.6 if len(contrasts) == 1 else 3.1, height=3.1, share=True
    )
    for axes, c in zip(panels, contrasts, strict=False):
        pairs = _spaced(values[[c.baseline, c.arm]].dropna(), len(contrasts))
        for block, (before, after) in zip(pairs.index, pairs.astype("float64").to_numpy(), strict=True):
            better = (after < before) == (analysis.better == "lower")
            colour = COLOURS["inconclusive" if after == before else "helps" if better else "hurts"]
            axes.plot([0, 1], [before, after], color=colour, lw=1.4, marker="o", ms=4)
            axes.annotate(f"{block}", (1, after), (5, 0), "data", "offset points", va="center", fontsize=7, color=INK)
        lost = f", {c.pairs_lost} lost" if c.pairs_lost else ""
        axes.set_title(f"better in {c.better_in.blocks} of {c.better_in.of}{lost}", fontsize=9)
        axes.set_xticks([0, 1], [c.baseline, wrapped(c.arm)], parse_math=False)
        axes.set_xlim(-0.25, 1.3)
        value_axis(axes, analysis.scale)
    panels[0].set_ylabel(_metric_label(analysis.metric), parse_math=False)
    some = f", {len(pairs)} blocks of {len(values)}" if len(pairs) < len(values) else ""
    some += f", the {len(contrasts)} clearest of {len(every)} contrasts" if len(contrasts) < len(every) else ""
    return Figure(
        "paired",
        "Block by block",
        "Each line is one block (its number at the right), from the baseline to the arm: green is better, red is "
        "worse. Matched blocks share initial weights, data order and noise.",
        f"{analysis.metric} of baseline and arm, block by block{some}",
        drawing,
    )


def _spaced(rows: pd.DataFrame, panels: int) -> pd.DataFrame:
    """Return as many rows as a figure of so many panels can show, evenly spaced."""
    most = max(6, MOST_LINES // panels)
    return rows.iloc[:: math.ceil(len(rows) / most)] if len(rows) > most else rows


def interactions(findings: StudyVerdicts) -> Figure | None:
    """Return the mean at each pair of levels, a panel per pair of axes; None for designs that are not factorial."""
    effects = findings.effects
    if effects is None or not effects.interaction_plot:
        return None
    means = {(tuple(point["factors"]), tuple(point["levels"])): point["mean"] for point in effects.interaction_plot}
    pairs = list(dict.fromkeys(factors for factors, _ in means))
    drawing, panels = panels_of(len(pairs), PANELS, width=3.6 if len(pairs) == 1 else 3.1, height=3.1, share=True)
    for axes, (first, second) in zip(panels, pairs, strict=True):
        levels = effects.factors[first]
        for number, level in enumerate(effects.factors[second]):
            line = [means.get(((first, second), (along, level)), math.nan) for along in levels]
            axes.plot(range(len(levels)), line, color=LINES[number % len(LINES)], lw=1.8, marker="o", ms=4, label=level)
        axes.set_xticks(range(len(levels)), [wrapped(level) for level in levels], parse_math=False)
        axes.set_xlabel(first, parse_math=False)
        axes.margins(x=0.15)
        value_axis(axes, effects.scale)
        legend = axes.legend(title=second, frameon=False, fontsize=8, title_fontsize=8, labelcolor=INK)
        for text in (legend.get_title(), *legend.get_texts()):
            text.set_color(INK)
            text.set_parse_math(False)
    panels[0].set_ylabel(_metric_label(effects.metric), parse_math=False)
    return Figure(
        "interactions",
        "Two axes together",
        "Means of trials at each pair of levels. Lines that run side by side: each axis does the same whatever the "
        "other is set to; lines that part or cross: it depends.",
        f"{effects.metric} at each pair of levels of two axes",
        drawing,
    )


def course(findings: StudyVerdicts) -> Figure | None:
    """Return each metric over steps: thin lines for trials, thick for an arm's mean; None without measurements."""
    trials, measurements = findings.tables.trials, findings.tables.measurements
    values = measurements[["trial_id", "step", "metric", "value", "floor"]].dropna(subset=["value"])
    rows = values.merge(trials[["trial_id", "arm"]], on="trial_id")
    named, measured = set(rows["arm"].unique()), set(rows["metric"].unique())
    arms = [arm.name for arm in findings.arms if arm.control is None and arm.name in named]
    metrics = [m for m in findings.study.measure.metrics if m in measured]
    if not arms or not metrics:
        return None
    others = [arm for arm in arms if arm != BASELINE]
    colours = {BASELINE: INK, **{arm: LINES[i % len(LINES)] for i, arm in enumerate(others)}}
    legend = 0.17 * max(0, math.ceil(len(arms) / 3) - 4) / math.ceil(len(metrics) / PANELS)
    drawing, panels = panels_of(len(metrics), PANELS, width=3.1, height=2.9 + legend)
    for axes, metric in zip(panels, metrics, strict=False):
        of_metric = rows[rows["metric"] == metric]
        by_arm = dict(iter(of_metric.groupby("arm")))
        for arm in arms:
            of_arm = by_arm.get(arm, of_metric.iloc[:0])
            ids = _spaced(of_arm[["trial_id"]].drop_duplicates(), len(arms) * len(metrics))["trial_id"]
            thin = of_arm[of_arm["trial_id"].isin(ids)].pivot(index="step", columns="trial_id", values="value")
            axes.plot(thin.index, thin.to_numpy(float), color=colours[arm], lw=0.6, alpha=0.45)
            mean = of_arm.groupby("step")["value"].mean()
            axes.plot(
                mean.index, mean, color=colours[arm], lw=2, marker="o", ms=3.5, ls="--" if arm == BASELINE else "-"
            )
        if of_metric["floor"].notna().any():
            axes.axhline(float(of_metric["floor"].mean()), color=INK, lw=0.9, ls=":")
        value_axis(axes, metric_named(metric).scale)
        axes.set_title(_metric_label(metric), fontsize=9, parse_math=False)
        axes.set_xlabel("step")
    legend_below(drawing, arms, colours, dashed=BASELINE)
    return Figure(
        "course",
        "On the way",
        "Thin lines are trials, thick ones an arm's mean, dashed the baseline; dotted: real images against other real "
        "images. Arms are compared at the last step only.",
        f"{', '.join(metrics)} over steps, arm by arm",
        drawing,
    )


def _metric_label(name: str) -> str:
    arrow = {"lower": "↓ lower is better", "higher": "↑ higher is better"}[metric_named(name).better]
    return f"{name}\n{arrow}"
