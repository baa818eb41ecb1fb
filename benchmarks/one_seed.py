"""What one run with one seed would have told: `python benchmarks/one_seed.py results/STUDY …`.

The posts' own way is to train each variant once under the same `manual_seed`, and to look. A global seed does not match
variants: another layer, and every later draw is another one. So one run of each is one value of each at independent
luck: the arm's from one block, the baseline's from another. Over all such pairs of the stored rows, and for the
verdicts that the study came to, how often does the reader see

- a change by the margin or more where the verdict is *equivalent*, or
- a change in the other direction where the verdict is *helps* or *hurts*?

Beside it the same for one matched pair, of one block. Both are descriptions of these rows, without an interval.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from harness.metrics.catalogue import metric_named
from harness.results.store import Store
from harness.statistics import Verdict
from harness.statistics.verdict_rule import Margin
from harness.verdicts.judge import StudyVerdicts, judge_stored

DECIDED = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT)


def wrong(differences: np.ndarray, verdict: Verdict, margin: float, estimate: float) -> float:
    """Return the share of differences from which a reader would conclude something else than the verdict.

    Args:
        differences: (N,) arm less baseline, on the scale of the analysis.
        verdict: `helps`, `hurts` or `equivalent`.
        margin: On the same scale, above 0.
        estimate: The study's, whose sign is the right one.
    """
    if verdict is Verdict.EQUIVALENT:
        return float((np.abs(differences) >= margin).mean())
    return float((np.sign(differences) != np.sign(estimate)).mean())


def rows(findings: StudyVerdicts) -> Iterator[str]:
    """Yield a line of the table for each decided contrast of the primary metric."""
    study, trials = findings.study, findings.tables.trials
    metric = metric_named(study.measure.primary)
    written = Margin.parse(study.measure.margin_of(metric.name))
    if written is None:
        return
    table = trials.pivot_table(index="block", columns="arm", values=metric.name)
    margin = written.on(metric.scale, float(table["baseline"].mean()))
    table = np.log(table) if metric.scale == "log" else table
    for contrast in findings.contrasts:
        if contrast.verdict not in DECIDED or contrast.estimate is None:
            continue
        pairs = table[[contrast.arm, "baseline"]].dropna().to_numpy()
        every = pairs[:, :1] - pairs[:, 1]  # (arm's block, baseline's block)
        apart = every[~np.eye(len(pairs), dtype=bool)]
        told = [wrong(x, contrast.verdict, margin, contrast.estimate) for x in (apart, np.diag(every))]
        yield (
            f"| {study.study} | {contrast.arm} | {contrast.verdict} | {len(apart)} | {told[0]:.0%} | "
            f"{len(pairs)} | {told[1]:.0%} |"
        )


def main(folders: list[str]) -> None:
    """Print the table."""
    print("| study | arm | verdict | pairs of single runs | tell otherwise | matched pairs | tell otherwise |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for folder in folders:
        print(*rows(judge_stored(Store(Path(folder)))[1]), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
