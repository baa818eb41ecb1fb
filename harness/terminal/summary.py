"""Findings in people's words for the terminal: the answer first, then what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.metrics.catalogue import metric_named
from harness.statistics import render
from harness.statistics.number_format import aligned, change, span, wrapped
from harness.statistics.sentences import effect_rows, effect_sentences
from harness.study.study import BASELINE
from harness.verdicts.judge import ArmSummary, StudyVerdicts

ARROWS = {"lower": "↓", "higher": "↑"}


def summary(findings: StudyVerdicts, width: int | None = None) -> str:
    """Return a study's verdicts: the question, the table of arms, then sentences.

    Args:
        findings: What the study's rows say.
        width: Characters of a line at most; as long as they are unless given.
    """
    parts = [wrapped(heading(findings), width), _arms(arm_rows(findings), width), wrapped(caption(findings), width)]
    return "\n\n".join([*parts, *(_broken(line, width) for line in lines(findings, width))])


def _arms(rows: list[tuple[str, ...]], width: int | None) -> str:
    """Return the table of arms; where it is too wide the verdicts first, then the metrics."""
    whole = aligned(rows)
    if width is None or len(whole.splitlines()[1]) <= width:
        return whole
    verdicts, metrics = [row[:4] for row in rows], [(row[0], *row[4:]) for row in rows]
    if len(aligned(metrics).splitlines()[1]) > width:
        metrics = [metrics[0], *((name, f"{blocks} blocks", *rest) for name, blocks, *rest in metrics[1:])]
    return "\n\n".join((aligned(verdicts, width), aligned(metrics, width)))


def _broken(line: str, width: int | None) -> str:
    """Return a text with its lines broken, but for those of tables, which fit already."""
    return line if "──" in line else wrapped(line, width)


def heading(findings: StudyVerdicts) -> str:
    """Return the question, and how many trials came to what."""
    counts = Counter[str]()
    for arm in findings.arms:
        counts.update(arm.statuses)
    statuses = ", ".join(f"{n} {status}" for status, n in counts.most_common()) or "none done"
    title = findings.study.question or findings.study.study
    failed = (
        ""
        if findings.sound
        else "\nA NEGATIVE CONTROL WAS TOLD APART: do not trust the verdicts below before you know why."
    )
    return f"{title}\n{findings.trials_done} of {findings.trials_planned} trials: {statuses}{failed}"


def arm_rows(findings: StudyVerdicts) -> list[tuple[str, ...]]:
    """Return the table of arms as text cells, head first: verdict, change, interval, blocks, metrics."""
    metrics = findings.study.measure.metrics
    names = [f"{name} {ARROWS[metric_named(name).better]}" for name in metrics]
    head = ("arm", "verdict", "change", "interval", "blocks", *names, "not complete")
    rows = [head, *(_row(findings, arm) for arm in findings.arms)]
    return [row[:-1] for row in rows] if all(row[-1] == "-" for row in rows[1:]) else rows


def _row(findings: StudyVerdicts, arm: ArmSummary) -> tuple[str, ...]:
    scale = metric_named(findings.study.measure.primary).scale
    contrast = next((c for c in findings.contrasts if c.arm == arm.name), None)
    control = next((c for c in findings.controls if c.arm == arm.name), None)
    verdict, estimate, ci = "", None, None
    if contrast is not None:
        verdict, estimate, ci = contrast.verdict.value, contrast.estimate, contrast.ci
    elif control is not None:
        verdict, estimate, ci = control.outcome, control.estimate, control.ci
    elif arm.name != BASELINE and arm.plan is not None and arm.plan.proof is not None:
        verdict = arm.plan.proof
    values = []
    for name in findings.study.measure.metrics:
        spread = arm.values.get(name)
        sd = "" if spread is None or spread.sd is None else f" ± {spread.sd:.2g}"
        values.append("-" if spread is None else f"{spread.mean:.4g}{sd}")
    failed = ", ".join(f"{n} {status}" for status, n in arm.statuses.items() if status != "complete")
    return (
        arm.name,
        verdict,
        "-" if estimate is None else change(estimate, scale),
        "-" if ci is None or estimate == 0 else span(ci.low, ci.high, scale),
        str(arm.blocks),
        *values,
        failed or "-",
    )


def caption(findings: StudyVerdicts) -> str:
    """Return what the numbers of the table are."""
    level = next((f"{c.ci.level * 100:.3g} % " for c in findings.contrasts if c.ci.low is not None), "")
    return (
        f"Change is that of {findings.study.measure.primary} against the baseline in the same blocks, with its "
        f"{level}interval. Metrics are arithmetic mean ± sd over blocks {findings.study.when}; ↓ lower, ↑ higher is "
        "better."
    )


def lines(findings: StudyVerdicts, width: int | None = None) -> Iterator[str]:
    """Yield verdicts, controls, health, metrics that disagree, what matching was worth, effects, claims and notes."""
    if findings.primary is not None:
        yield render(findings.primary, width=width, table=False)
        yield from findings.disagreements()
    for control in findings.controls:
        if control.kind != "positive":
            yield f"control {control.kind}: {control.sentence}"
    if findings.health is not None:
        yield findings.health.sentence
    if findings.primary is not None:
        for contrast in findings.primary.contrasts:
            if contrast.correlation is not None and contrast.variance_reduction is not None:
                yield (
                    f"matching: '{contrast.arm}' and the baseline correlate {contrast.correlation:.2f} over blocks; "
                    f"their difference has {1 / contrast.variance_reduction:.0%} of the variance that unmatched trials "
                    f"would give ({contrast.variance_reduction:.1f} times less)"
                )
    if findings.effects is not None:
        document = findings.effects.to_dict()
        yield f"effects on {findings.effects.metric}, averaged over the levels of the other axes"
        yield aligned(effect_rows(document["effects"], findings.effects.scale), width)
        yield from effect_sentences(document)
    for settled in findings.claims:
        evidence = f" ({settled.evidence})" if settled.evidence else ""
        yield f"claim {settled.claim.id}, {settled.outcome}: {settled.claim.quote}{evidence}"
    for note in findings.notes:
        yield f"note: {note}"
