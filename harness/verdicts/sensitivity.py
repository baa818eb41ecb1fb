"""Controls judged from stored rows: whether the pairs are sound, and whether the experiment could have told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.results.schema import ArmPlan, is_trained
from harness.results.tables import Tables
from harness.statistics import Margin, controls
from harness.statistics.analysis import Sensitivity
from harness.statistics.controls import Control
from harness.statistics.sensitivity import sensitivity_of
from harness.study.controls import Expectation
from harness.study.design import Arm
from harness.study.study import BASELINE, Study, level_name
from harness.verdicts.rows import values_by_step, values_of, whole_blocks

if TYPE_CHECKING:
    import pandas as pd


def judged_controls(
    study: Study, tables: Tables, trials: pd.DataFrame, every: tuple[Arm, ...], mixed: Mapping[str, str]
) -> tuple[Control, ...]:
    """Judge the arms whose answer is known by the primary metric, the positive one first, as far as they have rows.

    Args:
        study: As it was frozen.
        tables: Its tables, of which the measurements are read where the course of a control matters.
        trials: The rows of `trials` that are judged.
        every: All arms.
        mixed: Why rows of an arm and the baseline's do not belong together, by arm: such a control shows nothing.
    """
    primary, names = metric_named(study.measure.primary), set(trials["arm"])
    judged: list[Control] = []
    for arm in every if BASELINE in names else ():
        if arm.control is None or arm.name not in names:
            continue
        rows = values_of(_pairs(study, trials, arm), primary.name)
        if not {arm.name, BASELINE} <= set(rows["arm"]):
            continue
        match arm.control:
            case "positive":
                judged.append(_positive(study, arm, rows, primary.name, arm.expect or "worse"))
            case "negative" | "a/a":
                judged.append(
                    controls.negative(
                        rows,
                        kind="a-a" if arm.control == "a/a" else "negative",
                        arm=arm.name,
                        baseline=BASELINE,
                        better=primary.better,
                        scale=primary.scale,
                        margin=Margin.parse(study.measure.margin),
                        looks=study.design.looks,
                    )
                )
            case "one-ulp":
                judged.append(
                    controls.one_ulp(
                        values_by_step(tables, primary.name),
                        arm=arm.name,
                        baseline=BASELINE,
                        better=primary.better,
                        scale=primary.scale,
                    )
                )
            case "no-op":
                judged.append(controls.no_op(rows, arm=arm.name, baseline=BASELINE))
    return tuple(_of_mixed_rows(c, mixed[c.arm]) if c.arm in mixed else c for c in judged)


def _of_mixed_rows(control: Control, reason: str) -> Control:
    return replace(control, outcome="not told apart", passed=None, sentence=f"'{control.arm}' shows nothing: {reason}.")


def sensitivity(
    study: Study,
    trials: pd.DataFrame,
    every: tuple[Arm, ...],
    plan: Mapping[str, ArmPlan],
    metric: str,
    mixed: Mapping[str, str],
) -> Sensitivity:
    """Return whether the positive control was told apart by one metric, or why not.

    What is expected of it is said of the primary metric. Any other must tell it apart, whichever way.

    Args:
        study: As it was frozen.
        trials: The rows of `trials` that are judged.
        every: All arms.
        plan: What preflight said of each arm.
        metric: The metric.
        mixed: Why rows of an arm and the baseline's do not belong together, by arm.
    """
    arm = next((arm for arm in every if arm.control == "positive"), None)
    if arm is None:
        return sensitivity_of(None)
    rows = values_of(_pairs(study, trials, arm), metric)
    if arm.name in mixed:
        return Sensitivity(shown=False, reason=f"{positive_name(study, arm)}: not told apart: {mixed[arm.name]}")
    if {arm.name, BASELINE} <= set(rows["arm"]):
        expect = (arm.expect or "worse") if metric == study.measure.primary else "differs"
        return sensitivity_of(_positive(study, arm, rows, metric, expect))
    why = (
        "it has no rows yet" if is_trained(study, arm, plan.get(arm.name)) else f"not trained ({plan[arm.name].reason})"
    )
    return Sensitivity(shown=False, reason=f"{positive_name(study, arm)}: not told apart: {why}")


def _pairs(study: Study, trials: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    """Return the rows of a control and of the baseline in the blocks that have both."""
    both = {arm.name, BASELINE}
    return whole_blocks(study, trials[trials["arm"].isin(both)], both)


def _positive(study: Study, arm: Arm, rows: pd.DataFrame, metric: str, expect: Expectation) -> Control:
    described = metric_named(metric)
    return controls.positive(
        rows,
        arm=arm.name,
        baseline=BASELINE,
        better=described.better,
        scale=described.scale,
        margin=Margin.parse(study.measure.margin_of(metric)),
        expect=expect,
        looks=study.design.looks,
        metric=metric,
        name=positive_name(study, arm),
    )


def positive_name(study: Study, arm: Arm) -> str:
    """Return what a positive control is called in sentences: what it is, and what changes in it."""
    positive = study.controls.positive
    if positive is None or isinstance(positive, str):
        return f"positive control ({arm.name})"
    return f"positive control ({', '.join(f'{name}={level_name(v)}' for name, v in positive.settings.items())})"
