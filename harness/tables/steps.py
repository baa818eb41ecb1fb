"""One row a trial out of many over steps: the last, the best, or that of a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.errors import DataError
from harness.statistics.number_format import number
from harness.statistics.paired_blocks import numbers
from harness.statistics.verdict_rule import Better
from harness.tables.columns import RUN_NAMES, STEP_NAMES, column_named, first_of

CELL = ["_unit", "_arm"]
"""Columns that tell trials apart."""
NOT_A_NUMBER = "nan"
"""What a cell holds where a tool wrote that the value is not a number; a cell where nothing was logged is empty."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row for each trial, with its value."""

    rows: pd.DataFrame
    """The chosen rows of the table."""
    value: pd.Series[float]
    """NaN where there is none."""
    short: pd.Series[bool]
    """Trials that ended before the step that others reached."""
    unlogged: pd.Series[bool]
    """Trials that went on beyond the step that was asked for, without a value at it."""
    notes: tuple[str, ...]


def as_numbers(column: pd.Series[Any], name: str, where: str) -> pd.Series[float]:
    """Return a column as floats; cells that say that the value is not a number, or that there is none, are NaN."""
    if not pd.api.types.is_numeric_dtype(column):
        spoken = column.map(lambda cell: str(cell).strip().lower() in (NOT_A_NUMBER, "none", "-"))
        column = column.mask(spoken)
    return pd.Series(numbers(column, name, where), index=column.index)


def step_column(table: pd.DataFrame, step: str | None, where: str) -> str | None:
    """Return the column of steps: the one that is named, or the first of the usual ones."""
    return column_named(table, step, where, "steps") if step else first_of(table, STEP_NAMES)


def measured(
    table: pd.DataFrame, *, value: str, step: str | None, at: str | None, better: Better, where: str
) -> Measured:
    """Return one row for each trial, as `at` says.

    Args:
        table: Rows with columns `_unit` and `_arm`.
        value: Column of the values.
        step: Column of the steps; the usual ones unless given.
        at: ``last``, ``best``, a step, or None for a table with a row a trial.
        better: Direction of the value, for ``best``.
        where: What the table is called.

    Raises:
        DataError: There are several rows a trial and nothing says which, several trials in one cell, no column of
            steps, or no trial has a value at the step.
    """
    values = as_numbers(table[value], value, where)
    repeated = bool(table.duplicated(CELL).any())
    name = step_column(table, step, where)
    if name is None and repeated and at is not None:
        name = first_of(table, ("epoch",))
    if name is None:
        if at is not None:
            raise DataError(f"{where}: no column of steps for --at {at}; name it with --step")
        no = pd.Series(data=False, index=table.index)
        return Measured(table, values, no, no, ())
    steps = as_numbers(table[name], name, where)
    course = Course(table, name, steps, values, table[value].notna() & steps.notna(), where)
    if repeated:
        _check_trials(course)
        if at is None:
            raise DataError(
                f"{where}: several rows of a trial, over '{name}'; say which: --at last, --at "
                f"{number(course.ends.max(), 6)} (a step), or --at best (the best over steps, which flatters all arms)"
            )
    if at == "best":
        return course.best(better)
    return course.last(said=at is not None) if at in (None, "last") else course.at(str(at))


@dataclass(frozen=True)
class Course:
    """Values over steps of all trials; series have the rows of the table."""

    table: pd.DataFrame
    name: str
    """Of the column of steps."""
    steps: pd.Series[float]
    values: pd.Series[float]
    logged: pd.Series[bool]
    """Whether a row has a value at its step, a number or not."""
    where: str

    def over_trials(self, series: pd.Series[Any], how: Literal["max", "any"]) -> pd.Series[Any]:
        """Return what a trial's rows come to, in each of its rows."""
        found: pd.Series[Any] = series.groupby([self.table[key] for key in CELL]).transform(how)
        return found

    @property
    def ends(self) -> pd.Series[float]:
        """The last step at which each trial has a value; NaN where it has none."""
        return self.over_trials(self.steps.where(self.logged), "max")

    def last(self, *, said: bool) -> Measured:
        """Return the last value of each trial."""
        order = self.steps.where(self.logged).fillna(-np.inf).sort_values(ascending=False, kind="stable").index
        span = " to ".join(number(end, 6) for end in dict.fromkeys((self.ends.min(), self.ends.max())))
        note = f"Values are those of each trial's last '{self.name}' ({span})."
        return self._chosen(order, self.values, self.ends.max(), (note,) if said else ())

    def best(self, better: Better) -> Measured:
        """Return the best value of each trial; one whose last value is not a number has none."""
        finite = self.values.where(self.logged & np.isfinite(self.values))
        order = ((1 if better == "lower" else -1) * finite).fillna(np.inf).sort_values(kind="stable").index
        diverged = self.logged & (self.steps == self.ends) & ~np.isfinite(self.values)
        per_trial = self.logged.groupby(self.table["_arm"]).sum() / self.table.groupby("_arm")["_unit"].nunique()
        counts = ", ".join(f"{arm} {count:.3g}" for arm, count in per_trial.items())
        note = (
            f"Values are the best of each trial over '{self.name}' (values a trial: {counts}): optimistic in all arms, "
            "and more so where values vary more or there are more of them."
        )
        values = self.values.mask(self.over_trials(diverged, "any").astype(bool))
        return self._chosen(order, values, self.ends.max(), (note,))

    def at(self, step: str) -> Measured:
        """Return each trial's value at a step."""
        goal = pd.to_numeric(step, errors="coerce")
        if pd.isna(goal):
            raise DataError(f"{self.where}: --at {step}; last, best or a step is needed")
        there = self.logged & (self.steps == goal)
        if not there.any():
            near = sorted(self.steps[self.logged].unique(), key=lambda other: abs(other - goal))[:3]
            known = ", ".join(number(other, 6) for other in sorted(near))
            raise DataError(f"{self.where}: no trial has a value at '{self.name}' {step}; near it are {known}")
        order = (~there).sort_values(kind="stable").index
        note = f"Values are those at '{self.name}' {step}."
        chosen = self._chosen(order, self.values.where(there), float(goal), (note,))
        return replace(chosen, unlogged=(self.ends >= goal)[chosen.rows.index] & ~there[chosen.rows.index])

    def _chosen(
        self, order: pd.Index[Any], values: pd.Series[float], horizon: float, notes: tuple[str, ...]
    ) -> Measured:
        """Return the first row of each trial in an order of rows, in the order of the table."""
        first = self.table.loc[order].drop_duplicates(CELL).index
        chosen = self.table.index[self.table.index.isin(first)]
        early = (self.ends < horizon)[chosen]
        return Measured(self.table.loc[chosen], values[chosen], early, early & False, notes)


def _check_trials(course: Course) -> None:
    """Refuse several trials of one unit and arm, and several values at one step."""
    table, where = course.table, course.where
    run = first_of(table, RUN_NAMES)
    trials = table[[*CELL, run]].dropna().drop_duplicates() if run else table[:0]
    several = trials[trials.duplicated(CELL)]
    if len(several):
        unit, arm = several[CELL].iloc[0]
        raise DataError(
            f"{where}: more than one trial of unit {unit}, arm {arm} (by '{run}'); keep one with "
            "--where, or name more columns of the arm or of the unit"
        )
    logged = table.assign(_step=course.steps)[course.logged]
    doubled = logged[logged.duplicated([*CELL, "_step"])]
    if len(doubled):
        unit, arm, step = doubled[[*CELL, "_step"]].iloc[0]
        raise DataError(
            f"{where}: more than one row for unit {unit}, arm {arm} at '{course.name}' {step:g}; keep one with "
            "--where, or name more columns of the arm or of the unit"
        )
