"""What the page says before anything else: a short answer for each arm, and the facts that the answers rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.metrics.catalogue import metric_named
from harness.report.cost_table import costs_in_short
from harness.report.table import short
from harness.statistics import Analysis, Contrast, Margin, Verdict
from harness.statistics.number_format import change, number, percent, span
from harness.study.study import BASELINE
from harness.verdicts.judge import StudyVerdicts

MOST_ANSWERS = 12
"""Arms that the first screen answers for; the table has all of them."""
_KINDS = {
    "positive": "positive control",
    "negative": "negative control",
    "no-op": "no-op control",
    "a-a": "A/A control",
}


@dataclass(frozen=True)
class Answer:
    """One arm's verdict in a line."""

    arm: str
    verdict: str
    text: str
    cost: str
    """Empty where nothing is known of it."""


@dataclass(frozen=True)
class Fact:
    """Something that the answers rest on."""

    name: str
    text: str
    mark: str = ""
    """A word of the glossary that says it in a colour; empty for none."""
    glance: str = ""
    """The same in a word or two, for screens on which the answers alone fill a page; empty where it can wait."""


def answers(findings: StudyVerdicts) -> tuple[Answer, ...]:
    """Return each contrast of the primary metric in a line, main effects first; none before arms are compared."""
    analysis = findings.primary
    if analysis is None:
        return ()
    contrasts = (*findings.main_effects, *findings.contrasts)
    return tuple(Answer(c.arm, c.verdict.value, _in_short(c, analysis), costs_in_short(c)) for c in contrasts)


def _in_short(c: Contrast, a: Analysis) -> str:
    if c.verdict in (Verdict.NO_OP, Verdict.INVALID) or c.estimate is None:
        return c.reason or "no block has a value for both it and the baseline"
    pairs = f"{c.n} pair{'' if c.n == 1 else 's'}"
    inside = c.equivalence
    if c.verdict in (Verdict.EQUIVALENT, Verdict.NEGLIGIBLE, Verdict.NOT_SENSITIVE) and inside.low is not None:
        return f"{a.metric} {span(inside.low, inside.high, a.scale)}, inside the margin ({pairs})"
    if c.ci.low is None:
        return f"{a.metric} {change(c.estimate, a.scale)} ({pairs}, no interval yet)"
    return f"{a.metric} {change(c.estimate, a.scale)} (interval {span(c.ci.low, c.ci.high, a.scale)}; {pairs})"


def facts(findings: StudyVerdicts) -> tuple[Fact, ...]:
    """Return when and how was measured, the margin in both units, the baseline's health, and what controls found."""
    return tuple(_facts(findings))


def _facts(findings: StudyVerdicts) -> Iterator[Fact]:
    study, health, analysis = findings.study, findings.health, findings.primary
    metric = metric_named(study.measure.primary)
    epochs = "" if health is None or health.epochs is None else f" ({health.epochs:.3g} epochs)"
    yield Fact(
        "measured",
        f"{study.when}{epochs} by {metric.name}: {metric.unit}, {metric.better} is better",
        glance=study.when,
    )
    if margin := margin_in_both_units(findings):
        written = str(study.measure.margin_of(metric.name))
        yield Fact("margin", margin, glance=written)
    if health is not None:
        most = max(health.baseline.counts, key=lambda h: health.baseline.counts[h], default=None)
        word = "" if most is None else most.value
        yield Fact("baseline", health.condition, word, word)
    for control in findings.controls:
        yield Fact(_KINDS.get(control.kind, control.kind), control.sentence, control.outcome, control.outcome)
    if analysis is not None and analysis.contrasts:
        yield Fact("error rate", _error_rate(analysis))


def _error_rate(analysis: Analysis) -> str:
    several = f"all {analysis.family_size} contrasts" if analysis.family_size > 1 else "this contrast"
    looks = f" and all looks (at {', '.join(map(str, analysis.looks))} blocks)" if analysis.looks else ""
    return f"{percent(analysis.alpha)} over {several}{looks} together"


def margin_in_both_units(findings: StudyVerdicts) -> str:
    """Return the margin as it was written, and in the other unit: ``10 %, about 26 of the baseline's fid of 260``."""
    study = findings.study
    metric, margin = metric_named(study.measure.primary), Margin.parse(study.measure.margin_of(study.measure.primary))
    if margin is None:
        return ""
    baseline = next((arm.values.get(metric.name) for arm in findings.arms if arm.name == BASELINE), None)
    written = f"{margin.value * 100:.4g} %" if margin.relative else f"{margin.value:.4g}"
    if not margin.relative and metric.scale == "log":
        return f"{written} on the logarithm, to {number(math.exp(margin.value))} times either way"
    if baseline is None or baseline.mean == 0:
        return f"{written} of the baseline's {metric.name}" if margin.relative else f"{written} of {metric.name}"
    of = f"the baseline's {metric.name} of {short(baseline.mean)}"
    if margin.relative:
        return f"{written}, about {short(margin.value * abs(baseline.mean), 2)} of {of}"
    return f"{written}, which is {percent(margin.value / abs(baseline.mean))} of {of}"
