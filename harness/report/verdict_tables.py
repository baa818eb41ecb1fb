"""Tables of contrasts, controls and claims: what a study found, as text."""

from __future__ import annotations

from collections import Counter

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Table, joined, ratio, share, short, times, two
from harness.statistics import Analysis, Contrast, Verdict
from harness.statistics.number_format import between, change, p_text
from harness.statistics.sentences import effect_rows, effect_sentences
from harness.verdicts.judge import StudyVerdicts

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
    contrasts = findings.primary.contrasts if findings.primary is not None else ()
    told = [c.sentence.split(" Cost: ")[0] for c in contrasts]
    if findings.effects is not None:
        document = findings.effects.to_dict()
        told += effect_sentences({**document, "factorial": document})
    return told


def tally(findings: StudyVerdicts) -> tuple[tuple[str, int], ...]:
    """Return how many contrasts came to each verdict, in the usual order, without those that none came to."""
    contrasts = findings.primary.contrasts if findings.primary is not None else ()
    counts = Counter(c.verdict for c in contrasts)
    return tuple((v.value, counts[v]) for v in Verdict if counts[v])


def described(analysis: Analysis) -> str:
    """Return what the numbers of an analysis are: metric, unit, direction, margin, looks."""
    metric = metric_named(analysis.metric)
    margin = f"margin ±{analysis.margin}" if analysis.margin else "no margin"
    looks = f"; looks at {', '.join(map(str, analysis.looks))} blocks" if analysis.looks else ""
    return f"{analysis.metric}: {metric.unit}, {analysis.better} is better; {margin}{looks}."


def contrast_table(analysis: Analysis) -> Table:
    """Return the answer: each arm's change against the baseline, its interval and verdict."""
    level = f"{(1 - analysis.alpha) * 100:g} % interval"
    several = any(c.verdict_family is not c.verdict for c in analysis.contrasts)
    rows = []
    for c in analysis.contrasts:
        p = c.p_value if c.p_sequential is None else c.p_sequential
        rows.append(
            (
                c.arm,
                c.verdict.value,
                NONE if c.estimate is None else change(c.estimate, analysis.scale),
                NONE if c.ci.low is None else interval(c.ci.low, c.ci.high, analysis),
                f"{c.n}",
                f"{c.pairs_lost}",
                f"{c.better_in.blocks} of {c.better_in.of}" if c.better_in.of else NONE,
                two(short(c.mean_arm, 4), short(c.mean_baseline, 4)),
                p_text(p) if p is not None else NONE,
                p_text(c.p_holm) if c.p_holm is not None and len(analysis.contrasts) > 1 else NONE,
                c.verdict_family.value if several else NONE,
            )
        )
    return Table(
        "contrasts",
        f"Each arm against '{analysis.baseline}'",
        f"{described(analysis)} Change is arm against baseline in the same block, averaged over pairs of completed "
        "trials; lost pairs failed or have no value. Means are over the same pairs.",
        (
            *("arm", "verdict", "change", level, "pairs", "lost", "better in", "mean / baseline's", "p"),
            *("p (Holm)", "verdict (Holm)"),
        ),
        tuple(rows),
        frozenset({0, 1, 10}),
        frozenset({1, 10}),
    ).without_empty(6)


def interval(low: float | None, high: float | None, analysis: Analysis) -> str:
    """Return an interval of differences in words, for a table."""
    return between(low, high, analysis.scale).removeprefix("between ").replace(" and ", " to ")


def trust_table(analysis: Analysis) -> Table:
    """Return what the verdicts rest on: the matching, other tests, other margins, failures, spread."""
    rows = []
    for c in analysis.contrasts:
        failed = c.failures
        rows.append(
            (
                c.arm,
                f"{c.n}",
                NONE if c.correlation is None else f"{c.correlation:.2f}",
                times(c.variance_reduction),
                p_text(c.p_sign_flip) if c.p_sign_flip is not None else NONE,
                p_text(c.equivalence.p_value) if c.equivalence.p_value is not None else NONE,
                c.verdict_half_margin.value if analysis.margin else NONE,
                c.verdict_double_margin.value if analysis.margin else NONE,
                f"{failed.arm} / {failed.baseline}" if failed.arm or failed.baseline else NONE,
                p_text(failed.p_mcnemar) if failed.arm or failed.baseline else NONE,
                _worst(c),
                times(c.spread.ratio),
                p_text(c.spread.p_pitman_morgan) if c.spread.p_pitman_morgan is not None else NONE,
            )
        )
    return Table(
        "trust",
        "What the verdicts rest on",
        "Correlation of arm and baseline over blocks, and how many times less variance the paired difference has than "
        "an unpaired one. Sign flip: exact test without assuming normal errors. Equivalence: two one-sided tests "
        "against the margin. Failures: arm / baseline, exact McNemar test; ranked worst: who is favoured when failed "
        "trials count as worse than every value. Spread: ratio of standard deviations, Pitman-Morgan test.",
        (
            *("arm", "pairs", "correlation", "less variance", "p (sign flip)", "p (equivalence)"),
            *("verdict, half margin", "verdict, double margin", "failed", "p (failures)", "failures ranked worst"),
            *("spread", "p (spread)"),
        ),
        tuple(rows),
        frozenset({0, 6, 7, 10}),
        frozenset({6, 7}),
    ).without_empty(2)


def _worst(c: Contrast) -> str:
    if not (c.failures.arm or c.failures.baseline):
        return NONE
    p = "" if c.worst_rank.p_value is None else f" (p = {p_text(c.worst_rank.p_value)})"
    return f"{c.worst_rank.favours}{p}"


def cost_table(analysis: Analysis) -> Table | None:
    """Return the costs of each arm as multiples of the baseline's; None where none are known."""
    names = list(dict.fromkeys(cost.name for c in analysis.contrasts for cost in c.costs))
    rows = []
    for c in analysis.contrasts:
        by_name = {cost.name: cost for cost in c.costs}
        if by_name:
            rows.append((c.arm, c.verdict.value, *(ratio(by_name[n].ratio) if n in by_name else NONE for n in names)))
    if not rows:
        return None
    return Table(
        "costs",
        "What it costs",
        f"Each cost as a multiple of that of '{analysis.baseline}' (medians over trials); below 1 is cheaper. D is the "
        "discriminator, G the generator.",
        ("arm", "verdict", *names),
        tuple(rows),
        frozenset({0, 1}),
        frozenset({1}),
    )


def effect_table(findings: StudyVerdicts) -> Table | None:
    """Return main effects and interactions of a factorial study; None for other designs."""
    found = findings.effects
    if found is None:
        return None
    head, *rows = effect_rows(found.to_dict()["effects"], found.scale)
    metric = metric_named(found.metric)
    lost = f"; {found.rows_lost} failed or have no value" if found.rows_lost else ""
    margin = f", margin ±{found.margin}" if found.margin else ""
    return Table(
        "effects",
        "Main effects and interactions",
        f"{found.metric}: {metric.unit}, {metric.better} is better{margin}; {found.rows} trials in {found.blocks} "
        f"blocks{lost}. A main effect is the change from an axis's first level to its second, averaged over the levels "
        "of the other axes; an interaction says how much that change depends on another axis. Terms on one line with "
        "others under 'same as' cannot be told apart by this design.",
        head,
        tuple(tuple(NONE if cell == "-" else cell for cell in row) for row in rows),
        frozenset({0, 7, 8}),
        frozenset({7}),
    ).without_empty(1)


def exploratory_table(findings: StudyVerdicts) -> Table | None:
    """Return the contrasts of all other metrics; None where there are none."""
    rows = [
        (
            a.metric,
            a.better,
            c.arm,
            NONE if c.estimate is None else change(c.estimate, a.scale),
            NONE if c.ci.low is None else interval(c.ci.low, c.ci.high, a),
            f"{c.n}",
            f"{c.pairs_lost}",
            two(short(c.mean_arm, 4), short(c.mean_baseline, 4)),
            p_text(c.p_fdr) if c.p_fdr is not None else NONE,
            c.verdict.value,
        )
        for a in findings.others
        for c in a.contrasts
    ]
    if not rows:
        return None
    level = f"{(1 - findings.others[0].alpha) * 100:g} % interval"
    units = "; ".join(f"{a.metric}: {metric_named(a.metric).unit}" for a in findings.others)
    return Table(
        "exploratory",
        "Other metrics (exploratory)",
        "Not what the study set out to judge by, so take these as hints. p (FDR) controls the false discovery rate "
        f"over all rows of this table (Benjamini-Hochberg); verdicts are not corrected and have no margin. {units}.",
        ("metric", "better", "arm", "change", level, "pairs", "lost", "mean / baseline's", "p (FDR)", "verdict"),
        tuple(rows),
        frozenset({0, 1, 2, 9}),
        frozenset({9}),
    ).without_empty(7)


def claim_table(findings: StudyVerdicts) -> Table | None:
    """Return what became of each claim; None where the study has none."""
    rows = tuple(
        (s.claim.id, s.claim.quote, s.claim.arm, s.metric, s.claim.expect, s.verdict or NONE, s.outcome)
        for s in findings.claims
    )
    if not rows:
        return None
    return Table(
        "claims",
        "Statements that were put to the test",
        "A verdict supports a statement, contradicts it, or leaves it not settled; inconclusive settles nothing.",
        ("id", "statement", "arm", "metric", "expects", "verdict", "outcome"),
        rows,
        frozenset(range(7)),
        frozenset({5, 6}),
    )


def control_table(findings: StudyVerdicts) -> Table | None:
    """Return what each control found; None where the study has none."""
    said = {True: "passed", False: "FAILED", None: "too few blocks"}
    rows = tuple(
        (
            c.kind,
            c.arm,
            said[c.passed],
            p_text(c.p_value) if c.p_value is not None else NONE,
            short(c.floor),
            joined([f"step {p['step']}: {share(p['share_of_unmatched'])}" for p in c.curve]),
            c.sentence,
        )
        for c in findings.controls
    )
    if not rows:
        return None
    return Table(
        "controls",
        "Controls: arms whose answer is known",
        "Floor: half-width of the interval of a difference that must be none, on the scale of the analysis; what this "
        "study cannot see below. Forgotten: difference as a share of that of two unmatched trainings, by step.",
        ("control", "arm", "outcome", "p", "floor", "forgotten", "what was found"),
        rows,
        frozenset({0, 1, 2, 5, 6}),
        frozenset({2}),
    ).without_empty(3)
