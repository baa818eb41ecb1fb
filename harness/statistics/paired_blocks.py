"""A long table of unit, arm, value, checked and turned into matched blocks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import DataError, did_you_mean
from harness.statistics.verdict_rule import Scale

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FAILED_WORDS = frozenset({"true", "yes", "1", "failed", "diverged", "collapsed", "timeout", "oom"})
NUMBER = re.compile(r"[+-]?[0-9]+([.][0-9]*)?(e[+-]?[0-9]+)?", re.IGNORECASE)
FINE_WORDS = frozenset({"false", "no", "0", "", "complete", "ok"})


@dataclass(frozen=True, slots=True)
class PairedBlocks:
    """The blocks in which an arm and the baseline both have a row, in block order; arrays of shape (blocks,)."""

    arm: Floats
    """Values on the scale of the analysis; NaN where the trial failed or has no value."""
    baseline: Floats
    arm_failed: Bools
    baseline_failed: Bools
    missing_before: NDArray[np.int64]
    """How many blocks without a row of one of the two come before each pair."""
    missing: int
    """Blocks of the whole table without a row of one of the two."""
    rounding: float = 0.0
    """Differences that lie no further apart than this may be equal: what is left is rounding of the values."""

    def first(self, count: int) -> PairedBlocks:
        """Return the first `count` pairs; blocks that come after the last of them do not count as missing."""
        missing = int(self.missing_before[:count][-1]) if len(self.missing_before[:count]) else 0
        return PairedBlocks(
            self.arm[:count],
            self.baseline[:count],
            self.arm_failed[:count],
            self.baseline_failed[:count],
            self.missing_before[:count],
            missing,
            self.rounding,
        )

    @property
    def complete(self) -> Bools:
        """Where both have a value."""
        return np.isfinite(self.arm) & np.isfinite(self.baseline)

    @property
    def differences(self) -> Floats:
        """Arm minus baseline in the complete pairs."""
        return self.arm[self.complete] - self.baseline[self.complete]

    @property
    def equal(self) -> bool:
        """Whether all differences are equal but for rounding; False with fewer than two."""
        d = self.differences
        return len(d) >= 2 and bool(np.ptp(d) <= self.rounding)

    @property
    def identical(self) -> bool:
        """Whether arm and baseline have the same values to the last bit, and failed in the same blocks."""
        same_failures = bool((self.arm_failed == self.baseline_failed).all())
        return len(self.differences) >= 2 and same_failures and not self.differences.any()

    @property
    def saturated(self) -> bool:
        """Whether every value of both is the same number, such as a rate that is 0 everywhere."""
        values = np.concatenate([self.arm[self.complete], self.baseline[self.complete]])
        return len(values) >= 2 and bool(np.ptp(values) == 0)

    @property
    def dead(self) -> bool:
        """Whether every trial of both failed, in two or more blocks."""
        return len(self.arm) >= 2 and bool((self.arm_failed & self.baseline_failed).all())

    @property
    def lost(self) -> int:
        """Blocks that should have given a pair and did not: failed, without a value, or without a row."""
        return int((~self.complete).sum()) + self.missing


@dataclass(frozen=True, slots=True)
class Blocks:
    """Matched blocks: one row per unit in natural order, one column per arm."""

    units: tuple[Any, ...]
    arms: tuple[str, ...]
    """In the order of first appearance in the table."""
    values: Floats
    """Shape (units, arms), on the scale of the analysis; NaN where there is no value."""
    raw: Floats
    """The same on the scale of the table."""
    present: Bools
    """Where the table has a row."""
    failed: Bools
    """Where the row says that the trial failed, or has no value and no word about it."""
    scale: Scale

    def column(self, arm: str) -> int:
        """Return the column of an arm."""
        return self.arms.index(arm)

    def of(self, arm: str) -> Floats:
        """Return an arm's values on the scale of the analysis."""
        return self.values[:, self.column(arm)]

    def pairs(self, arm: str, baseline: str) -> PairedBlocks:
        """Return the blocks in which both arms have a row."""
        a, b = self.column(arm), self.column(baseline)
        both = self.present[:, a] & self.present[:, b]
        return PairedBlocks(
            self.values[both, a],
            self.values[both, b],
            self.failed[both, a],
            self.failed[both, b],
            np.cumsum(~both, dtype=np.int64)[both],
            int((~both).sum()),
            rounding_of(self.values[both][:, [a, b]], self.scale),
        )


def rounding_of(values: Floats, scale: Scale) -> float:
    """Return how far differences of these values can lie apart by rounding alone: a few units in the last place.

    A logarithm carries the rounding of its value besides its own.
    """
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if len(finite) else 0.0
    return 4 * float(np.finfo(float).eps) * (largest + (scale == "log"))


def label(value: Any) -> str:
    """Return an arm's name as a person would type it: 1.0 is ``1``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def natural_key(value: Any) -> tuple[Any, ...]:
    """Sort key under which 2 comes before 10 and ``seed2`` before ``seed10``."""
    if isinstance(value, int | float | np.number) or NUMBER.fullmatch(str(value)):
        return (0, float(value), "")
    parts = re.split(r"(\d+)", str(value))
    return (1, 0.0, tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts))


def _shown(items: Sequence[Any], most: int = 3) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


def numbers(column: pd.Series[Any], name: str, where: str) -> Floats:
    """Return a column as floats, null as NaN.

    Raises:
        DataError: Text where numbers belong; the message names the first rows (the first row below the head is row 1).
    """
    converted = pd.to_numeric(column, errors="coerce")
    bad = converted.isna() & column.notna()
    if bad.any():
        found = [f"row {row + 1}: {column.iloc[row]!r}" for row in np.flatnonzero(bad.to_numpy())]
        raise DataError(
            f"{where}: text in column '{name}' where numbers belong ({_shown(found)}); "
            "leave a cell empty when there is no value"
        )
    return converted.to_numpy(dtype=np.float64, na_value=np.nan)


def flags(column: pd.Series[Any], name: str, where: str) -> Bools:
    """Return a column of true and false, 0 and 1, or statuses (``complete``, ``diverged`` …) as booleans."""
    if column.dtype == bool:
        return column.to_numpy()
    words = column.map(lambda cell: "" if pd.isna(cell) else label(cell).strip().lower())
    unknown = ~words.isin(FAILED_WORDS | FINE_WORDS)
    if unknown.any():
        row = int(np.flatnonzero(unknown.to_numpy())[0])
        allowed = "true or false, 0 or 1, or a status such as complete, diverged, failed"
        raise DataError(f"{where}: {column.iloc[row]!r} in column '{name}', row {row + 1}; {allowed} is needed")
    return words.isin(FAILED_WORDS).to_numpy(dtype=bool)


def blocks_of(table: pd.DataFrame, *, scale: Scale, where: str = "table") -> Blocks:
    """Return the matched blocks of a long table with columns `unit`, `arm`, `value` and perhaps `failed`.

    A row that failed keeps no value, whatever its cell says. An empty value is a failure unless the column `failed`
    says otherwise. A cell without a row is missing, not failed. Numeric units are ordered by size, others so that
    ``seed2`` comes before ``seed10``; the order of rows never matters.

    Raises:
        DataError: A column or label is missing, a cell comes twice, a value is text, infinite, or not positive on the
            log scale.
    """
    for name in ("unit", "arm", "value"):
        if name not in table.columns:
            raise DataError(f"{where}: no column '{name}'{did_you_mean(name, map(str, table.columns))}")
    if table.empty:
        raise DataError(f"{where}: no rows; one row per unit and arm is needed")
    for name in ("unit", "arm"):
        empty = np.flatnonzero(table[name].isna().to_numpy())
        if len(empty):
            raise DataError(f"{where}: column '{name}' is empty in row {empty[0] + 1}; every row needs one")
    value = numbers(table["value"], "value", where)
    failed = np.isnan(value)
    if "failed" in table.columns:
        said = table["failed"].notna().to_numpy()
        failed = np.where(said, flags(table["failed"], "failed", where), failed)
    value = np.where(failed, np.nan, value)
    arm_of_row = table["arm"].map(label)
    twice = pd.DataFrame({"unit": table["unit"].to_numpy(), "arm": arm_of_row.to_numpy()}).duplicated().to_numpy()
    cells = [f"unit {unit}, arm {arm}" for unit, arm in zip(table["unit"][twice], arm_of_row[twice], strict=True)]
    if cells:
        way = "average repeated measurements of one trial first, or name the blocks apart"
        raise DataError(f"{where}: more than one row for the same cell ({_shown(cells)}); {way}")
    _check_values(value, table, arm_of_row, scale, where)

    units = sorted(pd.unique(table["unit"]), key=natural_key)
    arms = tuple(str(arm) for arm in pd.unique(arm_of_row))
    row = pd.Index(units).get_indexer(pd.Index(table["unit"]))
    col = pd.Index(arms).get_indexer(pd.Index(arm_of_row))
    raw = np.full((len(units), len(arms)), np.nan)
    raw[row, col] = value
    present = np.zeros(raw.shape, dtype=bool)
    present[row, col] = True
    fallen = np.zeros(raw.shape, dtype=bool)
    fallen[row, col] = failed
    return Blocks(tuple(units), arms, np.log(raw) if scale == "log" else raw, raw, present, fallen, scale)


def _check_values(value: Floats, table: pd.DataFrame, arms: pd.Series[Any], scale: Scale, where: str) -> None:
    def cells(bad: Bools) -> str:
        rows = zip(table["unit"][bad], arms[bad], value[bad], strict=True)
        return _shown([f"unit {unit}, arm {arm}: {number:g}" for unit, arm, number in rows])

    infinite = np.isinf(value)
    if infinite.any():
        raise DataError(f"{where}: infinite values ({cells(infinite)}); leave the cell empty or mark the row as failed")
    if scale == "log" and (value <= 0).any():
        raise DataError(f"{where}: values that have no logarithm ({cells(value <= 0)}); use the raw scale")


def baseline_mean(blocks: Blocks, baseline: str, first: int | None) -> float:
    """Return the baseline's mean on the scale of the table, over its first `first` blocks or all of them."""
    column = blocks.raw[:, blocks.column(baseline)]
    column = column[np.isfinite(column)][:first]
    return float(column.mean()) if len(column) else math.nan
