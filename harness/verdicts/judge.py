"""What a study came to: stored rows in, verdicts out; reports and the terminal show this and compute nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.results.frozen import Amendment
from harness.results.schema import LOST, ArmPlan, is_trained
from harness.results.store import Store
from harness.results.tables import Tables
from harness.statistics import (
    Analysis,
    Contrast,
    Factorial,
    Margin,
    Verdict,
    analyse,
    factorial,
    false_discovery,
)
from harness.statistics.analysis import Provisional, Sensitivity
from harness.statistics.contrasts import closed, next_look
from harness.statistics.controls import Control
from harness.statistics.sensitivity import gated, gated_effects
from harness.study.design import Arm, arms, short_names
from harness.study.study import BASELINE, Study
from harness.verdicts import belonging
from harness.verdicts.amended_plan import provisional
from harness.verdicts.belonging import gated_by_provenance, gated_effects_by_provenance, with_features
from harness.verdicts.claims import SettledClaim, settle_claim
from harness.verdicts.health import StudyHealth, gated_by_health, gated_effects_by_health, is_cost
from harness.verdicts.measured_health import study_health
from harness.verdicts.rows import (
    failed_rows,
    identical_arms,
    values_of,
    whole_blocks,
)
from harness.verdicts.sensitivity import judged_controls, sensitivity
from harness.verdicts.shared_draws import in_words

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


def _costs(study: Study) -> dict[str, str]:
    """Return the columns of what a trial costs; of a command only the whole is known."""
    return COSTS if study.trial is None else {"time of a trial": "wall_seconds", "peak memory": "peak_bytes"}


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
    """Per metric, over the complete trials."""


@dataclass(frozen=True)
class MeanAndSd:
    """A metric over blocks: arithmetic mean and standard deviation."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class StudyVerdicts:
    """Everything that a study's rows say so far."""

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
    health: StudyHealth | None
    """Whether each arm learned; None before the baseline has a row."""
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
    def main_effects(self) -> tuple[Contrast, ...]:
        """The contrasts of main effects; none in designs that vary one factor at a time."""
        return () if self.effects is None else self.effects.main

    @property
    def open_arms(self) -> tuple[str, ...]:
        """The arms other than controls that need further blocks, to be trained with the baseline."""
        compared = tuple(arm.name for arm in self.arms if arm.control is None)
        if self.primary is None:
            return compared
        if self.study.design.kind != "one_factor":
            # An effect takes every arm of a block, so all go on until the last main effect is decided.
            return () if self.effects is not None and self.effects.decided else compared
        return next_look(self.primary)[1]

    @property
    def sound(self) -> bool:
        """Whether the pairs and the error rate can be trusted: no negative control was told apart."""
        return all(control.passed is not False for control in self.controls if control.kind != "positive")

    @property
    def open_controls(self) -> tuple[str, ...]:
        """The controls that need further blocks.

        Those that are not decided, while arms are compared; when no arm needs blocks any more, a positive one on which
        a verdict waits, and those that have fewer blocks than the first look, since they were added later.
        """
        undecided = {arm.name for arm in self.arms if arm.control} - {c.arm for c in self.controls if c.decided}
        if self.open_arms:
            return tuple(arm.name for arm in self.arms if arm.name in undecided)
        waiting = Verdict.NOT_SENSITIVE in {c.verdict for c in (*self.contrasts, *self.main_effects)}
        first = self.study.design.goals[0]
        return tuple(
            arm.name
            for arm in self.arms
            if arm.name in undecided and (arm.blocks < first or (waiting and arm.control == "positive"))
        )

    def disagreeing(self, contrast: Contrast) -> tuple[tuple[str, Verdict], ...]:
        """Return the other metrics by which a decided arm helps or hurts, where the primary one does not say so."""
        if not contrast.decided or contrast.verdict is Verdict.INVALID:
            return ()
        others = ((a.metric, c.verdict) for a in self.others for c in a.contrasts if c.arm == contrast.arm)
        return tuple((m, v) for m, v in others if v in (Verdict.HELPS, Verdict.HURTS) and v is not contrast.verdict)

    def disagreements(self) -> list[str]:
        """Return a sentence for each arm of which another metric says something else than the primary one."""
        first = self.study.measure.primary
        by_arm = {c.arm: [(first, c.verdict), *others] for c in self.contrasts if (others := self.disagreeing(c))}
        return [f"'{arm}' {', '.join(f'{v} by {m}' for m, v in said)}." for arm, said in by_arm.items()]


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
    plan, every, trials = plan or {}, arms(study), tables.trials
    trained = [arm for arm in every if is_trained(study, arm, plan.get(arm.name))]
    summaries = tuple(_summary(arm, trials, plan, study.measure.metrics) for arm in every)
    blocks = study.design.most_blocks
    counted = trials[trials["status"] != LOST]  # the machine's failures are nobody's
    # Controls are judged by themselves: a study is whole without them, and one that was added later takes nothing away.
    compared = {arm.name for arm in every if arm.control is None}
    whole = whole_blocks(
        study, counted[counted["arm"].isin(compared)], {arm.name for arm in trained if arm.control is None}
    )
    changed = provisional(tables.frozen)
    identical = identical_arms(tables, whole, study.measure.primary)
    analyses = [_analysis(study, whole, every, plan, metric, identical, changed) for metric in study.measure.metrics]
    metrics = study.measure.metrics
    mixed = {m: belonging.gates(study, with_features(counted, tables, m), every) for m in metrics}
    sensitivities = {m: sensitivity(study, counted, every, plan, m, mixed[m]) for m in metrics}
    health = study_health(study, tables, counted, every)
    analyses = [None if a is None else _gated(a, sensitivities[a.metric], health, mixed[a.metric]) for a in analyses]

    def effects_on(metric: str) -> Factorial | None:
        of_metric = _effects(study, whole, every, metric)
        if of_metric is None:
            return None
        of_metric = gated_effects_by_provenance(of_metric, mixed[metric], compared)
        if is_cost(metric_named(metric)):
            return of_metric
        of_metric = gated_effects(of_metric, sensitivities[metric])
        return of_metric if health is None else gated_effects_by_health(of_metric, health, compared)

    effects = effects_on(study.measure.primary)
    primary, rest = analyses[0], [analysis for analysis in analyses[1:] if analysis is not None]
    if primary is not None:
        decided = {c.arm for c in primary.contrasts if c.decided}
        rest = [closed(analysis, decided) for analysis in rest]
        if effects is not None and effects.next_look is None:
            primary = closed(primary, {c.arm for c in primary.contrasts})
    others = false_discovery(rest)
    by_metric = {a.metric: a for a in (primary, *others) if a is not None}
    return StudyVerdicts(
        study=study,
        arms=summaries,
        trials_done=len(trials),
        trials_planned=len(trained) * blocks,
        primary=primary,
        others=others,
        effects=effects,
        controls=judged_controls(study, tables, counted, every, mixed[study.measure.primary]),
        health=health,
        claims=tuple(settle_claim(study, claim, whole, by_metric, effects_on, sensitivities) for claim in study.claims),
        notes=(*map(str, tables.left_out), *_notes(study, tables, trials, every)),
        history=tables.frozen.history,
        tables=tables,
    )


def _gated(analysis: Analysis, shown: Sensitivity, health: StudyHealth | None, mixed: Mapping[str, str]) -> Analysis:
    """Return an analysis judged where the experiment could have told, learned something, and has rows that match."""
    if not is_cost(metric_named(analysis.metric)):
        analysis = gated(analysis, shown)
        analysis = analysis if health is None else gated_by_health(analysis, health)
    return gated_by_provenance(analysis, mixed) if mixed else analysis


def _effects(study: Study, trials: pd.DataFrame, every: tuple[Arm, ...], name: str) -> Factorial | None:
    """Return main effects and interactions; None for other designs, and where a level has no value yet."""
    axes = {f"arm_{axis}": short for axis, short in short_names(study.axes).items()}
    compared = {arm.name for arm in every if arm.control is None}
    rows = trials[trials["arm"].isin(compared)]
    if study.design.kind == "one_factor" or not axes.keys() <= set(rows) or rows["arm"].nunique() < len(compared):
        return None
    metric = metric_named(name)
    table = rows.rename(columns=axes).assign(failed=failed_rows(rows))
    if not (table[metric.name].notna() & ~table["failed"]).any():
        return None
    return factorial(
        table[["block", *axes.values(), metric.name, "failed"]],
        factors=list(axes.values()),
        unit="block",
        value=metric.name,
        failed="failed",
        scale=metric.scale,
        better=metric.better,
        margin=Margin.parse(study.measure.margin_of(name)),
        looks=study.design.looks,
        first={short_names(study.axes)[axis]: next(iter(study.levels(axis))) for axis in study.axes},
        where=f"study {study.study}",
    )


def _summary(arm: Arm, trials: pd.DataFrame, plan: Mapping[str, ArmPlan], metrics: tuple[str, ...]) -> ArmSummary:
    rows = trials[trials["arm"] == arm.name]
    complete = rows[~failed_rows(rows)]
    values = {}
    for metric in metrics:
        column = complete[metric].dropna().astype("float64") if metric in complete else complete.get("missing")
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
    study: Study,
    trials: pd.DataFrame,
    every: tuple[Arm, ...],
    plan: Mapping[str, ArmPlan],
    metric: str,
    identical: frozenset[str],
    changed: Provisional | None,
) -> Analysis | None:
    """Return the contrasts of one metric, controls left out; None while there is nothing to compare."""
    compared = [arm.name for arm in every if arm.control is None]
    given = _given(study, every, plan)
    rows = trials[trials["arm"].isin(compared) & ~trials["arm"].isin(given)]
    if BASELINE not in set(rows["arm"]) or (rows["arm"].nunique() < 2 and not given):
        return None
    described = metric_named(metric)
    primary = metric == study.measure.primary
    medians = rows.groupby("arm")[list(_costs(study).values())].median()
    costs = {
        name: {str(arm): float(cost) for arm, cost in medians[column].dropna().items()}
        for name, column in _costs(study).items()
    }
    analysis = analyse(
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
        identical=identical,
        provisional=changed,
        where=f"study {study.study}",
    )
    order = [arm.name for arm in every]
    return replace(analysis, contrasts=tuple(sorted(analysis.contrasts, key=lambda c: order.index(c.arm))))


def _given(study: Study, every: tuple[Arm, ...], plan: Mapping[str, ArmPlan]) -> dict[str, tuple[Verdict, str]]:
    """Return the arms that preflight settled, and that are not trained."""
    verdicts = {"no-op": Verdict.NO_OP, "invalid": Verdict.INVALID}
    return {
        arm.name: (verdicts[of_arm.proof], of_arm.reason or "")
        for arm in every
        if arm.control is None
        and (of_arm := plan.get(arm.name)) is not None
        and of_arm.proof in verdicts
        and not is_trained(study, arm, plan.get(arm.name))
    }


def _notes(study: Study, tables: Tables, trials: pd.DataFrame, every: Sequence[Arm]) -> tuple[str, ...]:
    """Return what is to be said of rows that differ in what computed them, and of what arms drew alike."""
    shared = (in_words(arm, of_arm) for arm, of_arm in tables.shared_draws.items())
    return (*belonging.notes(study, with_features(trials, tables, study.measure.primary), every), *shared)
