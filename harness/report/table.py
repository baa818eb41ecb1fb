"""A table of the report: columns that say how a row's cell is made, shown alike in HTML, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from harness.statistics.number_format import number, p_text, percent

NONE = "\N{EN DASH}"
"""What stands where there is no number."""
TIMES = "\N{MULTIPLICATION SIGN}"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: its head, and how a row's cell is made."""

    head: str
    cell: Callable[[Row], str]
    words: bool = False
    """Words are set to the left, numbers to the right."""
    marked: bool = False
    """Verdicts, outcomes and statuses carry a colour beside their word."""
    optional: bool = False
    """Left out where no row has anything in it."""


@dataclass(frozen=True)
class Table:
    """Rows of text, and what a reader needs to know to read them."""

    kind: ClassVar[str] = "table"
    name: str
    """Short, without spaces: an anchor in the page, a label in LaTeX."""
    title: str
    note: str
    """Units, direction, counts: what the numbers are."""
    columns: tuple[Column[Any], ...]
    rows: tuple[tuple[str, ...], ...]
    in_paper: bool = True
    """Whether the table goes into the tables for a paper."""


def table(
    name: str, title: str, note: str, columns: Sequence[Column[Row]], rows: Iterable[Row], *, in_paper: bool = True
) -> Table | None:
    """Return a table of rows, without optional columns that have nothing in any row; None where there are no rows."""
    rows = tuple(rows)
    if not rows:
        return None
    cells = {column: tuple(column.cell(row) for row in rows) for column in columns}
    kept = tuple(c for c in columns if not c.optional or any(cell not in (NONE, "") for cell in cells[c]))
    return Table(name, title, note, kept, tuple(zip(*(cells[c] for c in kept), strict=True)), in_paper)


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


def p_cell(p: float | None) -> str:
    """Return a p value, or a dash."""
    return NONE if p is None else p_text(p)


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
