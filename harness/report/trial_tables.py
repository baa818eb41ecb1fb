"""Tables of arms, failures, floors and provenance: what was computed, and by what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Column, Table, count, joined, large, share, short, spread, table, times, two
from harness.results.schema import MATCHED_LITTLE
from harness.statistics.number_format import duration
from harness.study.design import short_names
from harness.verdicts.judge import ArmSummary, StudyVerdicts

if TYPE_CHECKING:
    import pandas as pd


class _ArmTrials(NamedTuple):
    """An arm and its rows."""

    arm: ArmSummary
    trials: pd.DataFrame

    def size(self, column: str) -> float | None:
        """Return what the arm's rows say, else what preflight said."""
        rows = self.trials[column].dropna() if column in self.trials else self.trials.iloc[:0, 0]
        if len(rows):
            return float(rows.iloc[0])
        return None if self.arm.plan is None else getattr(self.arm.plan, column)

    def of_both(self, column: str) -> tuple[float | None, float | None]:
        """Return a size of the generator and the discriminator."""
        return self.size(f"{column}_g"), self.size(f"{column}_d")


def arm_table(findings: StudyVerdicts) -> Table | None:
    """Return each arm: levels, size, cost, matching, statuses and its mean of the primary metric."""
    study, trials = findings.study, findings.tables.trials
    primary = metric_named(study.measure.primary)
    columns: tuple[Column[_ArmTrials], ...] = (
        Column("arm", lambda row: row.arm.name, words=True),
        *(_level(axis, name) for axis, name in short_names(study.axes).items()),
        Column(
            "trials", lambda row: joined([f"{n} {s}" for s, n in row.arm.statuses.items()]), words=True, optional=True
        ),
        Column(primary.name, lambda row: _mean(row.arm, primary.name), optional=True),
        Column("parameters G / D", lambda row: two(*map(count, row.of_both("parameters"))), optional=True),
        Column("multiply-adds G / D", lambda row: two(*map(large, row.of_both("macs"))), optional=True),
        Column("time per step", lambda row: _time(_median(row.trials, "seconds_per_step")), optional=True),
        Column("memory", lambda row: large(_median(row.trials, "peak_bytes"), "B"), optional=True),
        Column("matched G / D", _matched, optional=True),
        Column("proved before training", lambda row: _proof(row.arm), words=True, optional=True),
    )
    return table(
        "arms",
        "Arms",
        f"Controls come last. {primary.name} ({primary.unit}, {primary.better} is better) {study.when}: "
        "mean ± standard deviation over blocks. G is the generator, D the discriminator; multiply-adds of one "
        "image's forward pass; time of a training step and peak memory: medians. Matched: share of initial "
        f"parameters bit-equal to the baseline's; little (!) is less than {MATCHED_LITTLE:.0%}, and pairs gain less.",
        columns,
        (_ArmTrials(arm, trials[trials["arm"] == arm.name]) for arm in findings.arms),
    )


def _matched(row: _ArmTrials) -> str:
    """Return the shares of both networks, marked where little is matched; older rows know only that of both."""
    shares = row.of_both("matched_fraction")
    if shares == (None, None):
        return share(row.size("matched_fraction"))
    return two(*(f"{share(s)} (!)" if s is not None and s < MATCHED_LITTLE else share(s) for s in shares))


def _level(axis: str, name: str) -> Column[_ArmTrials]:
    return Column(name, lambda row: row.arm.levels.get(axis, NONE), words=True)


def _mean(arm: ArmSummary, metric: str) -> str:
    value = arm.values.get(metric)  # noqa: PD011 - a mapping, not a frame
    return NONE if value is None else spread(value.mean, value.sd, value.n)


def _proof(arm: ArmSummary) -> str:
    return "" if arm.plan is None else arm.plan.proof or ""


def _time(seconds: float | None) -> str:
    return NONE if seconds is None else duration(seconds)


def _median(rows: pd.DataFrame, column: str) -> float | None:
    known = rows[column].dropna() if column in rows else rows.iloc[:0, 0]
    return float(known.astype("float64").median()) if len(known) else None


def failure_table(findings: StudyVerdicts) -> Table | None:
    """Return the trials that are not complete; None where all are."""
    trials = findings.tables.trials
    columns: tuple[Column[Mapping[Any, Any]], ...] = (
        Column("arm", lambda row: str(row["arm"]), words=True),
        Column("block", lambda row: f"{row['block']}"),
        Column("status", lambda row: str(row["status"]), words=True, marked=True),
        Column("since step", lambda row: _known(row.get("failed_at_step"), ".0f")),
        Column("what happened", lambda row: _known(row.get("error")), words=True),
    )
    return table(
        "failures",
        "Trials that are not complete",
        "Counted and tested as outcomes, never dropped: see the columns on failures above.",
        columns,
        trials[trials["status"] != "complete"].to_dict("records"),
    )


def _known(value: Any, form: str = "") -> str:
    import pandas as pd

    return NONE if pd.isna(value) else f"{value:{form}}"


class _Measured(NamedTuple):
    """One metric of one arm's trials at the horizon."""

    metric: str
    arm: str
    rows: pd.DataFrame

    @property
    def value(self) -> float:
        """The mean over trials."""
        return float(self.rows["value"].mean())

    @property
    def floor(self) -> float:
        """The mean over trials."""
        return float(self.rows["floor"].mean())

    @property
    def sd(self) -> float | None:
        """Standard deviation of the values."""
        return float(self.rows["value"].std()) if len(self.rows) > 1 else None

    def counts(self, column: str) -> str:
        """Return every number of images that was used."""
        return joined(sorted({f"{int(n):,}" for n in self.rows[column].dropna()}))


def floor_table(findings: StudyVerdicts) -> Table | None:
    """Return, beside each metric that has one, its floor: real images against other real images; None without any."""
    study = findings.study
    columns: tuple[Column[_Measured], ...] = (
        Column("metric", lambda m: m.metric, words=True),
        Column("arm", lambda m: m.arm, words=True),
        Column("value", lambda m: spread(m.value, m.sd, len(m.rows)), optional=True),
        Column("floor", lambda m: short(m.floor), optional=True),
        Column("times the floor", lambda m: times(m.value / m.floor) if m.floor > 0 else NONE, optional=True),
        Column("real images", lambda m: m.counts("n_real"), optional=True),
        Column("generated images", lambda m: m.counts("n_fake"), optional=True),
        Column("bias", lambda m: short(_median(m.rows, "bias")), optional=True),
        Column("evaluation noise", lambda m: short(_median(m.rows, "evaluation_sd")), optional=True),
        Column("standard error", lambda m: short(_median(m.rows, "standard_error")), optional=True),
    )
    measured = tuple(_measured(findings))
    units = "; ".join(f"{name}: {metric_named(name).unit}" for name in dict.fromkeys(m.metric for m in measured))
    return table(
        "floors",
        "Distances beside their floors",
        f"{study.when.capitalize()}. Floor: the same metric of real images against others at the same count: "
        "what chance in the choice of images alone gives; where each generated image has its real one, as glyphs have, "
        "a value can lie below it. Bias: first-order bias at these counts; evaluation noise: spread over resamples "
        f"of the measured items. {units}.",
        columns,
        measured,
    )


def _measured(findings: StudyVerdicts) -> Iterator[_Measured]:
    """Yield the metrics that have a floor, arm by arm in the order of the study."""
    rows, trials = findings.tables.measurements, findings.tables.trials
    at = rows[(rows["step"] == findings.study.horizon) & rows["floor"].notna() & rows["value"].notna()]
    if not len(at):
        return
    at = at.merge(trials[["trial_id", "arm"]], on="trial_id")
    for metric in findings.study.measure.metrics:
        by_arm = dict(iter(at[at["metric"] == metric].groupby("arm")))
        yield from (_Measured(metric, arm.name, by_arm[arm.name]) for arm in findings.arms if arm.name in by_arm)


PROVENANCE = (
    ("code", "code_version"),
    ("data (digest)", "data_hash"),
    ("features of the primary metric", "feature_id"),
    ("device", "device"),
    ("threads per trial", "threads"),
    ("precision", "precision"),
    ("packages", "packages"),
)


class _Source(NamedTuple):
    """Something that the numbers come from."""

    what: str
    value: str


def provenance_table(findings: StudyVerdicts) -> Table | None:
    """Return what computed the rows: versions, digests, machine; a value for each where trials differ."""
    columns: tuple[Column[_Source], ...] = (
        Column("what", lambda source: source.what, words=True),
        Column("value", lambda source: source.value, words=True),
    )
    return table(
        "provenance",
        "Where the numbers come from",
        "Rows that differ in any of these may differ for that reason.",
        columns,
        (source for source in _sources(findings) if source.value),
        in_paper=False,
    )


def _sources(findings: StudyVerdicts) -> Iterator[_Source]:
    study, trials = findings.study, findings.tables.trials
    yield _Source("study", study.study)
    yield _Source("digest of its settings", study.hash)
    yield _Source("trials", f"{findings.trials_done} of {findings.trials_planned}")
    for name, column in PROVENANCE:
        values = sorted({_version(value) for value in trials[column].dropna().unique()}) if column in trials else []
        differ = f"{len(values)} different: " if len(values) > 1 else ""
        yield _Source(name, f"{differ}{'; '.join(values)}")
    if len(trials) and "wall_seconds" in trials:
        yield _Source("computing time", duration(float(trials["wall_seconds"].fillna(0).astype("float64").sum())))
        started = trials["started_at"].dropna()
        if len(started):
            yield _Source("trials begun (UTC)", f"{started.min():%Y-%m-%d %H:%M} to {started.max():%Y-%m-%d %H:%M}")
    for metric in map(metric_named, study.measure.metrics):
        note = f"; {metric.note}" if metric.note else ""
        yield _Source(metric.name, f"{metric.unit}, {metric.better} is better; {metric.citation}{note}")


def _version(value: Any) -> str:
    text = str(value)
    if not text.startswith("{"):
        return text
    return ", ".join(f"{name} {version}" for name, version in json.loads(text).items())
