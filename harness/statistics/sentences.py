"""Results in people's words: one sentence a contrast, and plain-text tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.statistics.analysis import Analysis, Contrast, Provisional, Sensitivity
from harness.statistics.number_format import aligned, between, change, number, p_text, percent, span, wrapped
from harness.statistics.verdict_rule import Margin, Scale, Verdict

SAYS_WHY = (Verdict.NO_OP, Verdict.INVALID, Verdict.NOT_SENSITIVE)
"""Verdicts whose first sentence gives the reason."""


def sentence(c: Contrast, analysis: Analysis, *, costs: bool = True) -> str:
    """Return the verdict on one arm in words that need no statistics.

    Args:
        c: The contrast.
        analysis: What it belongs to: metric, direction, scale, margin, number of contrasts.
        costs: Whether to say what it costs.
    """
    parts = [_verdict_sentence(c, analysis)]
    failed = c.failures
    if failed.arm or failed.baseline:
        parts.append(f"It failed in {failed.arm} of {c.look.blocks} blocks, '{c.baseline}' in {failed.baseline}.")
    elif c.pairs_lost:
        parts.append(f"{_blocks(c.pairs_lost)} gave no pair.")
    if c.reason and c.look.rule not in ("given", "before the first look") and c.verdict not in SAYS_WHY:
        parts.append(f"Note: {c.reason}.")
    if c.verdict_uncorrected is not c.verdict:
        parts.append(f"Alone it would be '{c.verdict_uncorrected}'; it is one of {analysis.family_size} contrasts.")
    if c.stage_wise is not None and (c.look.number or 0) > 1 and c.verdict in (Verdict.HELPS, Verdict.HURTS):
        parts.append(f"Corrected for stopping then, the change is {change(c.stage_wise.estimate, analysis.scale)}.")
    if c.robustness.skewed and c.robustness.agree is False:
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


def provisional_text(provisional: Provisional) -> str:
    """Return what a change of the plan after rows were seen means for the verdicts."""
    rate = provisional.error_rate
    known = "its error rate is not known" if rate is None else f"a false difference now has a probability of {rate:.2g}"
    return f"Provisional: {provisional.reason}; {known}."


def sensitivity_text(sensitivity: Sensitivity) -> str:
    """Return whether the experiment could have told, and what follows where it could not."""
    reason = sensitivity.reason[0].upper() + sensitivity.reason[1:]
    return f"{reason}." if sensitivity.shown else f"{reason}. So nothing here can be called equivalent."


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
        return f"'{c.arm}' cannot be {'built' if c.look.rule == 'given' else 'judged'}: {c.reason}."
    if c.verdict is Verdict.NO_OP:
        return f"'{c.arm}' changes nothing: {c.reason}."
    if c.estimate is None or c.n == 0:
        decided = c.verdict is not Verdict.INCONCLUSIVE
        lead = f"'{c.arm}' {c.verdict.value}" if decided else f"No verdict on '{c.arm}'"
        return f"{lead}: no block has a value of {a.metric} for both it and '{c.baseline}'."
    seen = f"{a.metric} was {change(c.estimate, a.scale)} than with '{c.baseline}'"
    if c.estimate == 0:
        seen = f"on average {a.metric} was the same as with '{c.baseline}'"
    blocks = "in 1 block" if c.n == 1 else f"over {c.n} blocks"
    counted = f"({blocks}; it was better in {c.better_in.blocks} of {c.n})"
    if c.verdict in (Verdict.HELPS, Verdict.HURTS):
        quality = "better" if (c.estimate < 0) == (a.better == "lower") else "worse"
        lead = f"'{c.arm}' {c.verdict.value}: {seen}, which is {quality} {counted}."
        return lead if c.ci.low is None else f"{lead} {_true_change(c, a)}."
    if c.verdict is Verdict.INCONCLUSIVE:
        return _undecided(c, a, seen, counted)
    return _small(c, a, seen, counted)


def _true_change(c: Contrast, a: Analysis) -> str:
    return f"With {c.ci.level * 100:.3g} % confidence the true change is {between(c.ci.low, c.ci.high, a.scale)}"


def _small(c: Contrast, a: Analysis, seen: str, counted: str) -> str:
    lead = "makes no difference that matters"
    if c.verdict is Verdict.NEGLIGIBLE:
        lead = "makes a difference, but one too small to matter"
    unproved = ""
    if c.verdict is Verdict.NOT_SENSITIVE:
        lead, unproved = "was not told apart, and this experiment could not have told", f"; but {c.reason}"
    equal = c.equivalence
    if equal.low is not None:
        sure = f"with {equal.level * 100:.3g} % confidence"
        seen = f"{sure} the change in {a.metric} is {between(equal.low, equal.high, a.scale)}"
    return f"'{c.arm}' {lead}: {seen}, inside the margin of {a.margin} {counted}{unproved}."


def _undecided(c: Contrast, a: Analysis, seen: str, counted: str) -> str:
    if c.look.rule == "before the first look":
        waiting = f"the first look is at {_blocks(c.look.next or 0)}, and there are {c.look.blocks}"
        return f"No verdict on '{c.arm}' yet: {waiting} ({seen} so far)."
    more = f" The next look is at {c.look.next} blocks." if c.look.next else ""
    if c.ci.low is None or c.ci.high is None:
        return f"No verdict on '{c.arm}': {seen} {counted}, too little to tell a real change from chance.{more}"
    lead = f"No verdict on '{c.arm}': {seen} {counted}. {_true_change(c, a)}."
    if c.ci.low > 0 or c.ci.high < 0:
        return f"{lead}{more}"
    return f"{lead} Chance alone could explain this; it does not show that there is no difference.{more}"


HEAD = ("arm", "verdict", "change", "interval", "pairs", "better in", "p", "p alone", "alone")


def contrast_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the table of contrasts as text cells, head first, from `Analysis.to_dict`.

    `verdict` and `p` hold over all contrasts and looks; `alone` and `p alone` are of each contrast by itself, and left
    out where they say the same.
    """
    scale: Scale = document["scale"]
    rows: list[tuple[str, ...]] = [HEAD]
    for c in document["contrasts"]:
        lost = f" ({c['pairs_lost']} lost)" if c["pairs_lost"] else ""
        ci = c["ci"]
        alone = c["p_sequential"] if c["p_sequential"] is not None else c["p_value"]
        rows.append(
            (
                c["arm"],
                c["verdict"],
                "-" if c["estimate"] is None else change(c["estimate"], scale),
                span(ci["low"], ci["high"], scale),
                f"{c['n']}{lost}",
                f"{c['better_in']['blocks']} of {c['better_in']['of']}",
                p_text(c["p_holm"]),
                p_text(alone),
                c["verdict_uncorrected"],
            )
        )
    if all(row[1] == row[-1] and row[6] == row[7] for row in rows[1:]):
        return [row[:-2] for row in rows]
    return rows


def _margin(document: Mapping[str, Any]) -> str:
    margin = Margin.parse(document["margin"])
    return "" if margin is None else margin.in_words(document["scale"])


def render(analysis: Analysis | Mapping[str, Any], *, width: int | None = None, table: bool = True) -> str:
    """Return the people's text of an analysis, or of a document of `compare`: tables, sentences, notes.

    Args:
        analysis: The analysis or its document.
        width: Characters of a line at most; as long as they are unless given.
        table: With the table of contrasts; without one where verdicts were printed already.
    """
    document = analysis.to_dict() if isinstance(analysis, Analysis) else analysis
    margin = f"margin {_margin(document)}" if document["margin"] else "no margin, so nothing can be called equivalent"
    against = f", against '{document['baseline']}'" if document["baseline"] is not None else ", factorial effects"
    head = f"{document['metric']} ({document['better']} is better){against}, {margin}"
    if document["looks"]:
        head += f", looks at {', '.join(map(str, document['looks']))} blocks"
    if document["family"] == "exploratory":
        head = f"exploratory: {head}"
    parts, tables = [head], dict[int, str]()
    if document.get("reading"):
        parts.append("\n".join(document["reading"]))
    if document.get("sensitivity"):
        parts.append(sensitivity_text(Sensitivity(**document["sensitivity"])))
    if document.get("provisional"):
        parts.append(provisional_text(Provisional(**document["provisional"])))
    if document["contrasts"]:
        if table:
            tables[len(parts)] = aligned(contrast_rows(document), width)
            parts.append("")
        parts += ["\n".join(c["sentence"] for c in document["contrasts"])]
    effects = document.get("effects")
    if effects:
        whole = {**document["factorial"], "effects": effects}
        tables[len(parts)] = aligned(effect_rows(effects, document["scale"]), width)
        parts += ["", "\n".join(effect_sentences(whole))]
    if document["notes"]:
        parts.append("\n".join(document["notes"]))
    return "\n\n".join(tables.get(at) or wrapped(part, width) for at, part in enumerate(parts))


EFFECT_HEAD = ("term", "verdict", "effect", "interval", "p", "p alone", "sum of squares", "df", "same as")


def effect_rows(effects: Sequence[Mapping[str, Any]], scale: Scale) -> list[tuple[str, ...]]:
    """Return the table of effects as text cells, head first, from `Factorial.to_dict`.

    A factor of more than two levels has a row for each level against the first, below its own.
    """
    rows: list[tuple[str, ...]] = [EFFECT_HEAD]
    for e in effects:
        squares = "-" if e["sum_of_squares"] is None else number(e["sum_of_squares"], 6)
        rows.append(
            (
                *(e["term"], e["verdict"] or "-"),
                "-" if e["estimate"] is None else change(e["estimate"], scale),
                span(e["ci"]["low"], e["ci"]["high"], scale),
                *(p_text(e["p_holm"]), p_text(e["p_value"]), squares, str(e["df"])),
                ", ".join(e["aliases"]) or "-",
            )
        )
        for c in e["contrasts"] if e["estimate"] is None and len(e["contrasts"]) > 1 else ():
            alone = c["p_value"] if c["p_sequential"] is None else c["p_sequential"]
            rows.append(
                (
                    *(c["arm"], c["verdict"]),
                    "-" if c["estimate"] is None else change(c["estimate"], scale),
                    span(c["ci"]["low"], c["ci"]["high"], scale),
                    *(p_text(c["p_holm"]), p_text(alone), "-", "-", "-"),
                )
            )
    return rows


def effect_sentences(document: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each main effect and for each interaction that stands out, from `Factorial.to_dict`."""
    told = []
    for e in document["effects"]:
        stands_out = e["p_holm"] is not None and e["p_holm"] <= document["alpha"]
        if e["term"] not in document["factors"]:
            if stands_out:
                first, *others = e["term"].split(":")
                on = " and ".join(map(repr, others))
                told.append(f"What '{first}' does depends on {on} ({p_words(e['p_holm'])}).")
        elif e["contrasts"]:
            told += [_level(e["term"], c, document) for c in e["contrasts"]]
        else:
            told.append(_main_effect(e, document, stands_out=stands_out))
        if stands_out and e["aliases"]:
            told.append(f"This design cannot tell {e['term']} from {', '.join(e['aliases'])}.")
    return told


def _level(term: str, c: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    level, first = (c[side].removeprefix(f"{term}=") for side in ("arm", "baseline"))
    over = f"over {c['look']['blocks']} blocks" if c["look"]["rule"] != "before the first look" else "so far"
    if c["estimate"] is None:
        seen = f"no block has a value of {document['metric']} with both {level} and {first}"
    else:
        difference = change(c["estimate"], document["scale"])
        seen = f"{document['metric']} is {difference} with {level} than with {first}, averaged over the rest, {over}"
    note = f" Note: {c['reason']}." if c["reason"] else ""
    return f"'{c['arm']}' {_said(c['verdict'], document)}: {seen} ({p_words(c['p_holm'])}).{note}"


def _said(verdict: str, document: Mapping[str, Any]) -> str:
    if document["better"] is not None:
        return verdict
    return {"helps": "stands out", "hurts": "stands out"}.get(verdict, verdict)


def _main_effect(e: Mapping[str, Any], document: Mapping[str, Any], *, stands_out: bool) -> str:
    levels, metric = document["factors"][e["term"]], document["metric"]
    if e["estimate"] is None:
        lead = "the levels differ" if stands_out else "no difference established"
        return f"'{e['term']}': {lead} in {metric} ({p_words(e['p_holm'])})."
    difference = change(e["estimate"], document["scale"])
    seen = f"{metric} is {difference} with {levels[1]} than with {levels[0]}, averaged over the rest"
    verdict = e["verdict"] or ("stands out" if stands_out else "inconclusive")
    return f"'{e['term']}' {verdict}: {seen} ({p_words(e['p_holm'])})."


def p_words(p: float | None) -> str:
    """Return a p value for the end of a sentence."""
    return "no p value" if p is None else f"p {'' if p < 1e-4 else '= '}{p_text(p)}"
