"""Results in people's words: one sentence a contrast, and plain-text tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.analysis.results import Analysis, Contrast
from harness.analysis.verdicts import Scale, Verdict


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


def sentence(c: Contrast, analysis: Analysis, contrasts: int) -> str:
    """Return the verdict on one arm in words that need no statistics.

    Args:
        c: The contrast.
        analysis: What it belongs to: metric, direction, scale, margin.
        contrasts: How many contrasts the analysis has.
    """
    parts = [_verdict_sentence(c, analysis)]
    failed = c.failures
    if failed.arm or failed.baseline:
        parts.append(f"It failed in {failed.arm} of {c.look.blocks} blocks, '{c.baseline}' in {failed.baseline}.")
    elif c.pairs_lost:
        parts.append(f"{_blocks(c.pairs_lost)} gave no pair.")
    if c.reason and c.look.rule not in ("given", "before the first look") and c.verdict is not Verdict.NO_OP:
        parts.append(f"Note: {c.reason}.")
    if c.verdict_family is not c.verdict:
        parts.append(
            f"Seen as one of {contrasts} contrasts, the verdict is only '{c.verdict_family}' (Holm's correction)."
        )
    if c.sensitivity.skewed and c.sensitivity.agree is False:
        parts.append("The differences are lopsided and the exact sign-flip test disagrees, so take this with care.")
    if c.look.rule == "anytime-valid":
        parts.append("Blocks went beyond the schedule, so the interval is one that holds at any number of blocks.")
    costs = [f"{cost.name} {_ratio(cost.ratio)}" for cost in c.costs if cost.ratio is not None]
    if costs:
        parts.append(f"Cost: {', '.join(costs)}.")
    return " ".join(parts)


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"


def _ratio(ratio: float | None) -> str:
    if ratio is None or abs(ratio - 1) < 0.005:
        return "the same"
    if ratio <= 0:
        return "none"
    if 0.5 < ratio < 2:
        return f"{percent(ratio - 1)} {'more' if ratio > 1 else 'less'}"
    return f"{number(ratio)} times more" if ratio > 1 else f"{number(1 / ratio)} times fewer"


def _verdict_sentence(c: Contrast, a: Analysis) -> str:
    if c.verdict is Verdict.INVALID:
        return f"'{c.arm}' cannot be built: {c.reason}."
    if c.verdict is Verdict.NO_OP:
        return _no_op(c, a)
    if c.estimate is None or c.n == 0:
        decided = c.verdict is not Verdict.INCONCLUSIVE
        lead = f"'{c.arm}' {c.verdict.value}" if decided else f"No verdict on '{c.arm}'"
        return f"{lead}: no block has a value of {a.metric} for both it and '{c.baseline}'."
    found = f"{a.metric} was {change(c.estimate, a.scale)} than with '{c.baseline}'"
    if c.estimate == 0:
        found = f"on average {a.metric} was the same as with '{c.baseline}'"
    blocks = "in 1 block" if c.n == 1 else f"over {c.n} blocks"
    counted = f"({blocks}; it was better in {c.better_in.blocks} of {c.n})"
    if c.verdict in (Verdict.HELPS, Verdict.HURTS):
        quality = "better" if (c.estimate < 0) == (a.better == "lower") else "worse"
        lead = f"'{c.arm}' {c.verdict.value}: {found}, which is {quality} {counted}."
        return lead if c.ci.low is None else f"{lead} {_true_change(c, a)}."
    if c.verdict is Verdict.INCONCLUSIVE:
        return _undecided(c, a, found, counted)
    return _small(c, a, found, counted)


def _no_op(c: Contrast, a: Analysis) -> str:
    if c.look.rule == "given":
        return f"'{c.arm}' changes nothing: {c.reason}."
    same = f"{a.metric} is the same as with '{c.baseline}' to the last digit in all {_blocks(c.n)}"
    return f"'{c.arm}' changes nothing: {same}."


def _true_change(c: Contrast, a: Analysis) -> str:
    return f"With {c.ci.level * 100:.3g} % confidence the true change is {between(c.ci.low, c.ci.high, a.scale)}"


def _small(c: Contrast, a: Analysis, found: str, counted: str) -> str:
    lead = "makes no difference that matters"
    if c.verdict is Verdict.NEGLIGIBLE:
        lead = "makes a difference, but one too small to matter"
    fixed = c.look.rule == "fixed"
    low, high = (c.equivalence.ci90_low, c.equivalence.ci90_high) if fixed else (c.ci.low, c.ci.high)
    if low is not None:
        found = f"the change in {a.metric} is {between(low, high, a.scale)}"
    return f"'{c.arm}' {lead}: {found}, inside the margin of {a.margin} {counted}."


def _undecided(c: Contrast, a: Analysis, found: str, counted: str) -> str:
    if c.look.rule == "before the first look":
        waiting = f"the first look is at {_blocks(c.look.next or 0)}, and there are {c.look.blocks}"
        return f"No verdict on '{c.arm}' yet: {waiting} ({found} so far)."
    more = f" The next look is at {c.look.next} blocks." if c.look.next else ""
    if c.ci.low is None or c.ci.high is None:
        return f"No verdict on '{c.arm}': {found} {counted}, too little to tell a real change from chance.{more}"
    lead = f"No verdict on '{c.arm}': {found} {counted}. {_true_change(c, a)}."
    if c.ci.low > 0 or c.ci.high < 0:
        return f"{lead}{more}"
    return f"{lead} Chance alone could explain this; it does not show that there is no difference.{more}"


HEAD = ("arm", "pairs", "change", "interval", "better in", "p", "p (Holm)", "verdict")


def contrast_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the table of contrasts as text cells, head first, from `Analysis.to_dict`."""
    scale: Scale = document["scale"]
    rows: list[tuple[str, ...]] = [HEAD]
    for c in document["contrasts"]:
        lost = f" ({c['pairs_lost']} lost)" if c["pairs_lost"] else ""
        ci = c["ci"]
        p = c["p_sequential"] if c["p_sequential"] is not None else c["p_value"]
        rows.append(
            (
                c["arm"],
                f"{c['n']}{lost}",
                "-" if c["estimate"] is None else change(c["estimate"], scale),
                "-"
                if ci["low"] is None
                else between(ci["low"], ci["high"], scale).removeprefix("between ").replace(" and ", " to "),
                f"{c['better_in']['blocks']} of {c['better_in']['of']}",
                p_text(p),
                p_text(c["p_holm"]),
                c["verdict"],
            )
        )
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with columns of equal width, a rule under the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def render(analysis: Analysis | Mapping[str, Any]) -> str:
    """Return the people's text of an analysis or of its document: a table, then one sentence a contrast, then notes."""
    document = analysis.to_dict() if isinstance(analysis, Analysis) else analysis
    margin = f"margin {document['margin']}" if document["margin"] else "no margin, so nothing can be called equivalent"
    head = f"{document['metric']} ({document['better']} is better), against '{document['baseline']}', {margin}"
    if document["looks"]:
        head += f", looks at {', '.join(map(str, document['looks']))} blocks"
    if document["family"] == "exploratory":
        head = f"exploratory: {head}"
    parts = [head]
    if document["contrasts"]:
        parts += [aligned(contrast_rows(document)), "\n".join(c["sentence"] for c in document["contrasts"])]
    if document["notes"]:
        parts.append("\n".join(document["notes"]))
    return "\n\n".join(parts)
