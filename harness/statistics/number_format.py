"""Numbers, differences and intervals as people write them."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from harness.statistics.verdict_rule import Scale


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a few significant digits, a dash for null."""
    return "-" if value is None else f"{value:.{digits}g}"


def percent(share: float) -> str:
    """Return a share as a percentage that is never a misleading 0."""
    size = abs(share) * 100
    return f"{size:.0f} %" if size >= 10 else f"{size:.2g} %"


def p_text(p: float | None) -> str:
    """Return a p value as tables print it."""
    if p is None:
        return "-"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def change(value: float | None, scale: Scale) -> str:
    """Return a difference in words: ``12 % lower`` on the log scale, ``0.3 higher`` on the raw scale."""
    if value is None:
        return "unknown"
    if value == 0:
        return "no change"
    side = "higher" if value > 0 else "lower"
    if scale == "raw":
        return f"{number(abs(value))} {side}"
    if abs(value) >= math.log(2):
        return f"{number(math.exp(min(abs(value), 700.0)))} times {side}"
    return f"{percent(math.expm1(value))} {side}"


def span(low: float | None, high: float | None, scale: Scale) -> str:
    """Return an interval for a table: ``12 % lower to 3 % higher``; a dash without bounds."""
    return " to ".join(_bounds(low, high, scale)) or "-"


def between(low: float | None, high: float | None, scale: Scale) -> str:
    """Return an interval for a sentence: ``between 12 % lower and 3 % higher``."""
    return f"between {' and '.join(_bounds(low, high, scale))}" if None not in (low, high) else "anything"


def _bounds(low: float | None, high: float | None, scale: Scale) -> tuple[str, ...]:
    """Return both bounds in words, with what they share said once; nothing where there are none."""
    if low is None or high is None:
        return ()
    first, second = change(low, scale), change(high, scale)
    if high < 0:
        first, second = second, first
    shared = first.rsplit(" ", 1)[-1]
    if shared in ("lower", "higher") and second.endswith(f" {shared}") and ("times" in first) == ("times" in second):
        first = first.removesuffix(f" {shared}").removesuffix(" times")
    return first, second


def duration(seconds: float) -> str:
    """Return a measured time with its unit, from milliseconds to hours: ``34.2 ms``, ``1.5 h``."""
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1000)} ms"


def rough_duration(seconds: float) -> str:
    """Return an estimated time: ``45 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Return rows as lines with columns of equal width, a rule under the head.

    Where that is wider than `width` characters, each row is a paragraph instead: its first two cells, then the others
    with the names of their columns, broken between words; cells without a value are left out.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        return "\n".join(_paragraph(rows[0], row, width) for row in rows[1:])
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("─" * size for size in widths), *lines[1:]])


def _paragraph(head: Sequence[str], row: Sequence[str], width: int) -> str:
    """Return a row of a table that is too wide as lines of at most `width` characters, unless a word is longer."""
    lead = row[0] if len(row) == 1 or row[1] in ("", "-") else f"{row[0]}: {row[1]}"
    cells = [f"{name} {cell}" for name, cell in zip(head[2:], row[2:], strict=True) if cell not in ("", "-")]
    return "\n".join(filter(None, (_filled(lead, width, ""), _filled("; ".join(cells), width, "  "))))


def _filled(text: str, width: int, indent: str) -> str:
    """Return text in lines of a width; a number stays with its unit."""
    together = re.sub(r" (?=[%±])|(?<=±) ", "\u00a0", text)
    how: Any = {"break_long_words": False, "break_on_hyphens": False, "initial_indent": indent}
    return "\n".join(textwrap.wrap(together, width, subsequent_indent="  ", **how)).replace("\u00a0", " ")


def wrapped(text: str, width: int | None) -> str:
    """Return text with its lines broken between words at `width` characters; as it is without one."""
    return text if width is None else "\n".join(_filled(line, width, "") for line in text.split("\n"))
