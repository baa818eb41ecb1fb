"""All contrasts of a study as comma-separated values: a line a metric and arm, for spreadsheets and other programs."""

from __future__ import annotations

import csv
import io

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


def table_file(findings: StudyVerdicts) -> str:
    """Return the contrasts; estimates and intervals are on the scale of the analysis, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for analysis in ((findings.primary,) if findings.primary is not None else ()) + findings.others:
        for c in analysis.contrasts:
            head = (
                analysis.metric,
                analysis.family,
                analysis.better,
                analysis.scale,
                c.arm,
                c.baseline,
                c.verdict.value,
            )
            size = (c.estimate, c.ci.low, c.ci.high, c.relative_change, analysis.margin, c.n, c.pairs_lost)
            writer.writerow((*head, *size, c.p_holm, c.mean_arm, c.mean_baseline, c.decided))
    return text.getvalue()
