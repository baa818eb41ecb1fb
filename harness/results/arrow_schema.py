"""The schema of the tables as Parquet knows it: what is written, and what a file must hold to be read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.results.schema import MEASUREMENT_COLUMNS, TRIAL_COLUMNS, Column, Row

if TYPE_CHECKING:
    import pyarrow as pa

KEY = Column("trial_id", "string", "key of the trial")
STEP = Column("step", "int64", "steps of training done")
COLUMNS = {
    "trials": {column.name: column for column in TRIAL_COLUMNS},
    "measurements": {column.name: column for column in MEASUREMENT_COLUMNS},
    "signals": {column.name: column for column in (KEY, STEP)},
}
"""The fixed columns of each table; those that a file of an earlier version lacks are read as null: not known."""
NEEDED = {
    "trials": ("study", "study_hash", "trial_id", "arm", "block", "status"),
    "measurements": ("trial_id", "step", "metric", "value"),
    "signals": ("trial_id", "step"),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return columns as Parquet's schema, with their meaning and unit beside them."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema(
        [pa.field(c.name, types[c.type], metadata={"meaning": c.meaning, "unit": c.unit}) for c in columns]
    )


def signal_columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns of a trial's signals: its key, the step, and whatever was logged."""
    fixed = COLUMNS["signals"]
    names = dict.fromkeys(name for row in rows for name in row)
    return [fixed.get(n, Column(n, "double", re.sub("_", " ", n))) for n in (names or fixed)]


@functools.cache
def _fixed(name: str) -> pa.Schema:
    """Return the fixed columns of a table."""
    return arrow_schema(COLUMNS[name].values())


def conforming(table: pa.Table, trial_id: str | None, name: str) -> pa.Table:
    """Return a file's table as this version reads it: fixed columns in their types, numbers or levels beside them.

    Columns that only a later version knows are left out.

    Args:
        table: What a file holds.
        trial_id: The trial that the file's name says it is of; None for a published file, of all trials.
        name: One of `COLUMNS`.

    Raises:
        StoreError: A column that is needed is missing, one holds another kind of data, or the rows are another trial's.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = _fields(table.schema, name)
    if name == "trials" and trial_id is not None and table.num_rows != 1:
        raise StoreError(f"{table.num_rows} rows where a trial has one")
    arrays = [
        pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        if position is None
        else _cast(table.column(position), field)
        for position, field in fields
    ]
    conformed = pa.Table.from_arrays(arrays, schema=pa.schema([field for _, field in fields]))
    # A trial's own row is read whatever it calls itself, so that it can be named.
    if name != "trials" and trial_id is not None and pc.unique(conformed.column("trial_id")).to_pylist() not in ([], [trial_id]):
        raise StoreError("it holds rows of another trial")
    return conformed


@functools.lru_cache(maxsize=256)
def _fields(there: pa.Schema, name: str) -> list[tuple[int | None, pa.Field]]:
    """Return the columns that are read of a file, each with its place there; None where the file lacks it.

    The many files of a study have few schemas.

    Raises:
        StoreError: A column that is needed is missing, or one is there twice.
    """
    import pyarrow as pa

    if missing := [column for column in NEEDED[name] if column not in there.names]:
        raise StoreError(f"no column {', '.join(missing)}")
    if len(set(there.names)) < len(there.names):
        raise StoreError("a column is there twice")
    fixed, fields = _fixed(name), list[tuple[int | None, pa.Field]]()
    for position, column in enumerate(there):
        known = fixed.get_field_index(column.name)
        if known >= 0:
            fields.append((position, fixed.field(known)))
        elif column.name.startswith("arm_") and name == "trials":
            fields.append((position, pa.field(column.name, pa.string())))
        elif _number(column.type) or pa.types.is_null(column.type):
            fields.append((position, pa.field(column.name, pa.float64())))
    return [*fields, *((None, field) for field in fixed if field.name not in there.names)]


def _number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return a column in its type: numbers as numbers and texts as texts, never one read out of the other."""
    import pyarrow as pa

    if column.type == field.type:
        return column
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    alike = (
        pa.types.is_null(column.type)
        or (_number(column.type) and _number(field.type))
        or (pa.types.is_timestamp(column.type) and pa.types.is_timestamp(field.type))
        or (any(text(column.type) for text in texts) and pa.types.is_string(field.type))
    )
    try:
        if alike:
            return column.cast(field.type)
    except pa.ArrowException:
        pass
    raise StoreError(f"column {field.name} holds {column.type}, not {field.type}")
