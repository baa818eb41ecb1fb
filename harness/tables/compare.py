"""The statistics of a study on anybody's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics.analysis import Sensitivity, plain
from harness.statistics.contrasts import analyse
from harness.statistics.controls import Control, Expectation, positive
from harness.statistics.factorial import Factorial, factorial
from harness.statistics.group_sequential import parse_looks
from harness.statistics.paired_blocks import label
from harness.statistics.sensitivity import gated, gated_effects, sensitivity_of
from harness.statistics.verdict_rule import Margin, Scale
from harness.tables.columns import UNIT_NAMES, column_named, first_of, labels, lookup, metric_of, parts, short
from harness.tables.conditions import filtered
from harness.tables.directions import direction
from harness.tables.reading import Source, read
from harness.tables.settings import check_arm_columns
from harness.tables.states import FAILED, PRUNED, UNFINISHED, states_of
from harness.tables.steps import as_numbers
from harness.tables.trials import Options, Trials, trials_of
from harness.tables.withheld import withheld


def compare(
    source: Source,
    *,
    unit: str | Sequence[str] | None = None,
    arm: str | Sequence[str] | None = None,
    value: str | None = None,
    baseline: str | float | None = None,
    better: str | None = None,
    scale: Scale = "raw",
    margin: Margin | str | float | None = None,
    looks: str | Sequence[int] | None = None,
    where: str | Sequence[str] = (),
    ok: str | Sequence[str] = (),
    failed: str | None = None,
    at: str | int | None = None,
    step: str | None = None,
    pattern: str | None = None,
    ignore: str | Sequence[str] = (),
    factors: str | Sequence[str] = (),
    costs: Sequence[str] = (),
    positive_control: str | None = None,
    expect: Expectation = "worse",
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Return the document of ``compare --json`` for a table: its `contrasts`, its `effects`, or both.

    A table is **wide**, one row per unit and one column per arm, when no value column is named and `baseline` is the
    name of a column; then the other columns except the unit are arms, or those that `arm` lists with commas.
    Otherwise it is **long**: one row per unit and arm, or several over steps, with columns ``arm`` and ``value`` unless
    named otherwise. Units are in the column named ``unit``, ``block`` or ``seed`` unless named otherwise; a wide table
    without one has a unit a row. A column that `factors` names is a factor; without `baseline` only effects are
    computed then, and rows of a factorial table without `unit` are plain replicates. A column may be named without
    what its tool puts before it: `fid` for ``metrics.fid``.

    Args:
        source: A frame; a file (CSV, TSV, Parquet), several files, or a folder of them.
        unit: Column of the units (blocks), or several.
        arm: Column of the arms, or several, which name arms as ``a=1, b=x``; in a wide table the arms' columns.
        value: Column of the values.
        baseline: The arm that the others are compared with.
        better: Which direction is better; by the name of the value where that says so.
        scale: ``log`` for ratios of positive values, ``raw`` for differences.
        margin: The smallest difference that matters: ``0.6`` or ``5%``.
        looks: Schedule of looks in blocks, ``"6,9,12"`` or numbers.
        where: Conditions on rows, such as ``state == finished``.
        ok: States that are complete; everything else that has ended is a failure then.
        failed: Column that says which trials failed; a column of states is found by its name without it.
        at: ``last``, ``best`` or a step, of tables with several rows a trial.
        step: Column of the steps.
        pattern: How trials are named, ``{arm}/seed{seed}``; its parts become columns.
        ignore: Columns of numbers that are no settings.
        factors: Columns of a factorial table, ``"A,B,C"`` or names.
        costs: Columns shown beside quality, as the median over an arm's trials.
        positive_control: An arm that is known to differ from the baseline. It is judged by itself, and unless it is
            told apart as expected nothing is called equivalent, but *not sensitive*.
        expect: How it must differ: ``worse``, ``better``, or ``differs`` for either.
        alpha: Error rate of the whole analysis.

    Raises:
        DataError: The file or a column does not exist, or the table cannot be compared; one message says why.
    """
    found = read(source, pattern)
    name, names = found.where, parts(factors)
    if positive_control is not None and baseline is None:
        raise DataError(f"{name}: a positive control is compared with the baseline; name that too")
    if baseline is None and not names:
        raise DataError(f"{name}: no baseline; name the arm that others are compared with, or the factors of a design")
    table, said = filtered(found.frame, [where] if isinstance(where, str) else where, name)
    options = Options(
        unit=unit,
        arm=arm,
        value=value,
        failed=failed,
        ok=parts(ok),
        at=None if at is None else str(at),
        step=step,
        ignore=(*parts(ignore), *costs),
    )
    shared: dict[str, Any] = {"scale": scale, "margin": margin, "alpha": alpha}
    document: dict[str, Any] = {"table": found.name, "reading": said}
    told = sensitivity_of(None)
    if baseline is not None:
        base = label(baseline)
        if _is_wide(table, options, base, name):
            trials, metric = _of_wide(table, options, base, name), "value"
            sense, _ = direction(better, metric, name)
        else:
            column = column_named(table, value or "value", name, "the values (--value)")
            called = metric_of(table, column, name)
            sense, of_name = direction(better, called, name)
            trials = trials_of(table, options, metric=column, better=sense, where=name)
            metric, base = short(called), _arm_named(base, trials)
            said += [of_name] if of_name else []
        said += trials.notes
        judged: Any = {**shared, "baseline": base, "better": sense, "looks": parse_looks(looks), "metric": metric}
        rows, control = trials.rows[["unit", "arm", "value", "failed"]], None
        if positive_control is not None:
            control, rows = _apart(rows, _arm_named(label(positive_control), trials), expect, judged, name)
        told = sensitivity_of(control)
        if control is not None and trials.stopped_of({control.arm, base}):
            told = Sensitivity(shown=False, reason=f"trials of the positive control '{control.arm}' were stopped early")
        medians = {cost: _medians(trials.rows, cost, name) for cost in costs}
        analysis = analyse(rows, **judged, costs=medians, where=name)
        document |= withheld(gated(analysis, told), trials).to_dict()
        document["controls"] = [] if control is None else [control.to_dict()]
    effects = None
    if names:
        effects = gated_effects(_factorial(table, options, names, better, shared, name), told).to_dict()
        if baseline is None:
            document |= {
                key: effects[key] for key in ("metric", "better", "scale", "alpha", "margin", "blocks", "notes")
            }
            document |= {"baseline": None, "looks": None, "family": "primary", "contrasts": []}
            document |= {"sensitivity": plain(told), "controls": []}
    document["effects"] = [] if effects is None else effects.pop("effects")
    document["factorial"] = effects
    return document


def _factorial(
    table: pd.DataFrame, options: Options, names: list[str], better: str | None, shared: dict[str, Any], where: str
) -> Factorial:
    """Return the effects of factors: of trials where the units are named, else of plain replicates."""
    factors = [column_named(table, name, where, "a factor") for name in names]
    column = column_named(table, options.value or "value", where, "the values (--value)")
    called = metric_of(table, column, where)
    sense, _ = direction(better, called, where)
    if options.unit is not None:
        trials = trials_of(table, replace(options, arm=factors), metric=column, better=sense, where=where)
        stopped, table, unit = len(trials.stopped), trials.rows, "unit"
    elif options.at is not None:
        raise DataError(f"{where}: --at {options.at} needs the trials' units; name them with --unit")
    else:
        states = states_of(table, ok=options.ok, failed=options.failed, used=[*factors, column], where=where)
        value, unit, stopped = as_numbers(table[column], column, where), None, 0
        if states is not None:
            stopped, value = int((states.kinds == PRUNED).sum()), value.mask(states.kinds == FAILED)
            table = table[states.kinds != UNFINISHED]
        table = table.assign(value=value, failed=value.isna())
    if stopped:
        raise DataError(
            f"{where}: {stopped} trials were stopped early, which effects cannot allow for; say how they count with "
            "--ok, or leave them out with --where"
        )
    return factorial(
        table,
        factors=factors,
        unit=unit,
        value="value",
        failed="failed",
        better=sense,
        metric=short(called),
        where=where,
        **shared,
    )


def _is_wide(table: pd.DataFrame, options: Options, baseline: str, where: str) -> bool:
    """Return whether a table has a column per arm."""
    if options.value is None and baseline in table.columns:
        if all(name in table.columns for name in parts(options.arm)):
            return True
    elif options.arm is None and options.value is None and not lookup(table, "arm"):
        holds = [str(c) for c in table.columns if (table[c].map(label, na_action="ignore") == baseline).any()]
        near = f"; '{holds[0]}' holds it: --arm {short(holds[0])}" if holds else did_you_mean(baseline, map(str, table))
        raise DataError(f"{where}: no column '{baseline}' of a wide table, and no column 'arm' of a long one{near}")
    return False


def _of_wide(table: pd.DataFrame, options: Options, baseline: str, where: str) -> Trials:
    """Return the trials of a table with one row a unit and one column an arm; empty cells are failures."""
    if options.failed is not None:
        raise DataError(f"{where}: a column of failures in a table with one column per arm; leave failed cells empty")
    if options.ok or options.at is not None or options.step is not None:
        raise DataError(f"{where}: --ok, --at and --step need a row a trial; this table has one column per arm")
    unit = [column_named(table, name, where, "the units (--unit)") for name in parts(options.unit)]
    if not unit and (usual := first_of(table, UNIT_NAMES)) is not None:
        unit = [usual]
    units = labels(table, unit) if len(unit) > 1 else table[unit[0]] if unit else np.arange(1, len(table) + 1)
    ignored = {column_named(table, name, where, "--ignore") for name in options.ignore}
    arms = [str(c) for c in table.columns if c not in {*unit, *ignored}]
    notes: list[str] = []
    if options.arm is not None:
        arms = [baseline, *(name for name in parts(options.arm) if name != baseline)]
    else:
        arms, notes = check_arm_columns(table, baseline, arms, where)
    columns = [
        pd.DataFrame({"unit": units, "arm": name, "value": as_numbers(table[name], name, where)}) for name in arms
    ]
    return Trials(pd.concat(columns, ignore_index=True).assign(failed=None), {}, tuple(notes))


def _arm_named(name: str, trials: Trials) -> str:
    """Return the arm that a person named; of an arm of several columns the values alone are enough: ``none, 0.1``."""
    spaced = ", ".join(parts(name))
    for arm in map(str, trials.rows["arm"].unique()):
        if name == arm or spaced in (arm, ", ".join(part.partition("=")[2] for part in arm.split(", "))):
            return arm
    return name


def _apart(
    rows: pd.DataFrame, arm: str, expect: Expectation, judged: Mapping[str, Any], where: str
) -> tuple[Control, pd.DataFrame]:
    """Return what a positive control came to, and the rows of the other arms."""
    named = rows["arm"].map(label)
    if arm not in set(named) or arm == judged["baseline"]:
        others = [name for name in named.unique() if name != judged["baseline"]]
        raise DataError(f"{where}: no arm '{arm}' to be the positive control{did_you_mean(arm, others)}")
    if expect not in get_args(Expectation):
        raise DataError(f"expect: '{expect}' found{did_you_mean(str(expect), get_args(Expectation))}")
    return positive(rows.assign(arm=named), arm=arm, expect=expect, **judged), rows[named != arm]


def _medians(rows: pd.DataFrame, cost: str, where: str) -> dict[str, float | None]:
    column = column_named(rows, cost, where, "a cost")
    values = as_numbers(rows[column], cost, where)
    medians: dict[str, float | None] = plain(values.groupby(rows["arm"].map(label)).median().to_dict())
    return medians
