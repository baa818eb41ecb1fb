"""Settings that vary beside the arm: part of the arm's meaning, of the unit's, or something to be asked about."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import DataError
from harness.statistics.paired_blocks import label
from harness.tables.columns import BOOKKEEPING, is_setting, short
from harness.tables.directions import direction_of

SETTING_WORDS = frozenset(
    (
        *(
            "lr",
            "rate",
            "batch",
            "batchsize",
            "epochs",
            "steps",
            "decay",
            "momentum",
            "beta",
            "beta1",
            "beta2",
            "dropout",
        ),
        *("dim", "hidden", "layers", "channels", "width", "depth", "heads", "warmup", "gamma", "lambda", "optimizer"),
        *("temperature", "weight", "clip", "eps", "sigma", "noise", "augment", "size", "resolution"),
    )
)
"""Words in names of settings."""
COUNTERS = frozenset(("epoch", "step", "seed", "time", "runtime", "seconds", "unit", "block"))
"""Names of numbers that are neither settings nor values of an arm."""


def check_settings(rows: pd.DataFrame, used: Collection[str], where: str) -> list[str]:
    """Return notes on settings that differ between arms; refuse those that vary within an arm and within a unit.

    Where a tool marks settings (``params.``, ``config/``) these are looked at. Else every other column of numbers is
    that holds few different ones. A setting that the arm determines is part of what the arm is, and said; one that the
    unit determines is matched.

    Args:
        rows: One row a trial, with columns `_unit` and `_arm`.
        used: Columns that mean something else, or that the user wants ignored.
        where: What the table is called.

    Raises:
        DataError: A setting varies otherwise.
    """
    if "study_hash" in rows:  # a study's own trials: its axes are what the arms are
        digests = rows["study_hash"].nunique()
        return [] if digests == 1 else [f"Trials are of {digests} different settings of their study."]
    notes = []
    columns = [str(c) for c in rows.columns if str(c) not in used and not str(c).startswith("_")]
    marked = [c for c in columns if is_setting(c)]
    if not any(is_setting(str(c)) for c in rows.columns):
        others = [c for c in columns if not BOOKKEEPING.fullmatch(c.lower()) and _numeric(rows[c])]
        marked = [c for c in others if _named_setting(c) or rows[c].nunique() <= rows[c].count() / 2]
        measured = [c for c in others if c not in marked]
        if measured:
            notes.append(f"Other columns of numbers are taken as measurements, not settings: {', '.join(measured)}.")
    for name in marked:
        cells = rows[name].map(label, na_action="ignore")
        if cells.nunique(dropna=False) < 2 or _determined(cells, rows["_unit"]):
            continue
        if not _determined(cells, rows["_arm"]):
            values = ", ".join(sorted(cells.dropna().unique())[:4])
            one = cells.dropna().iloc[0]
            raise DataError(
                f"{where}: '{name}' varies within arms ({values}), so arms would not be matched in it; make it part "
                f"of the arm (--arm …,{short(name)}), keep one value (--where '{short(name)} == {one}'), or say that "
                f"it is no setting (--ignore {short(name)})"
            )
        by_arm = ", ".join(f"{arm} {part.iloc[0]}" for arm, part in cells.groupby(rows["_arm"], sort=False))
        notes.append(f"Arms differ in '{short(name)}' as well: {by_arm}.")
    return notes


def check_arm_columns(
    table: pd.DataFrame, baseline: str, arms: Sequence[str], where: str
) -> tuple[list[str], list[str]]:
    """Return which columns of a wide table are arms, and notes; columns that may be none are asked about.

    Args:
        table: One row a unit.
        baseline: Column of the baseline.
        arms: All columns but the unit's.
        where: What the table is called.

    Raises:
        DataError: A column of numbers does not look like values of an arm.
    """
    others = [name for name in arms if name != baseline]
    constant = [name for name in others if table[name].nunique(dropna=False) == 1 < table[baseline].nunique()]
    notes = [f"Column '{name}' is constant and left out; --arm {name} compares it." for name in constant]
    others = [name for name in others if name not in constant]
    strange = [name for name in others if _strange(table[name], table[baseline], name)]
    if strange:
        named = ",".join(name for name in others if name not in strange) or "NAMES"
        raise DataError(
            f"{where}: column '{strange[0]}' does not look like values of an arm beside '{baseline}'; name the arms, "
            f"such as --arm {named}, and the units with --unit"
        )
    if len(others) > 1:
        notes.append(f"Every other column is taken as an arm: {', '.join(others)}; --arm names them.")
    return [baseline, *others], notes


def _strange(column: pd.Series[Any], baseline: pd.Series[Any], name: str) -> bool:
    """Return whether a column's name or numbers are unlike values of the baseline."""
    if _named_setting(name) or short(name).lower() in COUNTERS:
        return True
    own, base = (pd.to_numeric(side, errors="coerce") for side in (column, baseline))
    own, base = own[np.isfinite(own)], base[np.isfinite(base)]
    if own.empty or base.empty:
        return False
    counted = len(own) > 2 and sorted(own) in (list(range(len(own))), list(range(1, len(own) + 1)))
    # The median of an even number of values is a mean of two, whose sum must stay finite.
    small, large = sorted(float(side.abs().clip(upper=np.finfo(float).max / 2).median()) for side in (own, base))
    return (counted and sorted(base) != sorted(own)) or (small > 0 and large / small > 100)


def _named_setting(name: str) -> bool:
    """Return whether a name has a word of settings, and none of measurements: `lr`, `batch_size`, not `error_rate`."""
    words = re.findall(r"[a-z]+\d*", short(name).lower())
    return bool(words) and bool(set(words) & SETTING_WORDS) and direction_of(name) is None


def _numeric(column: pd.Series[Any]) -> bool:
    """Return whether a column holds numbers, of which two differ."""
    numbers = pd.to_numeric(column, errors="coerce")
    return column.dtype != bool and numbers.notna().sum() == column.notna().sum() and bool(np.ptp(numbers.dropna()) > 0)


def _determined(cells: pd.Series[Any], by: pd.Series[Any]) -> bool:
    return not pd.DataFrame({"by": by, "cell": cells}).drop_duplicates().duplicated("by").any()
