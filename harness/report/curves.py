"""Figures over steps: each metric of each arm, and the paired difference to the baseline with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.metrics.catalogue import metric_named
from harness.report.colours import COLOURS, LINES
from harness.report.drawing import (
    INK,
    TEXT,
    Figure,
    Screen,
    legend_below,
    panels_of,
    ratio_label,
    step_axis,
    value_axis,
    wrapped,
)
from harness.report.figures import clearest, metric_label, some_of, spaced
from harness.statistics import Analysis, Contrast
from harness.statistics.student_t import t_isf
from harness.study.study import BASELINE
from harness.verdicts.judge import StudyVerdicts
from harness.verdicts.rows import failed_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LEVEL = 0.95
"""Of the intervals on the way, each by itself: they are no verdict, so they are not widened for arms and looks."""


@dataclass(frozen=True)
class _Curves:
    """What the figure of all metrics draws."""

    rows: pd.DataFrame
    """Values of complete measurements: `trial_id`, `arm`, `step`, `metric`, `value`, `floor`."""
    arms: Sequence[str]
    metrics: Sequence[str]

    @property
    def colours(self) -> Mapping[str, str]:
        """The baseline in the colour of text, each other arm in its own."""
        others = [arm for arm in self.arms if arm != BASELINE]
        return {BASELINE: INK, **{arm: LINES[i % len(LINES)] for i, arm in enumerate(others)}}


def _curves(findings: StudyVerdicts) -> _Curves:
    trials, measurements = findings.tables.trials, findings.tables.measurements
    values = measurements[["trial_id", "step", "metric", "value", "floor"]].dropna(subset=["value"])
    rows = values.merge(trials[["trial_id", "arm", "block"]], on="trial_id")
    named, measured = set(rows["arm"].unique()), set(rows["metric"].unique())
    arms = [arm.name for arm in findings.arms if arm.control is None and arm.name in named]
    return _Curves(rows, arms, [m for m in findings.study.measure.metrics if m in measured])


def course(findings: StudyVerdicts) -> Figure | None:
    """Return each metric over steps: thin lines for trials, thick for an arm's mean; None without measurements."""
    curves = _curves(findings)
    if not curves.arms or not curves.metrics:
        return None
    return Figure(
        "course",
        "On the way",
        "Thick lines are an arm's mean, dashed the baseline, thin ones (on wide screens) trials; dotted: real images "
        "against other real images, the floor. Arms are compared at the last step only.",
        f"{', '.join(curves.metrics)} over steps, arm by arm",
        lambda screen: _draw_course(curves, screen),
    )


def _draw_course(curves: _Curves, screen: Screen) -> Drawing:
    columns = 1 if screen.narrow else 3
    legend = 0.17 * math.ceil(len(curves.arms) / columns) / math.ceil(len(curves.metrics) / screen.columns)
    drawing, panels = panels_of(screen, len(curves.metrics), height=(1.9 if screen.narrow else 2.2) + legend)
    for axes, metric in zip(panels, curves.metrics, strict=True):
        of_metric = curves.rows[curves.rows["metric"] == metric]
        by_arm = dict(iter(of_metric.groupby("arm")))
        for arm in curves.arms:
            of_arm = by_arm.get(arm, of_metric.iloc[:0])
            if not screen.narrow:
                _draw_trials(axes, of_arm, len(curves.arms) * len(curves.metrics), curves.colours[arm])
            mean = of_arm.groupby("step")["value"].mean()
            axes.plot(mean.index, mean, color=curves.colours[arm], lw=2, ls="--" if arm == BASELINE else "-")
        if of_metric["floor"].notna().any():
            axes.axhline(float(of_metric["floor"].mean()), color=INK, lw=0.9, ls=":")
        value_axis(axes, metric_named(metric).scale)
        step_axis(axes)
        axes.set_title(metric_label(metric), fontsize=TEXT, parse_math=False)
    legend_below(drawing, screen, curves.arms, curves.colours, dashed=BASELINE)
    return drawing


def _draw_trials(axes: Axes, of_arm: pd.DataFrame, panels: int, colour: str) -> None:
    """Draw the trials of an arm as one line with gaps: hundreds of lines of their own would be most of the page."""
    ids = spaced(of_arm[["trial_id"]].drop_duplicates(), panels)["trial_id"]
    kept = of_arm[of_arm["trial_id"].isin(ids)].sort_values(["trial_id", "step"])
    ends = np.flatnonzero(kept["trial_id"].to_numpy()[1:] != kept["trial_id"].to_numpy()[:-1]) + 1
    steps, values = (np.insert(kept[name].to_numpy(float), ends, math.nan) for name in ("step", "value"))
    axes.plot(steps, values, color=colour, lw=0.6, alpha=0.45)


@dataclass(frozen=True)
class StepDifference:
    """The paired difference of an arm to the baseline at one step."""

    step: int
    pairs: int
    mean: float
    """On the scale of the analysis."""
    low: float
    high: float
    """The t interval of the mean, of this step alone; NaN with one pair, or where all differences are equal."""


def differences_by_step(findings: StudyVerdicts) -> dict[str, tuple[StepDifference, ...]]:
    """Return the mean paired difference to the baseline at each measured step, by arm and by the primary metric.

    Trials that failed are in no pair, as in the verdicts, also at the steps that they reached.
    """
    metric, trials = metric_named(findings.study.measure.primary), findings.tables.trials
    rows = _curves(findings).rows
    complete = trials.loc[~failed_rows(trials), "trial_id"]
    rows = rows[(rows["metric"] == metric.name) & rows["trial_id"].isin(complete)]
    table = rows.set_index(["step", "block", "arm"])["value"].astype("float64").unstack("arm")
    if BASELINE not in table:
        return {}
    if metric.scale == "log":
        table = table.where(table > 0).transform(np.log)
    differences = table.drop(columns=BASELINE).sub(table[BASELINE], axis=0)
    return {
        str(arm): tuple(_summary(step, d.to_numpy()) for step, d in column.dropna().groupby("step"))
        for arm, column in differences.items()
    }


def _summary(step: Any, differences: np.ndarray[tuple[int], np.dtype[np.float64]]) -> StepDifference:
    n, mean = len(differences), float(np.mean(differences))
    reach = math.nan
    if n > 1 and (sd := float(np.std(differences, ddof=1))) > 0:
        reach = float(t_isf((1 - LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return StepDifference(int(step), n, mean, mean - reach, mean + reach)


def difference(findings: StudyVerdicts) -> Figure | None:
    """Return the paired difference to the baseline over steps, a panel per contrast; None with fewer than two steps."""
    analysis = findings.primary
    contrasts = [] if analysis is None else clearest(analysis)
    bands = differences_by_step(findings) if contrasts else {}
    shown = [c for c in contrasts if len(bands.get(c.arm, ())) > 1]
    if analysis is None or not shown:
        return None
    return Figure(
        "difference",
        "The difference on the way",
        f"Mean paired difference to the baseline in {analysis.metric} at each measured step, over blocks; the band "
        f"around it is the {LEVEL:.0%} interval of that step and arm alone, not widened for arms or looks, and no "
        "verdict: arms are compared at the last step. The blue band is the margin.".replace("%", " %"),
        f"Paired difference in {analysis.metric} over steps, arm by arm{some_of(analysis, shown)}",
        lambda screen: _draw_difference(analysis, shown, bands, screen),
    )


def _draw_difference(
    analysis: Analysis, contrasts: Sequence[Contrast], bands: Mapping[str, Sequence[StepDifference]], screen: Screen
) -> Drawing:
    drawing, panels = panels_of(screen, len(contrasts), height=1.9 if screen.narrow else 2.1, share=True)
    for axes, c in zip(panels, contrasts, strict=True):
        points, colour = bands[c.arm], COLOURS[c.verdict.value]
        steps = [point.step for point in points]
        if c.equivalence.margin is not None:
            axes.axhspan(-c.equivalence.margin, c.equivalence.margin, color=COLOURS["equivalent"], alpha=0.14, lw=0)
        axes.axhline(0, color=INK, lw=0.8)
        axes.fill_between(
            steps, [point.low for point in points], [point.high for point in points], color=colour, alpha=0.3, lw=0
        )
        axes.plot(steps, [point.mean for point in points], color=colour, lw=2, marker="o", ms=4)
        axes.set_title(wrapped(c.arm, 20), fontsize=TEXT, parse_math=False)
        step_axis(axes)
        _label_differences(axes, analysis)
    better = "below 0 is better" if analysis.better == "lower" else "above 0 is better"
    panels[0].set_ylabel(f"change in {analysis.metric}\n{better}", parse_math=False)
    return drawing


def _label_differences(axes: Axes, analysis: Analysis) -> None:
    """Label an axis of differences; logarithms as percentages and multiples."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4))
    if analysis.scale == "log":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: ratio_label(math.exp(value))))
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
