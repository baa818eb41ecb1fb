"""Tables of arms, failures, floors and provenance: what was computed, and by what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Table, count, duration, joined, large, share, short, spread, times, two
from harness.study.design import short_names
from harness.verdicts.judge import ArmSummary, StudyVerdicts

if TYPE_CHECKING:
    import pandas as pd


def arm_table(findings: StudyVerdicts, trials: pd.DataFrame) -> Table:
    """Return each arm: levels, size, cost, matching, statuses and its mean of the primary metric."""
    study, axes = findings.study, short_names(findings.study.axes)
    primary = metric_named(study.measure.primary)
    horizon = study.measure.steps(study.training.steps)[-1]
    rows = []
    for arm in findings.arms:
        of_arm = trials[trials["arm"] == arm.name]
        value = arm.values.get(primary.name)  # noqa: PD011 - a mapping, not a frame
        rows.append(
            (
                arm.name,
                *(arm.levels.get(axis, NONE) for axis in axes),
                joined([f"{n} {status}" for status, n in arm.statuses.items()]),
                NONE if value is None else spread(value.mean, value.sd, value.n),
                two(*(count(_size(arm, of_arm, f"parameters_{network}")) for network in "gd")),
                two(*(large(_size(arm, of_arm, f"macs_{network}")) for network in "gd")),
                duration(_median(of_arm, "seconds_per_step")),
                large(_median(of_arm, "peak_bytes"), "B"),
                share(_size(arm, of_arm, "matched_fraction")),
                "" if arm.plan is None else arm.plan.proof or "",
            )
        )
    names = tuple(axes.values())
    return Table(
        "arms",
        "Arms",
        f"Controls come last. {primary.name} ({primary.unit}, {primary.better} is better) at step {horizon}: mean ± "
        "standard deviation over blocks. G is the generator, D the discriminator; multiply-adds of one image's forward "
        "pass; time of a training step and peak memory: medians. Matched: share of initial parameters bit-equal to the "
        "baseline's.",
        (
            *("arm", *names, "trials", primary.name, "parameters G / D", "multiply-adds G / D"),
            *("time per step", "memory", "matched", "proved before training"),
        ),
        tuple(rows),
        frozenset({*range(2 + len(names)), 7 + len(names)}),
    ).without_empty(1 + len(names))


def _size(arm: ArmSummary, of_arm: pd.DataFrame, column: str) -> float | None:
    """Return what the arm's rows say, else what preflight said."""
    found = of_arm[column].dropna() if column in of_arm else of_arm.iloc[:0, 0]
    if len(found):
        return float(found.iloc[0])
    return None if arm.plan is None else getattr(arm.plan, column)


def _median(rows: pd.DataFrame, column: str) -> float | None:
    found = rows[column].dropna() if column in rows else rows.iloc[:0, 0]
    return float(found.astype("float64").median()) if len(found) else None


def failure_table(trials: pd.DataFrame) -> Table | None:
    """Return the trials that are not complete; None where all are."""
    rows = tuple(
        (
            str(row["arm"]),
            f"{row['block']}",
            str(row["status"]),
            NONE if _null(row.get("failed_at_step")) else f"{row['failed_at_step']:.0f}",
            NONE if _null(row.get("error")) else str(row["error"]),
        )
        for row in trials[trials["status"] != "complete"].to_dict("records")
    )
    if not rows:
        return None
    return Table(
        "failures",
        "Trials that are not complete",
        "Counted and tested as outcomes, never dropped: see the columns on failures above.",
        ("arm", "block", "status", "since step", "what happened"),
        rows,
        frozenset({0, 2, 4}),
        frozenset({2}),
    )


def _null(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def floor_table(findings: StudyVerdicts, trials: pd.DataFrame, measurements: pd.DataFrame) -> Table | None:
    """Return, beside each metric that has one, its floor: real images against other real images; None without any."""
    study = findings.study
    horizon = study.measure.steps(study.training.steps)[-1]
    at = measurements[(measurements["step"] == horizon) & measurements["floor"].notna() & measurements["value"].notna()]
    if not len(at):
        return None
    at = at.merge(trials[["trial_id", "arm"]], on="trial_id")
    order = {arm.name: i for i, arm in enumerate(findings.arms)}
    rows = []
    for metric in study.measure.metrics:
        for arm, part in sorted(at[at["metric"] == metric].groupby("arm"), key=lambda pair: order.get(str(pair[0]), 0)):
            value, floor = float(part["value"].mean()), float(part["floor"].mean())
            sd = float(part["value"].std()) if len(part) > 1 else None
            rows.append(
                (
                    metric,
                    str(arm),
                    spread(value, sd, len(part)),
                    short(floor),
                    times(value / floor) if floor > 0 else NONE,
                    joined(sorted({f"{int(n):,}" for n in part["n_real"].dropna()})),
                    joined(sorted({f"{int(n):,}" for n in part["n_fake"].dropna()})),
                    short(_median(part, "bias")),
                    short(_median(part, "evaluation_sd")),
                    short(_median(part, "standard_error")),
                )
            )
    if not rows:
        return None
    units = "; ".join(f"{m}: {metric_named(m).unit}" for m in dict.fromkeys(row[0] for row in rows))
    return Table(
        "floors",
        "Distances beside their floors",
        f"At step {horizon}. Floor: the same metric of real images against other real images at the same count, the "
        "best that can be hoped for. Bias: first-order bias at these counts; evaluation noise: spread over resamples "
        f"of the measured items. {units}.",
        (
            *("metric", "arm", "value", "floor", "times the floor", "real images", "generated images", "bias"),
            *("evaluation noise", "standard error"),
        ),
        tuple(rows),
        frozenset({0, 1}),
    ).without_empty(2)


PROVENANCE = (
    ("code", "code_version"),
    ("data (digest)", "data_hash"),
    ("features of the primary metric", "feature_id"),
    ("device", "device"),
    ("threads per trial", "threads"),
    ("precision", "precision"),
    ("packages", "packages"),
)


def provenance_table(findings: StudyVerdicts, trials: pd.DataFrame) -> Table:
    """Return what computed the rows: versions, digests, machine; a value for each where trials differ."""
    study = findings.study
    rows = [
        ("study", study.study),
        ("digest of its settings", study.hash),
        ("trials", f"{findings.trials_done} of {findings.trials_planned}"),
    ]
    for name, column in PROVENANCE:
        found = sorted({_version(value) for value in trials[column].dropna().unique()}) if column in trials else []
        rows.append((name, " and ".join(found) if len(found) < 2 else f"{len(found)} different: {'; '.join(found)}"))
    if len(trials) and "wall_seconds" in trials:
        rows.append(("computing time", duration(float(trials["wall_seconds"].fillna(0).astype("float64").sum()))))
        started = trials["started_at"].dropna()
        if len(started):
            rows.append(("trials begun (UTC)", f"{started.min():%Y-%m-%d %H:%M} to {started.max():%Y-%m-%d %H:%M}"))
    for metric in study.measure.metrics:
        described = metric_named(metric)
        note = f"; {described.note}" if described.note else ""
        rows.append((metric, f"{described.unit}, {described.better} is better; {described.citation}{note}"))
    return Table(
        "provenance",
        "Where the numbers come from",
        "Rows that differ in any of these may differ for that reason.",
        ("what", "value"),
        tuple(row for row in rows if row[1]),
        frozenset({0, 1}),
    )


def _version(value: Any) -> str:
    text = str(value)
    if not text.startswith("{"):
        return text
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items())
