"""Findings in people's words for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.statistics import render
from harness.statistics.number_format import aligned
from harness.statistics.sentences import effect_rows, effect_sentences

if TYPE_CHECKING:
    from rich.table import Table

    from harness.verdicts.judge import StudyVerdicts

ARROWS = {"lower": "↓", "higher": "↑"}


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


def lines(findings: StudyVerdicts) -> Iterator[str]:
    """Yield controls, health, verdicts, metrics that disagree, what matching was worth, effects, claims and notes."""
    for control in findings.controls:
        if control.kind != "positive":
            yield f"control {control.kind}: {control.sentence}"
    if findings.health is not None:
        yield findings.health.sentence
    if findings.primary is not None:
        yield render(findings.primary)
        yield from findings.disagreements()
        for contrast in findings.primary.contrasts:
            if contrast.correlation is not None and contrast.variance_reduction is not None:
                yield (
                    f"matching: '{contrast.arm}' and the baseline correlate {contrast.correlation:.2f} over blocks; "
                    f"their difference has {1 / contrast.variance_reduction:.0%} of the variance that unmatched trials "
                    f"would give ({contrast.variance_reduction:.1f} times less)"
                )
    if findings.effects is not None:
        document = findings.effects.to_dict()
        yield f"\neffects on {findings.effects.metric}, averaged over the levels of the other axes"
        yield aligned(effect_rows(document["effects"], findings.effects.scale))
        yield from effect_sentences(document)
    for settled in findings.claims:
        evidence = f" ({settled.evidence})" if settled.evidence else ""
        yield f"claim {settled.claim.id}, {settled.outcome}: {settled.claim.quote}{evidence}"
    for note in findings.notes:
        yield f"note: {note}"


def means_table(findings: StudyVerdicts) -> Table:
    """Return a table of arms: blocks, the mean and spread of each metric, and what it costs."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    metrics = findings.study.measure.metrics
    table = Table(
        box=SIMPLE_HEAD,
        title=f"arithmetic mean ± sd over blocks {findings.study.when}; ↓ lower, ↑ higher is better",
        title_justify="left",
        title_style="dim",
    )
    table.add_column("arm", no_wrap=True)
    table.add_column("blocks", justify="right")
    for name in metrics:
        table.add_column(f"{name} {ARROWS[metric_named(name).better]}", justify="right", no_wrap=True)
    table.add_column("not complete", justify="right")
    for arm in findings.arms:
        cells = []
        for name in metrics:
            spread = arm.values.get(name)
            cells.append(
                "–" if spread is None else f"{spread.mean:.4g}" + ("" if spread.sd is None else f" ± {spread.sd:.2g}")
            )
        bad = {s: n for s, n in arm.statuses.items() if s != "complete"}
        table.add_row(arm.name, str(arm.blocks), *cells, ", ".join(f"{n} {s}" for s, n in bad.items()) or "0")
    return table
