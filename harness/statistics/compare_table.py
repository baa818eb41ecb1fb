"""The same statistics on anybody's CSV or Parquet table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics.analysis import plain
from harness.statistics.contrasts import analyse
from harness.statistics.controls import Control, Expectation, positive
from harness.statistics.factorial import factorial
from harness.statistics.paired_blocks import label, numbers
from harness.statistics.sensitivity import gated, gated_effects, sensitivity_of
from harness.statistics.verdict_rule import Better, Margin, Scale

UNIT_NAMES = ("unit", "block", "seed")
"""Columns that hold the units when none is named."""
TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")


def read_table(path: str | Path) -> pd.DataFrame:
    """Return the rows of a CSV, TSV or Parquet file, or of a folder of Parquet files.

    Raises:
        DataError: There is no such file, its ending is unknown, it cannot be read, or it has no rows.
    """
    path = Path(path)
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file{did_you_mean(path.name, near) if len(near) < 50 else ''}")
    name = path.name.lower()
    try:
        if path.is_dir() or name.endswith(PARQUET_ENDINGS):
            table = pd.read_parquet(path)
        elif name.endswith(TEXT_ENDINGS):
            table = pd.read_csv(path, sep="\t" if ".tsv" in name else ",", skipinitialspace=True)
        else:
            raise DataError(f"{path}: unknown kind of table; allowed: {', '.join(TEXT_ENDINGS + PARQUET_ENDINGS)}")
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from error
    return _as_read(table, str(path))


def _as_read(table: pd.DataFrame, where: str = "table") -> pd.DataFrame:
    """Return a frame with an index that has a meaning as columns, and text for column names."""
    table = table.reset_index(drop=True) if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    if table.empty:
        raise DataError(
            f"{where}: no rows; one row per unit and arm is needed, or one row per unit with a column per arm"
        )
    return table.rename(columns=lambda column: str(column).strip())


def parse_looks(looks: str | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return a schedule that a person wrote, ``"6,9,12"``, as numbers; None stays None.

    Raises:
        DataError: A part is not a whole number.
    """
    if looks is None:
        return None
    parts = looks.replace(",", " ").split() if isinstance(looks, str) else looks
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        raise DataError(f"looks: {looks!r} found; whole numbers are needed, such as 6,9,12") from None


def compare(
    source: pd.DataFrame | str | Path,
    *,
    unit: str | None = None,
    arm: str | None = None,
    value: str | None = None,
    baseline: str | None = None,
    better: Better = "lower",
    scale: Scale = "raw",
    margin: Margin | str | float | None = None,
    looks: str | Sequence[int] | None = None,
    failed: str | None = None,
    factors: str | Sequence[str] = (),
    costs: Sequence[str] = (),
    positive_control: str | None = None,
    expect: Expectation = "worse",
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Return the document of ``compare --json`` for a table: its `contrasts`, its `effects`, or both.

    A table is **wide**, one row per unit and one column per arm, when no value column is named and `baseline` is the
    name of a column; then every other column except the unit is an arm, or those that `arm` lists with commas.
    Otherwise it is **long**: one row per unit and arm, columns ``arm`` and ``value`` unless named otherwise. Units
    are in the column named ``unit``, ``block`` or ``seed`` unless named otherwise; a wide table without one has a unit
    a row. A column that `factors` names is a factor; without `baseline` only effects are computed then, and rows of a
    factorial table without `unit` are plain replicates.

    Args:
        source: A frame; or a CSV, TSV or Parquet file, or a folder of Parquet files.
        unit: Column of the units (blocks).
        arm: Column of the arms; in a wide table the arms' columns, separated by commas.
        value: Column of the values.
        baseline: The arm that the others are compared with.
        better: Which direction is better.
        scale: ``log`` for ratios of positive values, ``raw`` for differences.
        margin: The smallest difference that matters: ``0.6`` or ``5%``.
        looks: Schedule of looks in blocks, ``"6,9,12"`` or numbers.
        failed: Column that says which trials failed; without it an empty value is a failure.
        factors: Columns of a factorial table, ``"A,B,C"`` or names.
        costs: Columns shown beside quality, as the median over an arm's trials.
        positive_control: An arm that is known to differ from the baseline. It is judged by itself, and unless it is
            told apart as expected nothing is called equivalent, but *not sensitive*.
        expect: How it must differ: ``worse``, ``better``, or ``differs`` for either.
        alpha: Error rate of each contrast.

    Raises:
        DataError: The file or a column does not exist, or the table cannot be compared; one message says why.
    """
    if isinstance(source, pd.DataFrame):
        table, where, name = _as_read(source), "table", "frame"
    else:
        table, where, name = read_table(source), Path(source).name, str(source)
    names = [part.strip() for part in factors.split(",")] if isinstance(factors, str) else list(factors)
    names = [factor for factor in names if factor]
    document: dict[str, Any] = {"table": name}
    told = sensitivity_of(None)
    if positive_control is not None and baseline is None:
        raise DataError(f"{where}: a positive control is compared with the baseline; name that too")
    if baseline is None and not names:
        raise DataError(f"{where}: no baseline; name the arm that others are compared with, or the factors of a design")
    if baseline is not None:
        baseline = label(baseline)
        if arm is None and value is None and baseline not in table.columns and "arm" not in table.columns:
            near = did_you_mean(baseline, map(str, table.columns))
            raise DataError(f"{where}: no column '{baseline}' of a wide table, and no column 'arm' of a long one{near}")
        if value is None and baseline in table.columns and _are_columns(arm, table):
            rows, metric = (
                _long_of_wide(table, unit=unit, arm=arm, baseline=baseline, failed=failed, where=where),
                "value",
            )
        else:
            rows = _long(table, unit=unit, arm=arm or "arm", value=value or "value", failed=failed, where=where)
            metric = value or "value"
        judged: Any = {
            "baseline": baseline,
            "better": better,
            "scale": scale,
            "margin": margin,
            "looks": parse_looks(looks),
            "alpha": alpha,
            "metric": metric,
        }
        control = None
        if positive_control is not None:
            control, rows = _apart(rows, label(positive_control), expect, judged, where)
        told = sensitivity_of(control)
        analysis = analyse(
            rows,
            **judged,
            costs={name: _medians(table, arm or "arm", name, where) for name in costs},
            where=where,
        )
        document |= gated(analysis, told).to_dict()
        document["controls"] = [] if control is None else [control.to_dict()]
    effects = None
    if names:
        found = factorial(
            table,
            factors=names,
            unit=unit,
            value=value or "value",
            failed=failed,
            scale=scale,
            better=better,
            margin=margin,
            alpha=alpha,
            where=where,
        )
        effects = gated_effects(found, told).to_dict()
        if baseline is None:
            shared = ("metric", "scale", "alpha", "margin", "blocks", "notes")
            document |= {key: effects[key] for key in shared}
            document |= {"better": better, "baseline": None, "looks": None, "family": "primary", "contrasts": []}
            document |= {"sensitivity": plain(told), "controls": []}
    document["effects"] = [] if effects is None else effects.pop("effects")
    document["factorial"] = effects
    return document


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


def _are_columns(arm: str | None, table: pd.DataFrame) -> bool:
    return arm is None or all(part.strip() in table.columns for part in arm.split(","))


def _column(table: pd.DataFrame, name: str, where: str, option: str) -> pd.Series[Any]:
    if name not in table.columns:
        raise DataError(f"{where}: no column '{name}' for {option}{did_you_mean(name, map(str, table.columns))}")
    return table[name]


def _unit_name(table: pd.DataFrame, unit: str | None) -> str | None:
    return unit or next((name for name in UNIT_NAMES if name in table.columns), None)


def _long(
    table: pd.DataFrame, *, unit: str | None, arm: str, value: str, failed: str | None, where: str
) -> pd.DataFrame:
    name = _unit_name(table, unit)
    if name is None:
        columns = ", ".join(map(str, table.columns))
        raise DataError(f"{where}: no column of units named; say which of {columns} tells matched blocks apart")
    rows = {
        "unit": _column(table, name, where, "the units"),
        "arm": _column(table, arm, where, "the arms"),
        "value": pd.Series(numbers(_column(table, value, where, "the values"), value, where), index=table.index),
    }
    if failed is not None:
        rows["failed"] = _column(table, failed, where, "failures")
    return pd.DataFrame(rows)


def _long_of_wide(
    table: pd.DataFrame, *, unit: str | None, arm: str | None, baseline: str, failed: str | None, where: str
) -> pd.DataFrame:
    if failed is not None:
        raise DataError(f"{where}: a column of failures in a table with one column per arm; leave failed cells empty")
    name = _unit_name(table, unit)
    units = pd.Series(np.arange(1, len(table) + 1)) if name is None else _column(table, name, where, "the units")
    arms = [str(c) for c in table.columns if c != name]
    if arm is not None:
        arms = [baseline, *(part.strip() for part in arm.split(",") if part.strip() != baseline)]
    parts = [
        pd.DataFrame({"unit": units, "arm": column, "value": numbers(table[column], column, where)}) for column in arms
    ]
    return pd.concat(parts, ignore_index=True)


def _medians(table: pd.DataFrame, arm: str, cost: str, where: str) -> dict[str, float | None]:
    arms = _column(table, arm, where, "the arms").map(label)
    values = pd.Series(numbers(_column(table, cost, where, "a cost"), cost, where), index=table.index)
    medians: dict[str, float | None] = plain(values.groupby(arms).median().to_dict())
    return medians
