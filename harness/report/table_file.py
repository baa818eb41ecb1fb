"""All contrasts of a study as comma-separated values: a line a metric and arm, for spreadsheets and other programs."""

from __future__ import annotations

import csv
import io
from typing import Any

from harness.verdicts.judge import StudyVerdicts

COLUMNS = (
    *(
        "metric",
        "family",
        "better",
        "scale",
        "arm",
        "baseline",
        "verdict",
        "estimate",
        "low",
        "high",
        "relative_change",
    ),
    *("margin", "pairs", "pairs_lost", "p_holm", "mean_arm", "mean_baseline", "decided"),
)


def verdict_rows(findings: StudyVerdicts) -> list[tuple[Any, ...]]:
    """Return a row of `COLUMNS` per metric and arm, the primary metric first; None where there is no number."""
    rows = []
    for analysis in ((findings.primary,) if findings.primary is not None else ()) + findings.others:
        of_metric = (analysis.metric, analysis.family, analysis.better, analysis.scale)
        for c in analysis.contrasts:
            head = (*of_metric, c.arm, c.baseline, c.verdict.value)
            size = (c.estimate, c.ci.low, c.ci.high, c.relative_change, analysis.margin, c.n, c.pairs_lost)
            rows.append((*head, *size, c.p_holm, c.mean_arm, c.mean_baseline, c.decided))
    return rows


def table_file(findings: StudyVerdicts) -> str:
    """Return the contrasts; estimates and intervals are on the scale of the analysis, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(verdict_rows(findings))
    return text.getvalue()
