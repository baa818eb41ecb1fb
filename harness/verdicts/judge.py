"""What a study found: stored rows in, verdicts out; reports and the terminal show this and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.results.frozen import Amendment
from harness.results.schema import LOST, REACHED_HORIZON, ArmPlan
from harness.results.store import Store, Tables
from harness.statistics import (
    Analysis,
    Contrast,
    Factorial,
    Margin,
    Verdict,
    analyse,
    controls,
    factorial,
    false_discovery,
)
from harness.statistics.claims import settle
from harness.statistics.controls import Control
from harness.study.design import Arm, arms, short_names
from harness.study.study import BASELINE, Claim, Study

if TYPE_CHECKING:
    import pandas as pd

COSTS = {
    "parameters of D": "parameters_d",
    "parameters of G": "parameters_g",
    "multiply-adds of D": "macs_d",
    "multiply-adds of G": "macs_g",
    "time per step": "seconds_per_step",
    "peak memory": "peak_bytes",
}


@dataclass(frozen=True)
class ArmSummary:
    """One arm over its blocks."""

    name: str
    levels: Mapping[str, str]
    control: str | None
    plan: ArmPlan | None
    """What preflight found, where it was run."""
    blocks: int
    """Trials with a row."""
    statuses: Mapping[str, int]
    values: Mapping[str, MeanAndSd]
    """Per metric, over the trials that reached the horizon."""


@dataclass(frozen=True)
class MeanAndSd:
    """A metric over blocks."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class SettledClaim:
    """A claim and what became of it."""

    claim: Claim
    metric: str
    verdict: str | None
    outcome: str
    """supported, contradicted or not settled."""


@dataclass(frozen=True)
class StudyVerdicts:
    """Everything that a study found so far."""

    study: Study
    arms: tuple[ArmSummary, ...]
    trials_done: int
    trials_planned: int
    primary: Analysis | None
    """None before there are two arms to compare."""
    others: tuple[Analysis, ...]
    """Further metrics, exploratory."""
    effects: Factorial | None
    """Main effects and interactions on the primary metric, of factorial and fractional designs."""
    controls: tuple[Control, ...]
    claims: tuple[SettledClaim, ...]
    notes: tuple[str, ...]
    history: tuple[Amendment, ...]
    """Changes of the study after its first row; what follows one that was made after the fact is provisional."""
    tables: Tables = field(repr=False, compare=False)
    """The rows that were judged: a report shows these, also while a driver adds others."""

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """The contrasts of the primary metric; none before there are two arms to compare."""
        return () if self.primary is None else self.primary.contrasts

    @property
    def sound(self) -> bool:
        """Whether every control that was judged came out as it must."""
        return all(control.passed is not False for control in self.controls)


def values_of(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return unit, arm, value and failed of one metric from trial rows."""
    import pandas as pd

    failed = ~trials["status"].isin(REACHED_HORIZON) & (metric != "failures")
    return pd.DataFrame(
        {
            "unit": trials["block"],
            "arm": trials["arm"],
            "value": trials[metric].where(~failed).astype("float64") if metric in trials else float("nan"),
            "failed": failed,
        }
    )


def judge_stored(results: Store | Path) -> tuple[Store, StudyVerdicts]:
    """Return the store of a study's results, with what is at its URI, and what its rows say.

    Raises:
        StoreError: The folder holds no study.
    """
    store = (results if isinstance(results, Store) else Store(results)).fetched()
    tables = store.tables()
    return store, judge(tables.frozen.study, tables, store.plan())


def judge(study: Study, tables: Tables, plan: Mapping[str, ArmPlan] | None = None) -> StudyVerdicts:
    """Judge a study's rows.

    Args:
        study: As it was frozen.
        tables: Its rows.
        plan: What preflight said of each arm.
    """
    plan, trials = plan or {}, tables.trials
    every = arms(study)
    trained = [arm for arm in every if _trained(study, arm, plan)]
    summaries = tuple(_summary(arm, trials, plan, study.measure.metrics) for arm in every)
    blocks = study.design.most_blocks
    counted = trials[trials["status"] != LOST]  # the machine's failures are nobody's
    whole = whole_blocks(study, counted, {arm.name for arm in trained})
    primary = _analysis(study, whole, every, plan, study.measure.primary)
    rest = [_analysis(study, whole, every, plan, metric) for metric in study.measure.metrics[1:]]
    others = false_discovery([found for found in rest if found is not None])
    analyses = {a.metric: a for a in (primary, *others) if a is not None}
    return StudyVerdicts(
        study=study,
        arms=summaries,
        trials_done=len(trials),
        trials_planned=len(trained) * blocks,
        primary=primary,
        others=others,
        effects=_effects(study, whole, every),
        controls=_controls(study, tables, every),
        claims=tuple(_settle(study, claim, analyses) for claim in study.claims),
        notes=_notes(study, trials),
        history=tables.frozen.history,
        tables=tables,
    )


def whole_blocks(study: Study, trials: pd.DataFrame, trained: set[str]) -> pd.DataFrame:
    """Return the rows of the blocks in which every arm that is still asked for has its row.

    Up to the first look (or without looks) all arms are; after a look, those that have a row since. An interrupted
    study thus neither counts trials to come as lost nor lets the quicker arms lead.
    """
    kept = []
    start = 0
    for goal in study.design.goals:
        part = trials[(trials["block"] >= start) & (trials["block"] < goal)]
        asked = trained if start == 0 else set(trials.loc[trials["block"] >= start, "arm"])
        present = part[part["arm"].isin(asked)].groupby("block")["arm"].nunique()
        kept += [block for block, count in present.items() if count == len(asked)]
        start = goal
    return trials[trials["block"].isin(kept)]


def _effects(study: Study, trials: pd.DataFrame, every: tuple[Arm, ...]) -> Factorial | None:
    """Return main effects and interactions; None for other designs, and where a level has no value yet."""
    axes = {f"arm_{axis}": short for axis, short in short_names(study.axes).items()}
    compared = {arm.name for arm in every if arm.control is None}
    rows = trials[trials["arm"].isin(compared)]
    if study.design.kind == "one_factor" or not axes.keys() <= set(rows) or rows["arm"].nunique() < len(compared):
        return None
    metric = metric_named(study.measure.primary)
    table = rows.rename(columns=axes).assign(failed=~rows["status"].isin(REACHED_HORIZON))
    measured = table[~table["failed"] & table[metric.name].notna()]
    if any(measured[axis].nunique() < 2 for axis in axes.values()):
        # Every trial with some level has failed so far: the arms' own contrasts say so, no effect can be computed.
        return None
    return factorial(
        table[["block", *axes.values(), metric.name, "failed"]],
        factors=list(axes.values()),
        unit="block",
        value=metric.name,
        failed="failed",
        scale=metric.scale,
        better=metric.better,
        margin=Margin.parse(study.measure.margin),
        first={short_names(study.axes)[axis]: next(iter(study.levels(axis))) for axis in study.axes},
        where=f"study {study.study}",
    )


def _trained(study: Study, arm: Arm, plan: Mapping[str, ArmPlan]) -> bool:
    found = plan.get(arm.name)
    return found is None or found.trained(train_no_ops=study.train_no_ops or arm.control is not None)


def _summary(arm: Arm, trials: pd.DataFrame, plan: Mapping[str, ArmPlan], metrics: tuple[str, ...]) -> ArmSummary:
    rows = trials[trials["arm"] == arm.name]
    reached = rows[rows["status"].isin(REACHED_HORIZON)]
    values = {}
    for metric in metrics:
        column = reached[metric].dropna().astype("float64") if metric in reached else reached.get("missing")
        if column is not None and len(column):
            values[metric] = MeanAndSd(
                float(column.mean()), float(column.std()) if len(column) > 1 else None, len(column)
            )
    return ArmSummary(
        name=arm.name,
        levels=arm.levels,
        control=arm.control,
        plan=plan.get(arm.name),
        blocks=len(rows),
        statuses={str(k): int(v) for k, v in rows["status"].value_counts().sort_index().items()},
        values=values,
    )


def _analysis(
    study: Study, trials: pd.DataFrame, every: tuple[Arm, ...], plan: Mapping[str, ArmPlan], metric: str
) -> Analysis | None:
    """Return the contrasts of one metric, controls left out; None while there is nothing to compare."""
    compared = [arm.name for arm in every if arm.control is None]
    given = _given(study, every, plan)
    rows = trials[trials["arm"].isin(compared) & ~trials["arm"].isin(given)]
    if BASELINE not in set(rows["arm"]) or (rows["arm"].nunique() < 2 and not given):
        return None
    described = metric_named(metric)
    primary = metric == study.measure.primary
    costs = {
        name: {
            str(arm): float(group[column].median()) for arm, group in rows.groupby("arm") if group[column].notna().any()
        }
        for name, column in (COSTS.items() if primary else ())
    }
    found = analyse(
        values_of(rows, metric),
        baseline=BASELINE,
        better=described.better,
        scale=described.scale,
        margin=Margin.parse(study.measure.margin_of(metric)),
        looks=study.design.looks,
        metric=metric,
        family="primary" if primary else "exploratory",
        costs=costs if primary else None,
        given=given,
        where=f"study {study.study}",
    )
    order = [arm.name for arm in every]
    return replace(found, contrasts=tuple(sorted(found.contrasts, key=lambda c: order.index(c.arm))))


def _given(study: Study, every: tuple[Arm, ...], plan: Mapping[str, ArmPlan]) -> dict[str, tuple[Verdict, str]]:
    """Return the arms that preflight settled, and that are not trained."""
    verdicts = {"no-op": Verdict.NO_OP, "invalid": Verdict.INVALID}
    return {
        arm.name: (verdicts[found.proof], found.reason or "")
        for arm in every
        if arm.control is None
        and (found := plan.get(arm.name)) is not None
        and found.proof in verdicts
        and not _trained(study, arm, plan)
    }


def _controls(study: Study, tables: Tables, every: tuple[Arm, ...]) -> tuple[Control, ...]:
    """Judge the arms whose outcome is known beforehand."""
    metric = metric_named(study.measure.primary)
    present = set(tables.trials["arm"])
    if BASELINE not in present:
        return ()
    judged: list[Control] = []
    for arm in every:
        if arm.control is None or arm.name not in present:
            continue
        table = values_of(tables.trials, study.measure.primary)
        match arm.control:
            case "a/a":
                judged.append(
                    controls.a_a(table, arm=arm.name, baseline=BASELINE, better=metric.better, scale=metric.scale)
                )
            case "planted-harm":
                judged.append(
                    controls.planted_harm(
                        table, arm=arm.name, baseline=BASELINE, better=metric.better, scale=metric.scale
                    )
                )
            case "one-ulp":
                judged.append(
                    controls.one_ulp(
                        _by_step(tables, study.measure.primary),
                        arm=arm.name,
                        baseline=BASELINE,
                        better=metric.better,
                        scale=metric.scale,
                    )
                )
            case _:
                judged.append(controls.no_op(table, arm=arm.name, baseline=BASELINE))
    return tuple(judged)


def _by_step(tables: Tables, metric: str) -> dict[int, pd.DataFrame]:
    """Return unit, arm and value of one metric at each measured step."""
    measured = tables.measurements[tables.measurements["metric"] == metric]
    rows = measured.merge(tables.trials[["trial_id", "block", "arm"]], on="trial_id")
    renamed = rows.rename(columns={"block": "unit"})
    return {step: part[["unit", "arm", "value"]] for step, part in renamed.groupby("step")}  # type: ignore[misc]


def _settle(study: Study, claim: Claim, analyses: Mapping[str, Analysis]) -> SettledClaim:
    """Say what became of a claim."""
    metric = claim.metric or study.measure.primary
    found = next((c for c in analyses[metric].contrasts if c.arm == claim.arm), None) if metric in analyses else None
    if found is None:
        return SettledClaim(claim, metric, None, "not settled")
    return SettledClaim(claim, metric, found.verdict, settle(claim.expect, found.verdict))


def _notes(study: Study, trials: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    features, data = trials["feature_id"].dropna().unique(), trials["data_hash"].dropna().unique()
    if len(features) > 1:
        notes.append(
            f"{study.measure.primary}: rows with different features ({', '.join(sorted(features))}) do not compare."
        )
    if len(data) > 1 and not any(axis.startswith("data.") for axis in study.axes):
        notes.append("Trials were computed on different data; their blocks do not match.")
    return tuple(notes)
