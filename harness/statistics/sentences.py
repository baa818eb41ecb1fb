"""Results in people's words: one sentence a contrast, and plain-text tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.statistics.analysis import Analysis, Contrast
from harness.statistics.number_format import aligned, between, change, number, p_text, percent, span
from harness.statistics.verdict_rule import Scale, Verdict


def sentence(c: Contrast, analysis: Analysis, *, costs: bool = True) -> str:
    """Return the verdict on one arm in words that need no statistics.

    Args:
        c: The contrast.
        analysis: What it belongs to: metric, direction, scale, margin, the other contrasts.
        costs: Whether to say what it costs.
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
        tested = sum(other.p_holm is not None for other in analysis.contrasts)
        parts.append(
            f"Seen as one of {tested} contrasts, the verdict is only '{c.verdict_family}' (Holm's correction)."
        )
    if c.sensitivity.skewed and c.sensitivity.agree is False:
        parts.append("The differences are lopsided and the exact sign-flip test disagrees, so take this with care.")
    if c.look.unused:
        parts.append(f"{_blocks(c.look.unused)} more played no part: the schedule says at which numbers to look.")
    if c.look.rule == "anytime-valid":
        parts.append("Blocks went beyond the schedule, so the interval is one that holds at any number of blocks.")
    known = [cost for cost in c.costs if cost.ratio is not None]
    if known and costs:
        differ = [f"{cost.name} {_ratio(cost.ratio)}" for cost in known if not _same(cost.ratio)]
        parts.append(f"Cost: {', '.join(differ) or 'the same'}.")
    return " ".join(parts)


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"


def _same(ratio: float | None) -> bool:
    return ratio is None or abs(ratio - 1) < 0.005


def _ratio(ratio: float | None) -> str:
    if ratio is None or ratio <= 0:
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
        sure = percent(1 - 2 * a.alpha if fixed else c.ci.level)
        found = f"with {sure} confidence the change in {a.metric} is {between(low, high, a.scale)}"
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
                "-" if ci["low"] is None else span(ci["low"], ci["high"], scale),
                f"{c['better_in']['blocks']} of {c['better_in']['of']}",
                p_text(p),
                p_text(c["p_holm"]),
                c["verdict"],
            )
        )
    return rows


def render(analysis: Analysis | Mapping[str, Any]) -> str:
    """Return the people's text of an analysis, or of a document of `compare`: tables, sentences, notes."""
    document = analysis.to_dict() if isinstance(analysis, Analysis) else analysis
    margin = f"margin {document['margin']}" if document["margin"] else "no margin, so nothing can be called equivalent"
    against = f", against '{document['baseline']}'" if document["baseline"] is not None else ", factorial effects"
    head = f"{document['metric']} ({document['better']} is better){against}, {margin}"
    if document["looks"]:
        head += f", looks at {', '.join(map(str, document['looks']))} blocks"
    if document["family"] == "exploratory":
        head = f"exploratory: {head}"
    parts = [head]
    if document["contrasts"]:
        parts += [aligned(contrast_rows(document)), "\n".join(c["sentence"] for c in document["contrasts"])]
    effects = document.get("effects")
    if effects:
        parts += [aligned(effect_rows(effects, document["scale"])), "\n".join(effect_sentences(document))]
    if document["notes"]:
        parts.append("\n".join(document["notes"]))
    return "\n\n".join(parts)


EFFECT_HEAD = ("term", "effect", "interval", "sum of squares", "df", "p", "p (Holm)", "verdict", "same as")


def effect_rows(effects: Sequence[Mapping[str, Any]], scale: Scale) -> list[tuple[str, ...]]:
    """Return the table of effects as text cells, head first, from `Factorial.to_dict`."""
    rows: list[tuple[str, ...]] = [EFFECT_HEAD]
    for e in effects:
        low, high = e["ci"]["low"], e["ci"]["high"]
        rows.append(
            (
                e["term"],
                "-" if e["estimate"] is None else change(e["estimate"], scale),
                "-" if low is None else span(low, high, scale),
                number(e["sum_of_squares"], 6),
                str(e["df"]),
                p_text(e["p_value"]),
                p_text(e["p_holm"]),
                e["verdict"] or "-",
                ", ".join(e["aliases"]) or "-",
            )
        )
    return rows


def effect_sentences(document: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each main effect and one for the interactions that stand out at the error rate."""
    design, scale, alpha = document["factorial"], document["scale"], document["alpha"]
    told = []
    for e in document["effects"]:
        stands_out = e["p_value"] is not None and e["p_value"] <= alpha
        if e["term"] in design["factors"]:
            levels = design["factors"][e["term"]]
            told.append(_main_effect(e, levels, scale, document["metric"], stands_out))
        elif stands_out:
            first, *others = e["term"].split(":")
            told.append(f"What '{first}' does depends on {' and '.join(map(repr, others))} ({p_words(e['p_value'])}).")
        if stands_out and e["aliases"]:
            told.append(f"This design cannot tell {e['term']} from {', '.join(e['aliases'])}.")
    return told


def _main_effect(e: Mapping[str, Any], levels: Sequence[str], scale: Scale, metric: str, stands_out: bool) -> str:
    if e["estimate"] is None:
        means = ", ".join(f"{x['level']} {change(x['difference'], scale)}" for x in e["levels"][1:])
        lead = "The levels differ" if stands_out else "No difference established"
        return f"'{e['term']}': {lead} in {metric}; against {levels[0]}: {means} ({p_words(e['p_value'])})."
    found = f"{metric} is {change(e['estimate'], scale)} with {levels[1]} than with {levels[0]}, averaged over the rest"
    verdict = e["verdict"] or ("stands out" if stands_out else "inconclusive")
    return f"'{e['term']}' {verdict}: {found} ({p_words(e['p_value'])})."


def p_words(p: float | None) -> str:
    """Return a p value for the end of a sentence."""
    return "no p value" if p is None else f"p {'' if p < 1e-4 else '= '}{p_text(p)}"
