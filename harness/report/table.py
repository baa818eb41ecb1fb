"""A table of the report as text cells, shown alike in HTML, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.number_format import number, percent

NONE = "\N{EN DASH}"
"""What stands where there is no number."""
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Table:
    """Rows of text with a head, and what a reader needs to know to read them."""

    name: str
    """Short, without spaces: an anchor in the page, a label in LaTeX."""
    title: str
    note: str
    """Units, direction, counts: what the numbers are."""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: frozenset[int] = frozenset({0})
    """Columns of words, set to the left; the others are numbers, set to the right."""
    marked: frozenset[int] = frozenset()
    """Columns of verdicts, outcomes and statuses, which carry a colour beside their word."""

    def without_empty(self, keep: int = 1) -> Table:
        """Return the table without columns that have nothing in any row; the first `keep` stay."""
        kept = [i for i in range(len(self.head)) if i < keep or any(row[i] not in (NONE, "") for row in self.rows)]
        moved = {old: new for new, old in enumerate(kept)}
        return Table(
            self.name,
            self.title,
            self.note,
            tuple(self.head[i] for i in kept),
            tuple(tuple(row[i] for i in kept) for row in self.rows),
            frozenset(moved[i] for i in self.text if i in moved),
            frozenset(moved[i] for i in self.marked if i in moved),
        )


def count(value: float | None) -> str:
    """Return a whole number with separators, or a dash."""
    return NONE if value is None else f"{round(value):,}"


def short(value: float | None, digits: int = 3) -> str:
    """Return a number with a few significant digits, or a dash."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else number(value, digits)


def large(value: float | None, unit: str = "") -> str:
    """Return a large count in thousands, millions or billions: ``12.3 M``."""
    if value is None:
        return NONE
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{number(value / size)} {prefix}{unit}"
    return f"{number(value)} {unit}".rstrip()


def duration(seconds: float | None) -> str:
    """Return a time with its unit, from milliseconds to hours."""
    if seconds is None:
        return NONE
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1000)} ms"


def times(value: float | None) -> str:
    """Return a factor with a multiplication sign, or a dash."""
    return NONE if value is None else f"{TIMES}{short(value)}"


def ratio(value: float | None) -> str:
    """Return a ratio of costs, arm to baseline: ``1.06`` with a multiplication sign before it."""
    if value is None:
        return NONE
    return "equal" if value == 1 else times(value)


def share(value: float | None) -> str:
    """Return a share as a percentage, or a dash."""
    if value is None:
        return NONE
    return "0 %" if value == 0 else "100 %" if value == 1 else percent(value)


def spread(mean: float | None, sd: float | None, n: int) -> str:
    """Return a mean with its standard deviation and count: ``62.1 ± 3.2 (n = 6)``."""
    if mean is None:
        return NONE
    around = "" if sd is None else f" ± {short(sd, 2)}"
    return f"{short(mean, 4)}{around} (n = {n})"


def two(first: str, second: str) -> str:
    """Return two cells as one, such as the generator's and the discriminator's size; a dash where both are unknown."""
    return NONE if first == second == NONE else f"{first} / {second}"


def joined(parts: Sequence[str]) -> str:
    """Return parts with commas, or a dash for none."""
    return ", ".join(parts) or NONE
