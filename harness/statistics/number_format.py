"""Numbers, differences and intervals as people write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def between(low: float | None, high: float | None, scale: Scale) -> str:
    """Return an interval in words: ``between 12 % lower and 3 % higher``."""
    if low is None or high is None:
        return "anything"
    first, second = change(low, scale), change(high, scale)
    if high < 0:
        first, second = second, first
    shared = first.rsplit(" ", 1)[-1]
    if shared in ("lower", "higher") and second.endswith(f" {shared}") and ("times" in first) == ("times" in second):
        first = first.removesuffix(f" {shared}").removesuffix(" times")
    return f"between {first} and {second}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with columns of equal width, a rule under the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])
