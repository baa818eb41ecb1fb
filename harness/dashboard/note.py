"""The note on the study's page of the dashboard: our verdicts, and what Optuna's own figures do not say."""

from __future__ import annotations

from harness.metrics.catalogue import metric_named
from harness.report.verdict_tables import tally
from harness.statistics.analysis import Analysis
from harness.statistics.sentences import contrast_rows, sensitivity_text
from harness.verdicts.judge import StudyVerdicts

CAUTIONS = (
    ("The table of verdicts is the answer:", "matched blocks, an interval, a margin fixed before the first trial."),
    (
        "Hyperparameter importance is no effect size.",
        "It says how much of the spread of values goes with a parameter. It does not say how much better a level is, "
        "and it has no interval. Where one axis is varied it is always 1.0.",
    ),
    ("Best trial is the luckiest block.", "It says little about its arm: compare arms over their blocks, not trials."),
    (
        "Trials in state FAIL have no value;",
        "their `status` says why. The artifact wall gives them the border of the best.",
    ),
    ("This is a view:", "everything is made again from the Parquet files, so what is changed here is lost."),
)
"""What Optuna's pages show that is not an answer: a lead, and the rest of the sentence."""
MOST_NAMED = 3
"""Arms that a study's title names one by one; of more it counts the verdicts."""


def verdict_in_short(findings: StudyVerdicts) -> str:
    """Return what stands behind a study's name in its title: each arm's verdict, or how many came to each."""
    if not findings.contrasts:
        return "no verdict yet"
    if len(findings.contrasts) <= MOST_NAMED:
        said = " · ".join(f"{c.arm}: {c.verdict.value}" for c in findings.contrasts)
    else:
        said = " · ".join(f"{count} × {word}" for word, count in tally(findings))
    return said if findings.sound else f"CONTROL FAILED · {said}"


def note(findings: StudyVerdicts) -> str:
    """Return the note as Markdown: the question, the verdicts as a table, and how to read the rest."""
    study, analysis = findings.study, findings.primary
    metric = metric_named(study.measure.primary)
    progress = f"{findings.trials_done} of {findings.trials_planned} trials done"
    lines = [f"# {_cell(study.question or study.study)}", "", f"**{_cell(verdict_in_short(findings))}**", ""]
    if not findings.sound:
        lines += ["**A negative control was told apart: do not trust these verdicts before you know why.**", ""]
    lines += [f"{progress}. {_cell(metric.name)} ({metric.unit}), {metric.better} is better."]
    if analysis is None:
        lines += ["", "No verdict yet: there are not two arms to compare."]
    else:
        lines += ["", *(f"- {_cell(text)}" for text in _rests_on(findings, analysis))]
        head, *rows = contrast_rows(analysis.to_dict())
        lines += ["", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
        lines += ["", *(f"- {_cell(c.sentence)}" for c in analysis.contrasts)]
    cautions = [f"- **{lead}** {rest}" for lead, rest in CAUTIONS]
    return "\n".join([*lines, "", "## How to read this dashboard", "", *cautions])


def _rests_on(findings: StudyVerdicts, analysis: Analysis) -> list[str]:
    """Return whether the experiment could have told, and whether anything was learned."""
    told = [] if analysis.sensitivity is None else [sensitivity_text(analysis.sensitivity)]
    return told if findings.health is None else [*told, findings.health.sentence]


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*[]<>|#~" else char for char in text).replace("\n", " ")
