"""Conditions on rows that a person writes, such as ``state == finished``: parsed, never evaluated."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from harness.errors import DataError
from harness.statistics.paired_blocks import label
from harness.tables.columns import STATE_NAMES, column_named, short

_QUOTED = r"`[^`]+`|'[^']*'|\"[^\"]*\""
_CONDITION = re.compile(rf"\s*({_QUOTED}|.+?)\s*(==|!=|<=|>=|<|>|=|(?<=[\s`'\"])in(?=[\s(\[]))\s*(.+?)\s*", re.DOTALL)
_ITEM = re.compile(rf"\s*({_QUOTED}|[^,]+?)\s*(?:,|$)")
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FORM = "write COLUMN, one of == != < <= > >= in, and a value, such as 'state == finished' or 'seed in 1,2,3'"


def filtered(table: pd.DataFrame, conditions: Sequence[str], where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows for which every condition holds, and a sentence for each on how many remained.

    Numbers are compared as numbers where cell and value are both some, text is compared as it stands. An empty cell
    meets no condition but ``!=``. A column or a value with an operator, a comma or a space at its end goes in quotes.

    Raises:
        DataError: A condition cannot be read, its column does not exist, or no row remains.
    """
    notes = []
    for condition in conditions:
        read = _CONDITION.fullmatch(condition)
        if read is None:
            raise DataError(f"where: '{condition}' found; {FORM}")
        name, sign, value = _bare(read[1]), "==" if read[2] == "=" else read[2], read[3]
        column = table[column_named(table, name, where, f"--where '{condition}'")]
        kept = table[_holds(column, sign, value, condition)]
        if kept.empty:
            seen = sorted({label(cell) for cell in column.dropna()})
            values = ", ".join(seen[:12]) + (" …" if len(seen) > 12 else "")
            raise DataError(f"{where}: no row has {condition}; values of '{name}' are {values or 'all empty'}")
        ended = " Trials that are left out by how they ended are not left out by chance."
        by_state = len(kept) < len(table) and short(str(column.name)).lower() in STATE_NAMES
        notes.append(f"{len(kept)} of {len(table)} rows have {condition}.{ended if by_state else ''}")
        table = kept
    return table, notes


def _holds(column: pd.Series[Any], sign: str, value: str, condition: str) -> pd.Series[bool]:
    if sign == "in":
        inner = value[1:-1] if value[:1] + value[-1:] in ("()", "[]") else value
        items = [_bare(item) for item in _ITEM.findall(inner)]
        return pd.concat([_equal(column, item) for item in items], axis=1).any(axis=1)
    value = _bare(value)
    if sign in ("==", "!="):
        equal = _equal(column, value)
        return equal if sign == "==" else ~equal
    number = pd.to_numeric(value, errors="coerce")
    cells = pd.to_numeric(column, errors="coerce")
    if pd.isna(number) or (cells.isna() & column.notna()).any():
        raise DataError(f"where: '{condition}' compares text; {sign} needs numbers in the column and beside it")
    held: pd.Series[bool] = _ORDER[sign](cells, float(number)).fillna(False).astype(bool)
    return held


def _equal(column: pd.Series[Any], value: str) -> pd.Series[bool]:
    number = pd.to_numeric(value, errors="coerce")
    if pd.notna(number) and column.dtype != bool:
        cells = pd.to_numeric(column, errors="coerce").astype("float64")
        return cells == float(number)
    return column.notna() & (column.map(lambda cell: label(cell).strip()) == value)


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "`'\"" else text
