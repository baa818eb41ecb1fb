"""Tables of contrasts, controls and claims: what a study found, as text."""

from __future__ import annotations

from collections import Counter

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Column, Table, joined, p_cell, ratio, share, short, table, times, two
from harness.statistics import Analysis, Contrast, Effect, Verdict
from harness.statistics.controls import Control
from harness.statistics.number_format import change, number, p_text, span
from harness.statistics.sentences import effect_sentences, sentence
from harness.verdicts.judge import SettledClaim, StudyVerdicts

AnalysedContrast = tuple[Analysis, Contrast]

MEANINGS: tuple[tuple[Verdict, str], ...] = (
    (Verdict.HELPS, "better: the whole interval lies on that side of no difference, and is not confined to the margin"),
    (Verdict.HURTS, "worse: the whole interval lies on that side of no difference, and is not confined to the margin"),
    (Verdict.EQUIVALENT, "the difference was shown to be smaller than the margin: it does not matter"),
    (Verdict.NEGLIGIBLE, "there is a difference, and it was shown to be smaller than the margin"),
    (Verdict.INCONCLUSIVE, "too few blocks to tell; this is not evidence that there is no difference"),
    (Verdict.NO_OP, "proved to change nothing at all"),
    (Verdict.INVALID, "cannot be built"),
)
"""Every verdict in one line, in the order in which tables list them."""


def headline(findings: StudyVerdicts) -> str:
    """Return what the study found in one sentence; several contrasts are counted by verdict."""
    analysis = findings.primary
    if analysis is None or not analysis.contrasts:
        done = f"{findings.trials_done} of {findings.trials_planned} trials are done"
        return f"No verdict yet: {done}, and there are not two arms to compare."
    if len(analysis.contrasts) == 1:
        return in_words(findings)[0]
    by_verdict = {v: [c.arm for c in analysis.contrasts if c.verdict is v] for v in Verdict}
    parts = [f"{len(arms)} {v.value} ({', '.join(arms)})" for v, arms in by_verdict.items() if arms]
    compared = f"{len(analysis.contrasts)} arms compared with '{analysis.baseline}' in {analysis.metric}"
    lead = f"Of {compared}: {'; '.join(parts)}."
    weaker = [c.arm for c in analysis.contrasts if c.verdict_family is not c.verdict]
    if weaker:
        lead += f" Taking all contrasts together (Holm), {', '.join(weaker)} would not stand."
    return lead


def in_words(findings: StudyVerdicts) -> list[str]:
    """Return the sentence of each contrast, without the costs, which have a table of their own."""
    primary, effects = findings.primary, findings.effects
    said = [] if primary is None else [sentence(c, primary, costs=False) for c in primary.contrasts]
    if effects is not None:
        document = effects.to_dict()
        said += effect_sentences({**document, "factorial": document})
    return said


def tally(findings: StudyVerdicts) -> tuple[tuple[str, int], ...]:
    """Return how many contrasts came to each verdict, in the usual order, without those that none came to."""
    counts = Counter(c.verdict for c in findings.contrasts)
    return tuple((v.value, counts[v]) for v in Verdict if counts[v])


def described(analysis: Analysis) -> str:
    """Return what the numbers of an analysis are: metric, unit, direction, margin, looks."""
    metric = metric_named(analysis.metric)
    margin = f"margin ±{analysis.margin}" if analysis.margin else "no margin"
    looks = f"; looks at {', '.join(map(str, analysis.looks))} blocks" if analysis.looks else ""
    return f"{analysis.metric}: {metric.unit}, {analysis.better} is better; {margin}{looks}."


def contrast_table(findings: StudyVerdicts) -> Table | None:
    """Return the answer: each arm's change against the baseline, its interval and verdict."""
    analysis = findings.primary
    if analysis is None:
        return None
    several = any(c.verdict_family is not c.verdict for c in analysis.contrasts)
    more = len(analysis.contrasts) > 1
    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("verdict", lambda c: c.verdict.value, words=True, marked=True),
        Column("change", lambda c: _change(c, analysis)),
        Column(_level(analysis), lambda c: _interval(c, analysis)),
        Column("pairs", lambda c: f"{c.n}"),
        Column("lost", lambda c: f"{c.pairs_lost}"),
        Column("better in", _better_in, optional=True),
        Column("mean / baseline's", _means, optional=True),
        Column("p", lambda c: p_cell(c.p_value if c.p_sequential is None else c.p_sequential), optional=True),
        Column("p (Holm)", lambda c: p_cell(c.p_holm if more else None), optional=True),
        Column(
            "verdict (Holm)",
            lambda c: c.verdict_family.value if several else NONE,
            words=True,
            marked=True,
            optional=True,
        ),
    )
    return table(
        "contrasts",
        f"Each arm against '{analysis.baseline}'",
        f"{described(analysis)} Change is arm against baseline in the same block, averaged over pairs of completed "
        "trials; lost pairs failed or have no value. Means are over the same pairs.",
        columns,
        analysis.contrasts,
    )


def _level(analysis: Analysis) -> str:
    return f"{(1 - analysis.alpha) * 100:g} % interval"


def _change(c: Contrast, analysis: Analysis) -> str:
    return NONE if c.estimate is None else change(c.estimate, analysis.scale)


def _interval(c: Contrast, analysis: Analysis) -> str:
    return NONE if c.ci.low is None else span(c.ci.low, c.ci.high, analysis.scale)


def _better_in(c: Contrast) -> str:
    return f"{c.better_in.blocks} of {c.better_in.of}" if c.better_in.of else NONE


def _means(c: Contrast) -> str:
    return two(short(c.mean_arm, 4), short(c.mean_baseline, 4))


def trust_table(findings: StudyVerdicts) -> Table | None:
    """Return what the verdicts rest on: the matching, other tests, other margins, failures, spread."""
    analysis = findings.primary
    if analysis is None:
        return None
    margin = analysis.margin is not None
    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("pairs", lambda c: f"{c.n}"),
        Column("correlation", lambda c: NONE if c.correlation is None else f"{c.correlation:.2f}", optional=True),
        Column("less variance", lambda c: times(c.variance_reduction), optional=True),
        Column("p (sign flip)", lambda c: p_cell(c.p_sign_flip), optional=True),
        Column("p (equivalence)", lambda c: p_cell(c.equivalence.p_value), optional=True),
        Column(
            "verdict, half margin",
            lambda c: c.verdict_half_margin.value if margin else NONE,
            words=True,
            marked=True,
            optional=True,
        ),
        Column(
            "verdict, double margin",
            lambda c: c.verdict_double_margin.value if margin else NONE,
            words=True,
            marked=True,
            optional=True,
        ),
        Column("failed", lambda c: f"{c.failures.arm} / {c.failures.baseline}" if _failed(c) else NONE, optional=True),
        Column("p (failures)", lambda c: p_text(c.failures.p_mcnemar) if _failed(c) else NONE, optional=True),
        Column("failures ranked worst", _worst, words=True, optional=True),
        Column("spread", lambda c: times(c.spread.ratio), optional=True),
        Column("p (spread)", lambda c: p_cell(c.spread.p_pitman_morgan), optional=True),
    )
    return table(
        "trust",
        "What the verdicts rest on",
        "Correlation of arm and baseline over blocks, and how many times less variance the paired difference has than "
        "an unpaired one. Sign flip: exact test without assuming normal errors. Equivalence: two one-sided tests "
        "against the margin. Failures: arm / baseline, exact McNemar test; ranked worst: who is favoured when failed "
        "trials count as worse than every value. Spread: ratio of standard deviations, Pitman-Morgan test.",
        columns,
        analysis.contrasts,
    )


def _failed(c: Contrast) -> bool:
    return bool(c.failures.arm or c.failures.baseline)


def _worst(c: Contrast) -> str:
    if not _failed(c):
        return NONE
    p = "" if c.worst_rank.p_value is None else f" (p = {p_text(c.worst_rank.p_value)})"
    return f"{c.worst_rank.favours}{p}"


def cost_table(findings: StudyVerdicts) -> Table | None:
    """Return the costs of each arm as multiples of the baseline's; None where none are known."""
    analysis = findings.primary
    if analysis is None:
        return None
    names = dict.fromkeys(cost.name for c in analysis.contrasts for cost in c.costs)
    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("verdict", lambda c: c.verdict.value, words=True, marked=True),
        *(Column(name, lambda c, name=name: _cost(c, name)) for name in names),  # type: ignore[misc]
    )
    return table(
        "costs",
        "What it costs",
        f"Each cost as a multiple of that of '{analysis.baseline}' (medians over trials); below 1 is cheaper. D is the "
        "discriminator, G the generator.",
        columns,
        (c for c in analysis.contrasts if c.costs),
    )


def _cost(c: Contrast, name: str) -> str:
    return next((ratio(cost.ratio) for cost in c.costs if cost.name == name), NONE)


def effect_table(findings: StudyVerdicts) -> Table | None:
    """Return main effects and interactions of a factorial study; None for other designs."""
    effects = findings.effects
    if effects is None:
        return None
    metric, scale = metric_named(effects.metric), effects.scale
    columns: tuple[Column[Effect], ...] = (
        Column("term", lambda e: e.term, words=True),
        Column("effect", lambda e: NONE if e.estimate is None else change(e.estimate, scale), optional=True),
        Column("interval", lambda e: NONE if e.ci.low is None else span(e.ci.low, e.ci.high, scale), optional=True),
        Column("sum of squares", lambda e: number(e.sum_of_squares, 6), optional=True),
        Column("df", lambda e: f"{e.df}", optional=True),
        Column("p", lambda e: p_cell(e.p_value), optional=True),
        Column("p (Holm)", lambda e: p_cell(e.p_holm), optional=True),
        Column("verdict", lambda e: e.verdict or NONE, words=True, marked=True, optional=True),
        Column("same as", lambda e: joined(e.aliases), words=True, optional=True),
    )
    lost = f"; {effects.rows_lost} failed or have no value" if effects.rows_lost else ""
    margin = f", margin ±{effects.margin}" if effects.margin else ""
    return table(
        "effects",
        "Main effects and interactions",
        f"{effects.metric}: {metric.unit}, {metric.better} is better{margin}; {effects.rows} trials in "
        f"{effects.blocks} blocks{lost}. A main effect is the change from an axis's first level to its second, "
        "averaged over the levels of the other axes; an interaction says how much that change depends on another axis. "
        "Terms on one line with others under 'same as' cannot be told apart by this design.",
        columns,
        effects.effects,
    )


def exploratory_table(findings: StudyVerdicts) -> Table | None:
    """Return the contrasts of all other metrics; None where there are none."""
    if not findings.others:
        return None
    columns: tuple[Column[AnalysedContrast], ...] = (
        Column("metric", lambda row: row[0].metric, words=True),
        Column("better", lambda row: row[0].better, words=True),
        Column("arm", lambda row: row[1].arm, words=True),
        Column("change", lambda row: _change(row[1], row[0])),
        Column(_level(findings.others[0]), lambda row: _interval(row[1], row[0])),
        Column("pairs", lambda row: f"{row[1].n}"),
        Column("lost", lambda row: f"{row[1].pairs_lost}"),
        Column("mean / baseline's", lambda row: _means(row[1]), optional=True),
        Column("p (FDR)", lambda row: p_cell(row[1].p_fdr), optional=True),
        Column("verdict", lambda row: row[1].verdict.value, words=True, marked=True, optional=True),
    )
    units = "; ".join(f"{a.metric}: {metric_named(a.metric).unit}" for a in findings.others)
    return table(
        "exploratory",
        "Other metrics (exploratory)",
        "Not what the study set out to judge by, so take these as hints. p (FDR) controls the false discovery rate "
        f"over all rows of this table (Benjamini-Hochberg); verdicts are not corrected and have no margin. {units}.",
        columns,
        ((a, c) for a in findings.others for c in a.contrasts),
    )


def claim_table(findings: StudyVerdicts) -> Table | None:
    """Return what became of each claim; None where the study has none."""
    columns: tuple[Column[SettledClaim], ...] = (
        Column("id", lambda s: s.claim.id, words=True),
        Column("statement", lambda s: s.claim.quote, words=True),
        Column("arm", lambda s: s.claim.arm, words=True),
        Column("metric", lambda s: s.metric, words=True),
        Column("expects", lambda s: s.claim.expect, words=True),
        Column("verdict", lambda s: s.verdict or NONE, words=True, marked=True),
        Column("outcome", lambda s: s.outcome, words=True, marked=True),
    )
    return table(
        "claims",
        "Statements that were put to the test",
        "A verdict supports a statement, contradicts it, or leaves it not settled; inconclusive settles nothing.",
        columns,
        findings.claims,
    )


def control_table(findings: StudyVerdicts) -> Table | None:
    """Return what each control found; None where the study has none."""
    said = {True: "passed", False: "FAILED", None: "too few blocks"}
    columns: tuple[Column[Control], ...] = (
        Column("control", lambda c: c.kind, words=True),
        Column("arm", lambda c: c.arm, words=True),
        Column("outcome", lambda c: said[c.passed], words=True, marked=True),
        Column("p", lambda c: p_cell(c.p_value), optional=True),
        Column("floor", lambda c: short(c.floor), optional=True),
        Column("forgotten", _forgotten, words=True, optional=True),
        Column("what was found", lambda c: c.sentence, words=True, optional=True),
    )
    return table(
        "controls",
        "Controls: arms whose answer is known",
        "Floor: half-width of the interval of a difference that must be none, on the scale of the analysis; what this "
        "study cannot see below. Forgotten: difference as a share of that of two unmatched trainings, by step.",
        columns,
        findings.controls,
    )


def _forgotten(control: Control) -> str:
    return joined([f"step {point['step']}: {share(point['share_of_unmatched'])}" for point in control.curve])
