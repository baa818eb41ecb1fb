"""The note on the study's page of the dashboard: our verdicts, and what Optuna's own figures do not say."""

from __future__ import annotations

from harness.metrics.catalogue import metric_named
from harness.statistics.analysis import Analysis
from harness.statistics.sentences import contrast_rows, sensitivity_text
from harness.verdicts.judge import StudyVerdicts

CAUTIONS = """\
## How to read this dashboard

- The table above is the answer: matched blocks, an interval, a margin written down before the first trial.
- **Hyperparameter importance is no effect size.** It says how much of the spread of values goes with a parameter, not
  how much better a level is, and it has no interval.
- **Best trial is the luckiest block.** Compare arms over their blocks, not trials.
- Trials in state FAIL have no value (their status says why); the artifact wall gives them the border of the best.
- This is a view: everything here is rebuilt from the Parquet files, so changes made here are lost."""


def note(findings: StudyVerdicts) -> str:
    """Return the note as Markdown: the question, the verdicts as a table, and how to read the rest."""
    study, analysis = findings.study, findings.primary
    metric = metric_named(study.measure.primary)
    progress = f"{findings.trials_done} of {findings.trials_planned} trials done"
    lines = [f"# {_cell(study.question or study.study)}", ""]
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
    return "\n".join([*lines, "", CAUTIONS])


def _rests_on(findings: StudyVerdicts, analysis: Analysis) -> list[str]:
    """Return whether the experiment could have told, and whether anything was learned."""
    told = [] if analysis.sensitivity is None else [sensitivity_text(analysis.sensitivity)]
    return told if findings.health is None else [*told, findings.health.sentence]


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*[]<>|#~" else char for char in text).replace("\n", " ")
