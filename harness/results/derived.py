"""Values of measures that follow from stored rows, `harness.metrics.derived`: tables in, a number for each trial out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.metrics.catalogue import metric_named
from harness.metrics.derived import DIFFERENCES, Derivation
from harness.results.schema import TrialRows

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


def _oscillation(steps: Floats, values: Floats, _: Derivation) -> float:
    if len(steps) < 3:
        return math.nan
    return float(np.diff(values).std(ddof=1) / (np.abs(values).mean() + 1e-12))


def _variation(steps: Floats, values: Floats, _: Derivation) -> float:
    mean = np.abs(values).mean() if len(steps) > 1 else 0.0
    return float(values.std(ddof=1) / mean) if mean > 0 else math.nan


def _mean(_: Floats, values: Floats, d: Derivation) -> float:
    """Return the mean: of a metric whose ratios are meant, the geometric one."""
    if d.of_metric is not None and d.scale == "log":
        return float(np.exp(np.log(values).mean())) if (values > 0).all() else math.nan
    return float(values.mean())


def _area(steps: Floats, values: Floats, d: Derivation) -> float:
    """Return the average by trapezoids: of logarithms where ratios of the metric are meant."""
    if len(steps) == 1:
        return float(values[0])
    if d.scale == "log":
        if not (values > 0).all():
            return math.nan
        return float(np.exp(np.trapezoid(np.log(values), steps) / (steps[-1] - steps[0])))
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def _steps_to(steps: Floats, values: Floats, d: Derivation) -> float:
    """Return the first step at the threshold or beyond it, else the last one: the time is restricted at the horizon."""
    assert d.threshold is not None
    there = values >= d.threshold if d.upwards else values <= d.threshold
    return float(steps[there.argmax()] if there.any() else steps[-1])


SERIES: Mapping[str, Callable[[Floats, Floats, Derivation], float]] = {
    "mean": _mean,
    "oscillation": _oscillation,
    "variation": _variation,
    "area": _area,
    "steps_to": _steps_to,
}
"""From steps (K,), increasing, and values (K,), K at least 1, to a number; NaN where there is none."""


def derived_values(
    trials: pd.DataFrame,
    measurements: Callable[[], pd.DataFrame],
    signals: Callable[[], pd.DataFrame],
    derivation: Derivation,
) -> pd.Series[float]:
    """Return one measure for each row of `trials`, NaN where its rows do not say.

    Args:
        trials: The table of that name.
        measurements: Gives the table of that name; called only where it is needed.
        signals: The same.
        derivation: Of the measure.
    """
    import pandas as pd

    if derivation.function == "column":
        return _of_column(trials, derivation.source)
    table = measurements() if derivation.of_metric else signals()
    if derivation.of_metric:
        table = table[table["metric"] == derivation.source]
        values = table["value"]
    elif derivation.source in DIFFERENCES:
        first, second, _ = DIFFERENCES[derivation.source]
        values = _numbers(table, first) - _numbers(table, second)
    else:
        values = _numbers(table, derivation.source)
    rows = pd.DataFrame({"trial_id": table["trial_id"], "step": table["step"], "value": values}).dropna()
    function = SERIES[derivation.function]
    last = trials.set_index("trial_id")["steps"]
    by_trial: dict[Any, float] = {}
    for trial_id, part in rows.sort_values("step").groupby("trial_id"):
        steps, series = (part[name].to_numpy(np.float64) for name in ("step", "value"))
        total = float(last.get(trial_id, math.nan))
        inside = derivation.inside(steps, total)
        if inside.any():
            by_trial[trial_id] = function(steps[inside], series[inside], derivation)
    return trials["trial_id"].map(by_trial).astype("float64")


def _numbers(table: pd.DataFrame, name: str) -> pd.Series[float]:
    import pandas as pd

    return table[name].astype("float64") if name in table else pd.Series(math.nan, index=table.index)


def _of_column(trials: pd.DataFrame, name: str) -> pd.Series[float]:
    if name == "failures":
        return (trials["status"] != "complete").astype("float64")
    if name == "seconds_per_epoch":
        return _numbers(trials, "seconds_per_step") * _numbers(trials, "steps") / _numbers(trials, "epochs")
    return _numbers(trials, name)


def with_derived(
    trials: pd.DataFrame,
    measurements: Callable[[], pd.DataFrame],
    signals: Callable[[], pd.DataFrame],
    names: Sequence[str],
) -> pd.DataFrame:
    """Return the table `trials` with a column for each of these names that is a derived measure."""
    derivations = [d for d in (metric_named(name).derivation for name in names) if d is not None]
    new = {d.name: derived_values(trials, measurements, signals, d) for d in derivations if len(trials)}
    return trials.assign(**new) if new else trials
