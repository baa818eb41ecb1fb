"""What became of each trial: the words of tools and of people's tables, and which of them are complete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics.paired_blocks import label
from harness.tables.columns import STATE_NAMES, column_named, lookup

COMPLETE, FAILED, PRUNED, UNFINISHED, SHORT = "complete", "failed", "pruned", "unfinished", "short"
"""Kinds of states. *Short* is derived: the trial ended before others did, and nothing says why."""

STATES = {
    COMPLETE: "complete completed finished success successful succeeded done ok terminated",
    FAILED: "fail failed failure crashed crash killed error errored timeout oom diverged collapsed aborted "
    "cancelled canceled",
    PRUNED: "pruned stopped early_stopped early-stopped",
    UNFINISHED: "running waiting pending scheduled queued created paused preempting preempted lost",
}
KINDS = {word: kind for kind, words in STATES.items() for word in words.split()}
FLAGS = dict.fromkeys(("true", "yes", "1"), FAILED) | dict.fromkeys(("false", "no", "0"), COMPLETE)
"""Words of a column that says whether a trial failed."""
HOW = {COMPLETE: "complete", FAILED: "failures", UNFINISHED: "not at an end, left out", PRUNED: "stopped early"}


@dataclass(frozen=True, slots=True)
class States:
    """The state of each row."""

    column: str
    words: pd.Series[str]
    kinds: pd.Series[str]

    def said(self, rows: pd.Index[Any]) -> str:
        """Return a sentence on how the states of some rows, one a trial, are counted."""
        words, kinds = self.words[rows], self.kinds[rows]
        counted = [
            f"{count} {word} ({HOW[kinds[words == word].iloc[0]]})"
            if word
            else f"{count} without one (by their values)"
            for word, count in words.value_counts(sort=True).items()
        ]
        return f"States in '{self.column}': {', '.join(counted)}."


def states_of(
    table: pd.DataFrame, *, ok: Sequence[str], failed: str | None, used: Collection[str], where: str
) -> States | None:
    """Return the states of all rows; None where the table has none.

    Args:
        table: Rows.
        ok: States that are complete; everything that has ended otherwise is a failure then. Without them the known
            words are.
        failed: A column that the caller names: of states, or of yes and no.
        used: Columns that mean something else.
        where: What the table is called.

    Raises:
        DataError: There is no column of states for `ok`, none of its words occurs, or a state is not known.
    """
    ok = [word.lower() for word in ok]
    name = column_named(table, failed, where, "failures") if failed else _state_column(table, ok, used)
    if name is None:
        if set(ok) - {COMPLETE, SHORT}:
            raise DataError(f"{where}: no column of states for --ok {','.join(ok)}; name it with --failed")
        return None
    known, words = {**KINDS, **(FLAGS if failed else {})}, _words(table[name])
    unknown = sorted(set(words) - known.keys() - {""})
    if unknown and not ok:
        raise DataError(
            f"{where}: '{unknown[0]}' in column '{name}' is no state that is known; say which states are complete with "
            f"--ok{did_you_mean(unknown[0], known)}"
        )
    occurring = set(words) - {""} | {SHORT} | ({COMPLETE} if "" in set(words) else set())
    if ok and not set(ok) & occurring:
        raise DataError(
            f"{where}: no row of column '{name}' is {' or '.join(ok)}{did_you_mean(ok[0], occurring - {SHORT})}"
        )
    return States(name, words, words.map(lambda word: _kind(word, ok, known)))


def _state_column(table: pd.DataFrame, ok: Collection[str], used: Collection[str]) -> str | None:
    """Return the column of states: of that name, with words in it that are known or that `ok` names."""
    for column in (column for name in STATE_NAMES for column in lookup(table, name)):
        words = set(_words(table[column])) - {""}
        if column not in used and words and (words <= KINDS.keys() or words & set(ok)):
            return column
    return None


def _words(column: pd.Series[Any]) -> pd.Series[str]:
    """Return states in lower case, empty text for empty cells; an enumeration's name without its class."""
    return column.map(lambda cell: "" if pd.isna(cell) else label(cell).strip().lower().rpartition(".")[2])


def _kind(word: str, ok: Sequence[str], known: Mapping[str, str]) -> str:
    """Return the kind of a state; where the state is empty the value decides."""
    if not ok or (not word and COMPLETE in ok):
        return known.get(word, COMPLETE)
    return COMPLETE if word in ok else UNFINISHED if known.get(word) == UNFINISHED else FAILED
