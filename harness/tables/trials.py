"""One row a trial from a long table: its unit, arm, value, and whether it failed or was stopped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.errors import DataError
from harness.statistics.paired_blocks import label
from harness.statistics.verdict_rule import Better
from harness.tables.columns import UNIT_NAMES, column_named, first_of, labels, parts
from harness.tables.settings import check_settings
from harness.tables.states import COMPLETE, FAILED, PRUNED, SHORT, UNFINISHED, states_of
from harness.tables.steps import measured, step_column


@dataclass(frozen=True, slots=True)
class Options:
    """What a user says of a long table."""

    unit: str | Sequence[str] | None = None
    arm: str | Sequence[str] | None = None
    value: str | None = None
    failed: str | None = None
    ok: Sequence[str] = ()
    at: str | None = None
    step: str | None = None
    ignore: Sequence[str] = ()
    """Columns that are no settings."""


@dataclass(frozen=True, slots=True)
class Trials:
    """One row for each trial."""

    rows: pd.DataFrame
    """Columns `unit`, `arm`, `value` and `failed`, and those of the table."""
    stopped: Mapping[tuple[str, str], str]
    """How trials that were stopped ended (a state's word, or *short*), by unit and arm as labels."""
    notes: tuple[str, ...]
    complete: str = COMPLETE
    """Words of the states that are complete."""

    def stopped_of(self, arms: Collection[str]) -> dict[str, list[str]]:
        """Return how trials of some arms were stopped, by arm; arms without such trials are left out."""
        ways: dict[str, list[str]] = {}
        for (_, arm), how in self.stopped.items():
            if arm in arms:
                ways.setdefault(arm, []).append(how)
        return ways


def trials_of(table: pd.DataFrame, options: Options, *, metric: str, better: Better, where: str) -> Trials:
    """Return one row for each trial of a long table.

    Failed trials have no value and say so. Trials that are not at an end are left out. Trials that were stopped, by a
    pruner or by nobody knows what before the step that others reached, have no value and are no failures: `withheld`
    keeps verdicts from what they leave behind.

    Args:
        table: Rows.
        options: What the columns are.
        better: Direction of the value.
        metric: Column of the values.
        where: What the table is called.

    Raises:
        DataError: A column is missing or ambiguous; one message says which.
    """
    arm = [column_named(table, name, where, "the arms (--arm)") for name in parts(options.arm) or ["arm"]]
    unit = [column_named(table, name, where, "the units (--unit)") for name in parts(options.unit)]
    if not unit:
        usual = first_of(table, UNIT_NAMES)
        if usual is None:
            columns = ", ".join(map(str, table.columns[:20]))
            raise DataError(
                f"{where}: no column of units named (--unit); say which of {columns} tells matched blocks apart"
            )
        unit = [usual]
    ignored = [column_named(table, name, where, "--ignore") for name in options.ignore]
    used = {*arm, *unit, metric}
    units = table[unit[0]] if len(unit) == 1 else labels(table, unit)
    table = table.assign(_unit=units, _arm=labels(table, arm))
    for name, column in (("_unit", unit), ("_arm", arm)):
        empty = table[name].isna()
        if empty.any():
            row = int(empty.to_numpy().argmax()) + 1
            raise DataError(f"{where}: column '{column[0]}' is empty in row {row}; every row needs one (see --where)")
    states = states_of(table, ok=options.ok, failed=options.failed, used=used, where=where)
    if states is not None:
        table = table.assign(_kind=states.kinds, _word=states.words)
        several = table[["_unit", "_arm", "_kind"]].drop_duplicates()
        several = several[several.duplicated(["_unit", "_arm"])]
        if len(several) and options.at is not None:
            at = f"unit {several['_unit'].iloc[0]}, arm {several['_arm'].iloc[0]}"
            raise DataError(f"{where}: rows of {at} have different states in '{states.column}'; keep one with --where")
    one = measured(table, value=metric, step=options.step, at=options.at, better=better, where=where)
    rows, notes = one.rows, list(one.notes)
    if states is not None and (set(states.words) - {""}):
        notes.insert(0, states.said(rows.index))
    step = step_column(table, options.step, where)
    own = {states.column} if states is not None else set()
    notes += check_settings(rows, {*used, *own, *ignored, *([step] if step else [])}, where)
    kind = _kinds(rows, one.short, options)
    kept = kind != UNFINISHED
    # At a step that it reached, a trial that was pruned later has its value like any other.
    reached = (kind == PRUNED) & one.value.notna() & ~one.short & _is_step(options.at)
    stopped = kind.isin([PRUNED, SHORT]) & ~reached & kept
    value = one.value.mask((kind == FAILED) | stopped)
    failed = value.isna() & ~stopped & ~(one.unlogged & (kind == COMPLETE))
    if one.unlogged.any():
        notes.append(f"{int(one.unlogged.sum())} trials went on but have no value at that step; their pairs are lost.")
    words = rows.get("_word", pd.Series("", index=rows.index)).mask(kind == SHORT, SHORT)
    complete = sorted(set(words[kind == COMPLETE]) - {""})
    cells = zip(rows["_unit"][stopped], rows["_arm"][stopped], strict=True)
    result = rows.assign(unit=rows["_unit"], arm=rows["_arm"], value=value, failed=failed)[kept]
    return Trials(
        result.drop(columns=[c for c in ("_unit", "_arm", "_kind", "_word") if c in result]),
        dict(zip(((label(u), str(a)) for u, a in cells), words[stopped], strict=True)),
        tuple(notes),
        ",".join(complete) or COMPLETE,
    )


def _kinds(rows: pd.DataFrame, short_of: pd.Series[bool], options: Options) -> pd.Series[str]:
    """Return the kind of each trial; one that ended early, where nothing says how it ended, is *short*.

    At a step that the user names, such a trial has failed. With `ok` it has failed too unless that names *short*.
    """
    none = pd.Series("", index=rows.index, dtype=object)
    kind, word = rows.get("_kind", none.mask(none == "", COMPLETE)), rows.get("_word", none)
    ok = [name.lower() for name in options.ok]
    early = FAILED if _is_step(options.at) or (ok and SHORT not in ok) else COMPLETE if SHORT in ok else SHORT
    return kind.mask((word == "") & (kind == COMPLETE) & short_of, early)


def _is_step(at: str | None) -> bool:
    return at not in (None, "last", "best")
