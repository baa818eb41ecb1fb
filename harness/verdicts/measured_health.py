"""The health of a study's arms, from its stored rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.metrics.catalogue import metric_named
from harness.results.tables import Tables
from harness.statistics import Margin
from harness.study.design import Arm
from harness.study.study import BASELINE, Study
from harness.verdicts.health import HEALTHY, StudyHealth, TrialHealth, Yardstick, arm_health, health_of

if TYPE_CHECKING:
    import pandas as pd


def study_health(study: Study, tables: Tables, trials: pd.DataFrame, every: tuple[Arm, ...]) -> StudyHealth | None:
    """Return whether each arm learned, in each block; None before the baseline has a row.

    Args:
        study: As it was frozen.
        tables: Its tables: values at the measured steps, and what was measured without learning.
        trials: The rows of `trials` that are judged.
        every: All arms.
    """
    base = trials[trials["arm"] == BASELINE]
    if not len(base) or (study.trial is not None and study.measure.health_metric is None):
        return None
    name = study.measure.health_metric
    metric = metric_named(name or study.measure.primary)
    measured = _last_two(tables.measurements, name)
    first = [at for trial_id in base["trial_id"] if (at := measured.get(trial_id, {}).get("value")) is not None]
    references = tables.references
    by = Yardstick(
        metric,
        _width(study, metric.name, sum(first) / len(first) if first else math.nan),
        references if references is not None and references.metric == name else None,
    )
    trials_health = []
    for trial_id, arm, block, status in zip(*(trials[c] for c in ("trial_id", "arm", "block", "status")), strict=True):
        of_trial = measured.get(trial_id, {})
        value, floor = of_trial.get("value"), of_trial.get("floor")
        health, gain = health_of(by, status=status, value=value, before=of_trial.get("before"), floor=floor)
        trials_health.append(TrialHealth(str(arm), int(block), health, value, floor, gain))
    if study.trial is not None and all(trial.health in HEALTHY for trial in trials_health):
        return None  # what a command gives without learning is not known, so nothing can be said
    present = {trial.arm for trial in trials_health}
    steps = study.measure.steps(study.steps)
    epochs = base["epochs"].dropna() if "epochs" in base else base.iloc[:0, 0]
    known = by.references
    return StudyHealth(
        metric=metric.name,
        step=study.horizon,
        epochs=float(epochs.median()) if len(epochs) else None,
        before=steps[-2] if len(steps) > 1 else None,
        untrained=None if known is None else known.untrained,
        mean_image=None if known is None else known.mean_image,
        trials=tuple(trials_health),
        arms=tuple(arm_health(arm.name, trials_health, by) for arm in every if arm.name in present),
    )


def _width(study: Study, metric: str, mean: float) -> float | None:
    """Return the half-width of a metric's margin on its scale; None where it has none."""
    margin = Margin.parse(study.measure.margin_of(metric))
    if margin is None or (margin.relative and not (math.isfinite(mean) and mean != 0)):
        return None
    return margin.on(metric_named(metric).scale, mean)


def _last_two(measurements: pd.DataFrame, metric: str | None) -> dict[str, dict[str, float | None]]:
    """Return by trial the value of a metric at the last step, its floor, and the value at the step before."""
    rows = measurements[measurements["metric"] == metric].sort_values(["trial_id", "step"])
    by_trial: dict[str, dict[str, float | None]] = {}
    floors = rows["floor"] if "floor" in rows else [None] * len(rows)
    for trial_id, value, floor in zip(rows["trial_id"], rows["value"], floors, strict=True):
        before = by_trial.get(trial_id, {}).get("value")
        by_trial[trial_id] = {"value": _number(value), "floor": _number(floor), "before": before}
    return by_trial


def _number(value: Any) -> float | None:
    import pandas as pd

    return None if pd.isna(value) else float(value)
