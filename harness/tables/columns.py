"""Columns by the names that people use for them, whatever a tool puts before: `fid` is ``metrics.fid`` of MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics.paired_blocks import label

UNIT_NAMES = ("unit", "block", "seed")
"""Columns that hold the units when none is named."""
STEP_NAMES = ("step", "_step", "global_step", "trainer/global_step", "training_iteration", "iteration")
"""Columns that hold steps when none is named; `epoch` where a table has none of them."""
RUN_NAMES = ("run", "run_id", "run.hash", "trial_id", "number", "name", "tags.mlflow.runname")
"""Columns that tell one trial from another, as tools name them."""
STATE_NAMES = ("status", "state")
"""Columns that hold states when none is named."""
METRIC_NAMES = ("metric.name", "metric", "key", "tag")
"""Columns that say what the values of a row are, as tools name them."""

_SETTING = re.compile(r"^(?:config/|config\.|params\.|params_|(?:run\.)?hparams\.)")
_OTHER = re.compile(r"^(?:metrics\.|values_|user_attrs_|system_attrs_|summary[./]|tags\.)")
BOOKKEEPING = re.compile(
    r"tags\..*|system_attrs_.*|user_attrs_.*|system[./].*|metric\..*|_.*|datetime_.*|time_.*_s|time_since_restore"
    r"|(?:.*[_./ ])?(?:time|timestamp|date|duration|runtime|id|hash)|run|name|notes|user|tags|created|updated|sweep"
    r"|number|idx|index|pid|hostname|node_ip|logdir|checkpoint_dir_name|done|iterations_since_restore|should_checkpoint"
    r"|artifact_uri|file|epoch|step|global_step|trainer/global_step|training_iteration|iteration|wall time"
)
"""Names in lower case of columns that are neither settings nor measurements."""


def short(column: str) -> str:
    """Return a column's name without what its tool puts before it.

    Example:
        >>> short("config/spectral_norm"), short("metrics.fid"), short("params_seed")
        ('spectral_norm', 'fid', 'seed')
    """
    return _OTHER.sub("", _SETTING.sub("", column)) or column


def is_setting(column: str) -> bool:
    """Return whether a tool marks a column as a setting."""
    return _SETTING.match(column) is not None


def parts(names: str | Sequence[str] | None) -> list[str]:
    """Return names that a person wrote with commas between."""
    listed = names.split(",") if isinstance(names, str) else list(names or ())
    return [name.strip() for name in listed if name.strip()]


def lookup(table: pd.DataFrame, name: str) -> list[str]:
    """Return the columns that a name may mean: of that name, else in other case, else behind a tool's prefix."""
    columns = [str(column) for column in table.columns]
    if name in columns:
        return [name]
    low = name.lower()
    return [c for c in columns if c.lower() == low] or [c for c in columns if short(c).lower() == low]


def column_named(table: pd.DataFrame, name: str, where: str, purpose: str) -> str:
    """Return the one column that a name means.

    Raises:
        DataError: There is none, or there are several.
    """
    found = lookup(table, name)
    if len(found) > 1:
        raise DataError(f"{where}: '{name}' for {purpose} could be {' or '.join(map(repr, found))}; name one in full")
    if not found:
        names = {str(c) for c in table.columns} | {short(str(c)) for c in table.columns}
        raise DataError(f"{where}: no column '{name}' for {purpose}{did_you_mean(name, names)}")
    return found[0]


def first_of(table: pd.DataFrame, names: Iterable[str]) -> str | None:
    """Return the column that the first of these names means; None where the table has none of them."""
    return next((found[0] for name in names if len(found := lookup(table, name)) == 1), None)


def metric_of(table: pd.DataFrame, value: str, where: str) -> str:
    """Return what the values of a column are called: of tables with a row a metric, as the column beside says.

    Raises:
        DataError: The rows are of several metrics.
    """
    beside = next((name for name in METRIC_NAMES if name in table.columns), None)
    if short(value).lower() != "value" or beside is None:
        return value
    names = [str(name) for name in table[beside].dropna().unique()]
    if len(names) > 1:
        raise DataError(
            f"{where}: values of {', '.join(names[:6])} in one column; keep one: --where '{beside} == {names[0]}'"
        )
    return names[0] if names else value


def labels(table: pd.DataFrame, names: Sequence[str]) -> pd.Series[str]:
    """Return one column as labels, or several as ``a=1, b=x``; empty cells stay empty where there is one column."""
    if len(names) == 1:
        return table[names[0]].map(label, na_action="ignore")
    cells = {short(name): table[name].map(label, na_action="ignore").astype(object).fillna("") for name in names}
    rows = zip(*cells.values(), strict=True)
    named = [", ".join(f"{name}={cell}" for name, cell in zip(cells, row, strict=True)) for row in rows]
    return pd.Series(named, index=table.index, dtype=object)
