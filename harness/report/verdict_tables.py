"""Tables of contrasts, controls and claims: what a study found, as text."""

from __future__ import annotations

from collections import Counter

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Column, Table, p_cell, short, table, times, two
from harness.statistics import Analysis, Contrast, Factorial, Margin, Verdict
from harness.statistics.number_format import change, p_text, span
from harness.statistics.sentences import effect_rows, effect_sentences, provisional_text, sensitivity_text, sentence
from harness.verdicts.judge import StudyVerdicts

AnalysedContrast = tuple[Analysis, Contrast]


def headline(findings: StudyVerdicts) -> str:
    """Return what the study's rows say in one sentence; several contrasts are counted by verdict.

    Metrics that disagree with the primary one are named, and so is what became of the error rate of a changed plan.
    """
    analysis = findings.primary
    if analysis is None or not analysis.contrasts:
        done = f"{findings.trials_done} of {findings.trials_planned} trials are done"
        return f"No verdict yet: {done}, and there are not two arms to compare."
    if len(analysis.contrasts) == 1:
        lead = in_words(findings)[0]
    else:
        by_verdict = {v: [c.arm for c in analysis.contrasts if c.verdict is v] for v in Verdict}
        parts = [f"{len(arms)} {v.value} ({', '.join(arms)})" for v, arms in by_verdict.items() if arms]
        compared = f"{len(analysis.contrasts)} arms compared with '{analysis.baseline}' in {analysis.metric}"
        lead = f"Of {compared}: {'; '.join(parts)}."
    provisional = [] if analysis.provisional is None else [provisional_text(analysis.provisional)]
    return " ".join(
        [*provisional, lead, *_could_tell(findings, lead), *_health(findings, lead), *findings.disagreements()]
    )


def _health(findings: StudyVerdicts, lead: str) -> list[str]:
    """Return when the arms were measured and whether the baseline had learned, as far as the lead does not say so."""
    health = findings.health
    if health is None:
        return []
    return [health.when if health.gate is not None and health.gate in lead else health.sentence]


def _could_tell(findings: StudyVerdicts, lead: str) -> list[str]:
    """Return a sentence on the positive control where it was not told apart as expected, unless the lead has it."""
    analysis = findings.primary
    if analysis is None or analysis.sensitivity is None or analysis.sensitivity.shown:
        return []
    declared = findings.study.controls.positive is not None
    rests_on_it = any(c.verdict is Verdict.NOT_SENSITIVE for c in (*findings.contrasts, *findings.main_effects))
    said = analysis.sensitivity.reason in lead
    return [sensitivity_text(analysis.sensitivity)] if (declared or rests_on_it) and not said else []


def in_words(findings: StudyVerdicts) -> list[str]:
    """Return the sentence of each contrast, without the costs, which have a table of their own."""
    primary, effects = findings.primary, findings.effects
    said = [] if primary is None else [sentence(c, primary, costs=False) for c in primary.contrasts]
    if effects is not None:
        said += effect_sentences(effects.to_dict())
    return said


def tally(findings: StudyVerdicts) -> tuple[tuple[str, int], ...]:
    """Return how many contrasts came to each verdict, in the usual order, without those that none came to."""
    counts = Counter(c.verdict for c in findings.contrasts)
    return tuple((v.value, counts[v]) for v in Verdict if counts[v])


def described(analysis: Analysis) -> str:
    """Return what the numbers of an analysis are: metric, unit, direction, margin, looks."""
    metric = metric_named(analysis.metric)
    margin = f"margin {margin_in_words(analysis)}" if analysis.margin else "no margin"
    looks = f"; looks at {', '.join(map(str, analysis.looks))} blocks" if analysis.looks else ""
    return f"{analysis.metric}: {metric.unit}, {analysis.better} is better; {margin}{looks}."


def margin_in_words(analysis: Analysis | Factorial) -> str:
    """Return the range of changes that do not matter."""
    margin = Margin.parse(analysis.margin)
    return NONE if margin is None else margin.in_words(analysis.scale)


def contrast_table(findings: StudyVerdicts) -> Table | None:
    """Return the answer: each arm's verdict, its change against the baseline, and the interval."""
    analysis = findings.primary
    if analysis is None:
        return None
    several = analysis.family_size > 1
    alone = any(c.verdict_uncorrected is not c.verdict for c in analysis.contrasts)
    mean = "geometric mean" if analysis.scale == "log" else "mean"
    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("verdict", lambda c: c.verdict.value, words=True, marked=True),
        Column("change", lambda c: _change(c, analysis)),
        Column("interval", lambda c: _interval(c, analysis)),
        Column("pairs", lambda c: f"{c.n}"),
        Column("lost", lambda c: f"{c.pairs_lost}"),
        Column("better in", _better_in, optional=True),
        Column(f"{mean} / baseline's", _means, optional=True),
        Column("p", lambda c: p_cell(c.p_holm), optional=True),
        Column("corrected for the stop", lambda c: _corrected(c, analysis), optional=True),
        Column("p alone", lambda c: p_cell(_p_alone(c) if several else None), optional=True),
        Column(
            "verdict alone",
            lambda c: c.verdict_uncorrected.value if alone else NONE,
            words=True,
            marked=True,
            optional=True,
        ),
    )
    over = f"all {analysis.family_size} contrasts" if several else "this contrast"
    looks = " and all looks" if analysis.looks else ""
    note = (
        f"{described(analysis)} Verdict, interval and p hold over {over}{looks} at an error rate of {analysis.alpha:g}."
    )
    if several:
        note += " Alone: of each contrast by itself, uncorrected for the others."
    if analysis.looks:
        note += " Corrected for the stop: median-unbiased, since estimates at a stop are too far from 0."
    return table(
        "contrasts",
        f"Each arm against '{analysis.baseline}'",
        f"{note} Change is arm against baseline in the same block, averaged over pairs of completed trials; lost pairs "
        "failed or have no value. Means are over the same pairs.",
        columns,
        analysis.contrasts,
    )


def _p_alone(c: Contrast) -> float | None:
    return c.p_value if c.p_sequential is None else c.p_sequential


def _corrected(c: Contrast, analysis: Analysis) -> str:
    return NONE if c.stage_wise is None else change(c.stage_wise.estimate, analysis.scale)


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
        Column("p (equivalence)", lambda c: p_cell(c.equivalence.p_holm), optional=True),
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
        "against the margin, over all contrasts and looks. Failures: arm / baseline, exact McNemar test; ranked worst: "
        "who is favoured when failed trials count as worse than every value. Spread: ratio of standard deviations, "
        "Pitman-Morgan test.",
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


def effect_table(findings: StudyVerdicts) -> Table | None:
    """Return main effects and interactions of a factorial study; None for other designs."""
    effects = findings.effects
    if effects is None:
        return None
    metric, (head, *rows) = metric_named(effects.metric), effect_rows(effects.to_dict()["effects"], effects.scale)
    columns = tuple(
        Column[tuple[str, ...]](
            name,
            lambda row, i=i: NONE if row[i] == "-" else row[i],  # type: ignore[misc]
            words=name in ("term", "verdict", "same as"),
            marked=name == "verdict",
            optional=name != "term",
        )
        for i, name in enumerate(head)
    )
    lost = f"; {effects.rows_lost} failed or have no value" if effects.rows_lost else ""
    margin = f", margin {margin_in_words(effects)}" if effects.margin else ""
    return table(
        "effects",
        "Main effects and interactions",
        f"{effects.metric}: {metric.unit}, {metric.better} is better{margin}; {effects.rows} trials in "
        f"{effects.blocks} blocks{lost}. A main effect is the change from an axis's first level to another, averaged "
        "over the levels of the other axes, in each block; an interaction says how much that change depends on another "
        f"axis. Verdicts and p hold over all {effects.family_size} main effects together, p of interactions over all "
        "interactions; p alone is not corrected. Terms under 'same as' cannot be told apart by this design.",
        columns,
        rows,
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
        Column("interval", lambda row: _interval(row[1], row[0])),
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
        "over all rows of this table (Benjamini-Hochberg); verdicts hold over the arms of one metric, not over metrics "
        f"and have no margin. Means are geometric where changes are ratios. {units}.",
        columns,
        ((a, c) for a in findings.others for c in a.contrasts),
    )
