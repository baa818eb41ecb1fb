"""The verdicts' figures as plotly panels, which the dashboard's first page of a study shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.metrics.catalogue import metric_named
from harness.report.colours import COLOURS, LINES
from harness.results.schema import REACHED_HORIZON
from harness.statistics import Contrast
from harness.statistics.number_format import change, span
from harness.statistics.verdict_rule import Scale
from harness.study.study import BASELINE
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREY = "#737b86"
"""Reads on the dashboard's white and on its black."""
FAINT = "rgba(115, 123, 134, 0.35)"
MOST_BLOCKS = 100
"""Blocks whose lines are drawn; of more, the first."""
MOST_TRIALS = 60
"""Trials whose curves are drawn beside the means of their arms."""


def panels(verdicts: StudyVerdicts) -> dict[str, Figure]:
    """Return the panels by the id that the dashboard knows them by; without those that have nothing to show yet."""
    drawn = {"verdicts": forest(verdicts), "blocks": blocks(verdicts), "curves": curves(verdicts)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def arm_colours(verdicts: StudyVerdicts) -> dict[str, str]:
    """Return a colour for each arm that is compared; the baseline is grey."""
    names = [arm.name for arm in verdicts.arms if arm.control is None and arm.name != BASELINE]
    return {BASELINE: GREY, **{name: LINES[i % len(LINES)] for i, name in enumerate(names)}}


def forest(verdicts: StudyVerdicts) -> Figure | None:
    """Return estimate, intervals and verdict of each contrast, and the margin as a band; None without an estimate."""
    from plotly.graph_objects import Figure

    analysis = verdicts.primary
    contrasts = [c for c in verdicts.contrasts if c.estimate is not None]
    if analysis is None or not contrasts:
        return None
    figure = Figure()
    margin = next((c.equivalence.margin for c in contrasts if c.equivalence.margin is not None), None)
    if margin is not None:
        low, high = _shown(-margin, analysis.scale), _shown(margin, analysis.scale)
        figure.add_vrect(x0=low, x1=high, fillcolor=COLOURS["equivalent"], opacity=0.15, line_width=0)
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    for c in contrasts:
        _whiskers(figure, c, analysis.scale)
    side = "left" if analysis.better == "lower" else "right"
    title = f"Verdicts on {analysis.metric}: better is {side}, the band is the margin"
    _lay_out(figure, title, f"change in {analysis.metric}{' (%)' if analysis.scale == 'log' else ''}", "")
    figure.update_yaxes(autorange="reversed", automargin=True, type="category")
    figure.update_layout(showlegend=False)
    return figure


def _whiskers(figure: Figure, c: Contrast, scale: Scale) -> None:
    colour, row = COLOURS[c.verdict.value], f"{c.arm}<br><b>{c.verdict.value}</b> (n = {c.n})"
    for low, high, width in ((c.ci.low, c.ci.high, 2), (c.equivalence.low, c.equivalence.high, 7)):
        if low is not None and high is not None:
            ends = [_shown(low, scale), _shown(high, scale)]
            line = {"color": colour, "width": width}
            figure.add_scatter(x=ends, y=[row, row], mode="lines", line=line, opacity=0.7, hoverinfo="skip")
    estimate = c.estimate or 0.0
    interval = "" if c.ci.low is None else f", {span(c.ci.low, c.ci.high, scale)}"
    figure.add_scatter(
        x=[_shown(estimate, scale)],
        y=[row],
        mode="markers",
        marker={"color": colour, "size": 12},
        hovertext=f"{c.arm}: {change(estimate, scale)}{interval}",
        hoverinfo="text",
    )


def _shown(value: float, scale: Scale) -> float:
    """Return a difference of logarithms as a change in percent, other differences as they are."""
    return math.expm1(value) * 100 if scale == "log" else value


def blocks(verdicts: StudyVerdicts) -> Figure | None:
    """Return each block as a line over the arms: lines that run alike are what pairing gains; None without a pair."""
    from plotly.graph_objects import Figure

    analysis, trials = verdicts.primary, verdicts.tables.trials
    if analysis is None or not any(c.n for c in analysis.contrasts):
        return None
    colours = arm_colours(verdicts)
    rows = trials[trials["status"].isin(REACHED_HORIZON) & trials["arm"].isin(list(colours))]
    values = rows.dropna(subset=[analysis.metric]).set_index(["block", "arm"])[analysis.metric].unstack("arm")
    arms = [arm for arm in colours if arm in values.columns]
    figure = Figure()
    for block, row in values[arms].head(MOST_BLOCKS).iterrows():
        figure.add_scatter(
            x=arms,
            y=[None if math.isnan(v) else v for v in row.astype("float64")],
            mode="lines+markers",
            line={"color": FAINT, "width": 1.5},
            marker={"color": [colours[arm] for arm in arms], "size": 8},
            name=f"block {block}",
            hovertemplate=f"block {block}, %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    some = f", the first {MOST_BLOCKS} of {len(values)}" if len(values) > MOST_BLOCKS else ""
    _lay_out(figure, f"Each line is a block: the same start in every arm{some}", "", analysis.metric, analysis.scale)
    figure.update_xaxes(type="category", automargin=True)
    figure.update_layout(showlegend=False)
    return figure


def curves(verdicts: StudyVerdicts) -> Figure | None:
    """Return the primary metric over steps: thick lines are an arm's mean, thin ones trials; None without any."""
    from plotly.graph_objects import Figure

    metric, colours = metric_named(verdicts.study.measure.primary), arm_colours(verdicts)
    measured = verdicts.tables.measurements
    values = measured[measured["metric"] == metric.name][["trial_id", "step", "value"]].dropna()
    rows = values.merge(verdicts.tables.trials[["trial_id", "arm"]], on="trial_id").sort_values(["trial_id", "step"])
    by_arm = {arm: of_arm for arm, of_arm in rows.groupby("arm") if arm in colours}
    if not by_arm:
        return None
    figure = Figure()
    for arm in (arm for arm in colours if arm in by_arm):
        steps: list[Any] = []
        heights: list[Any] = []
        for _, of_trial in list(by_arm[arm].groupby("trial_id"))[: MOST_TRIALS // len(by_arm)]:
            steps += [*of_trial["step"], None]  # The gap parts one trial from the next.
            heights += [*of_trial["value"], None]
        dash, shared = "dash" if arm == BASELINE else "solid", {"legendgroup": arm, "name": arm}
        thin = {"color": colours[arm], "width": 1}
        figure.add_scatter(
            x=steps, y=heights, mode="lines", line=thin, opacity=0.35, showlegend=False, hoverinfo="skip", **shared
        )
        mean = by_arm[arm].groupby("step")["value"].mean()
        thick = {"color": colours[arm], "width": 3, "dash": dash}
        figure.add_scatter(x=list(mean.index), y=list(mean), mode="lines+markers", line=thick, **shared)
    arrow = {"lower": "lower is better", "higher": "higher is better"}[metric.better]
    title = f"{metric.name} by arm ({arrow}): thick lines are means, thin ones trials"
    _lay_out(figure, title, "step", metric.name, metric.scale)
    return figure


def _lay_out(figure: Figure, title: str, x: str, y: str, scale: Scale = "raw") -> None:
    """Give a panel title and axes, transparent, in a grey that reads on light and dark."""
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 14}, "x": 0.02},
        font={"color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 70, "r": 20, "t": 50, "b": 60},
        legend={"orientation": "h", "y": -0.2},
    )
    figure.update_xaxes(title=x, gridcolor=FAINT, zeroline=False)
    figure.update_yaxes(title=y, gridcolor=FAINT, zeroline=False, type="log" if scale == "log" else "-")
