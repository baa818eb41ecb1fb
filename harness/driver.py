"""Running a study: preflight, trials handed to an executor, rows stored, verdicts asked for, and whether to go on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, MissingExtraError, StoreError
from harness.executors.base import Compute, Event, Executor, Finished, Lost, Place, Started
from harness.executors.in_process import InProcess
from harness.metrics.catalogue import metric_named, missing_extra
from harness.preflight.stage import Stage, stage
from harness.provenance import OWN, code_version, environment, own_sources, package_versions, sources_digest
from harness.results.running import Running
from harness.results.schema import LOST, ArmPlan, TrialRows, is_trained
from harness.results.store import Store
from harness.study.design import Arm, Trial, arms, own_code, trials
from harness.study.settings import DataSettings
from harness.study.study import BASELINE, Study
from harness.study_folder import study_folder
from harness.trial.task import TrialProgress, TrialTask
from harness.verdicts.belonging import MIXED, mixed_blocks
from harness.verdicts.judge import StudyVerdicts, judge

if TYPE_CHECKING:
    from harness.scripts.sources import Sources


@dataclass(frozen=True)
class Planned:
    """What is about to be done."""

    study: Study
    arms: tuple[Arm, ...]
    plans: tuple[ArmPlan, ...]
    notes: tuple[str, ...]
    """Of the data: what was dropped, and why."""
    trials: tuple[Trial, ...]
    done: int
    """Trials that have their row already."""
    estimated_seconds: float | None


@dataclass(frozen=True)
class Stored:
    """A trial's row is on the disk."""

    task: TrialTask
    rows: TrialRows


@dataclass(frozen=True)
class Retried:
    """A trial was lost, perhaps to a cause that is not its own, and is begun again in another process."""

    task: TrialTask
    reason: str


@dataclass(frozen=True)
class SetAside:
    """A damaged file was renamed; its trial is computed again."""

    path: Path


@dataclass(frozen=True)
class Removed:
    """A trial's row was removed, as its status was asked to be tried again."""

    trial_id: str


@dataclass(frozen=True)
class LookDone:
    """A look on the study's schedule."""

    findings: StudyVerdicts
    blocks: int
    open_arms: tuple[str, ...]


Happening = Event | Stage | Planned | Stored | Retried | SetAside | Removed | LookDone
Watch = Callable[[Happening], None]


@dataclass(frozen=True)
class Shard:
    """Whole blocks of a study, for array jobs: those whose number leaves `index` when divided by `of`."""

    index: int = 0
    of: int = 1

    def blocks(self, most: int) -> tuple[int, ...]:
        """Return this shard's block numbers below `most`."""
        return tuple(block for block in range(most) if block % self.of == self.index)


AGAIN = ("failed", "oom")
"""Statuses that can be the doing of another trial in the same process."""
PLANNED = ("parameters", "macs", "matched_fraction")
"""What a plan says of both networks of an arm, and its rows too."""
FOLD_EVERY = 256
"""Trials between updates of the caches that make reading fast."""


class Driver:
    """The only writer of one study's tables."""

    def __init__(
        self,
        study: Study,
        results: str | Path,
        *,
        executor: Executor,
        watch: Watch,
        shard: Shard | None = None,
        retry: Sequence[str] = (),
    ) -> None:
        self.study = study
        self.store = Store.at(results, study.results_name)
        self.cache = self.store.folder.parent / ".cache"
        self.executor = executor
        self.watch = watch
        self.shard = shard or Shard()
        self.retry = retry
        self.arms = arms(study)
        self.study_hash = study.hash
        self.doors = own_code(study, self.arms)
        self.plans: dict[str, ArmPlan] = {}
        self.kept = 0
        self.sources: Sources | None = None
        self._judged: StudyVerdicts | None = None
        self._running = Running(self.store.folder)

    def run(self) -> StudyVerdicts:
        """Compute every trial that has no row yet, and judge.

        Raises:
            HarnessError: The folder is in use, not writable or another study's; the data is missing.
        """
        with self.store.held(), closing(self._running):
            self.store.freeze(self.study, environment())
            for path in self.store.set_aside_damaged():
                self.watch(SetAside(path))
            again = self._to_compute_again()
            self.store.remove_rows(again)
            for trial_id in again:
                self.watch(Removed(trial_id))
            self._refuse_changed_code()
            goals = self.study.design.goals
            plan = self._plan_before()
            if plan is not None and not self._missing(self._open_arms(), goals[-1]):
                self._announce(plan)
                return self.findings()
            if plan is not None and (plan["timed_on"] != self._timed_on() or self.doors):
                plan = None
            expected = len(self._missing(self.arms, goals[0]))
            with self._laid_out(), self.executor.opened(self._place(), expected) as compute:
                self._announce(self._plan() if plan is None or self.sources is not None else plan)
                for goal in goals:
                    self._compute(self._missing(self._open_arms(), goal), compute)
                    if self.study.design.looks and self.shard.of == 1:
                        findings = self.findings()
                        self.watch(LookDone(findings, goal, tuple(arm.name for arm in self._open_arms())))
            return self.findings()

    def _write_shared_draws(self) -> None:
        """Write down what the arms drew that the baseline drew too, as far as that was traced."""
        from harness.scripts.shared_draws import shared_draws

        assert self.sources is not None
        if shared := shared_draws(self.arms, self.store.folder, self.sources.changed):
            self.store.write_file("shared_draws.json", json.dumps(shared, indent=1, ensure_ascii=False).encode())
            self._judged = None

    @contextmanager
    def _laid_out(self) -> Iterator[None]:
        """Keep what trials that are commands run, where they are, until the study is done."""
        if self.study.trial is None:
            yield
            return
        from harness.scripts.sources import Sources

        self.sources = Sources(self.study, self.arms, self.store.folder)
        try:
            yield
        finally:
            self._write_shared_draws()
            done = not self._missing(self._open_arms(), self.study.design.goals[-1])
            self.sources.remove(everything=done)

    def _refuse_changed_code(self) -> None:
        """Refuse to go on where a user's own code is not what the rows so far were computed by.

        Raises:
            HarnessError: It changed since.
        """
        if not self.doors:
            return
        now = {arm.name: code_version(own_code(self.study, (arm,))).partition(OWN)[2] for arm in self.arms}
        rows = self.store.trials()
        stored = zip(rows.get("arm", ()), rows.get("code_version", ()), strict=True)
        own = [(now.get(str(arm), ""), str(version).partition(OWN)[2]) for arm, version in stored]
        changed = sum(digest != was for digest, was in own if digest and was)
        if changed:
            files = ", ".join(own_sources(self.doors))
            raise HarnessError(
                f"your own code changed since {changed} trials were computed ({files}); put it back, or give the study "
                f"another name, e.g. --set study={self.study.study}-2"
            )

    def _to_compute_again(self) -> list[str]:
        """Return the trials whose status, or whose place among rows that do not belong together, is to be retried."""
        if not self.retry:
            return []
        tables = self.store.tables()
        again = [str(name) for name in tables.trials.loc[tables.trials["status"].isin(self.retry), "trial_id"]]
        mixed = mixed_blocks(self.study, tables, self.arms) if MIXED in self.retry else []
        return list(dict.fromkeys((*again, *mixed)))

    def findings(self) -> StudyVerdicts:
        """Judge the rows so far."""
        if self._judged is None:
            self._judged = judge(self.study, self.store.tables(), self.plans)
        return self._judged

    def _plan_before(self) -> dict[str, Any] | None:
        """Take over the plan of a run before, and return it; None where the study or the code was another.

        Proofs and times take seconds and torch, which a study that is finished does without.
        """
        try:
            plan, plans = self.store.plan_document(), self.store.plan()
        except StoreError:
            return None
        if plan.get("of") != self._planned():
            return None
        self.plans = plans
        return plan

    def _planned(self) -> dict[str, Any]:
        """Return what a plan is of: settings and code, but for the user's own."""
        text = self.study.model_dump_json(exclude={"question", "claims", "runner"})
        settings = hashlib.sha256(text.encode()).hexdigest()
        return {"settings": settings, "sources": sources_digest(), "packages": package_versions()}

    def _timed_on(self) -> dict[str, Any]:
        """Return what the times of a plan depend on beside what it is of."""
        return {**environment(), "host": platform.node(), "workers": self.executor.workers}

    def _plan(self) -> dict[str, Any]:
        """Load the data, prove what can be proved, write it down and return it."""
        if self.sources is not None:
            return self._plan_of_commands(self.sources)
        from harness.data import load
        from harness.preflight.preflight import preflight
        from harness.preflight.refusal import refuse_if_nothing_can_be_compared

        for name in self.study.measure.metrics:
            if missing := missing_extra(metric_named(name)):
                raise MissingExtraError(missing)
        plan = preflight(
            self.study,
            self.arms,
            cache=self.cache,
            workers=self.executor.workers or 1,
            alone=isinstance(self.executor, InProcess),
            announce=self.watch,
        )
        refuse_if_nothing_can_be_compared(self.study, plan.arms)
        self.plans = {of_arm.arm: of_arm for of_arm in plan.arms}
        notes = [note for settings in _distinct_data(self.arms) for note in load(settings, self.cache).notes]
        self._measure_references()
        document = {
            **plan.document(),
            "notes": list(dict.fromkeys(notes)),
            "of": self._planned(),
            "timed_on": self._timed_on(),
        }
        self.store.write_file("plan.json", json.dumps(document, indent=1, ensure_ascii=False).encode())
        return document

    def _plan_of_commands(self, sources: Sources) -> dict[str, Any]:
        """Say what will be run, lay it out, write the plan down and return it."""
        for name in self.study.measure.metrics:
            if missing := missing_extra(metric_named(name)):
                raise MissingExtraError(missing)
        self.plans = {plan.arm: plan for plan in sources.plans()}
        sources.lay_out(self._trained())
        document = {
            **sources.document(),
            "notes": list(sources.notes()),
            "of": self._planned(),
            "timed_on": self._timed_on(),
        }
        self.store.write_file("plan.json", json.dumps(document, indent=1, ensure_ascii=False).encode())
        return document

    def _measure_references(self) -> None:
        """Measure once for a study what networks that learned nothing give, and write it down."""
        from harness.trial.references import references

        if self.store.references() is None:
            baseline = self.arms[0]
            with stage("references", self.watch) as say:
                measured = references(
                    baseline.settings, self.study.measure, streams=baseline.streams(0), cache=self.cache
                )
                say("" if measured is None else f"{measured.metric} of networks that learned nothing is known")
            document = None if measured is None else dataclasses.asdict(measured)
            self.store.write_file("references.json", json.dumps(document, indent=1).encode())

    def _announce(self, plan: Mapping[str, Any]) -> None:
        """Say what will be done."""
        notes = list(plan["notes"])
        if self.doors:
            notes.append(f"your own code: {', '.join(self.doors)}")
        first = trials(self._trained(), self.shard.blocks(self.study.design.goals[0]))
        done = self.store.done()
        self.watch(
            Planned(
                self.study,
                self.arms,
                tuple(self.plans.values()),
                tuple(notes),
                first,
                sum(trial.trial_id in done for trial in first),
                plan.get("estimated_seconds"),
            )
        )

    def _trained(self) -> tuple[Arm, ...]:
        """Return the arms that are worth training."""
        return tuple(arm for arm in self.arms if is_trained(self.study, arm, self.plans.get(arm.name)))

    def _open_arms(self) -> tuple[Arm, ...]:
        """Return the arms that the next look needs: all before the first look, then the baseline and what is open."""
        trained = self._trained()
        # A shard sees its own blocks only, and looks at them would not be the study's: the merged rows are judged.
        if self.study.design.looks is None or self.shard.of > 1:
            return trained
        findings = self.findings()
        if findings.primary is None:
            return trained
        needed = {*findings.open_arms, *findings.open_controls}
        return tuple(arm for arm in trained if arm.name in needed or (arm.name == BASELINE and needed))

    def _place(self) -> Place:
        """Return where trials keep what they need."""
        runner = self.study.runner
        return Place(
            cache=self.cache.absolute(),
            checkpoints=self.store.folder.absolute() / "checkpoints",
            checkpoint_every=runner.checkpoint_every,
            trial_timeout=runner.trial_timeout,
            beside=study_folder(),
        )

    def _missing(self, chosen: Sequence[Arm], blocks: int) -> list[Trial]:
        """Return the trials of some arms, in this shard's blocks up to a number, that have no row."""
        done = self.store.done()
        return [t for t in trials(chosen, self.shard.blocks(blocks)) if t.trial_id not in done]

    def _compute(self, missing: Iterable[Trial], compute: Compute) -> None:
        """Compute trials, again where that may come to something else."""
        tasks, tried = [self._task(trial) for trial in missing], set[str]()
        while tasks:
            again: list[TrialTask] = []
            with closing(compute(tasks)) as events:
                for event in events:
                    self._note_what_runs(event)
                    self.watch(event)
                    if isinstance(event, Lost) and self._is_begun_again(event, tried):
                        again.append(dataclasses.replace(event.task, attempts=event.task.attempts + 1))
                        self.watch(Retried(event.task, event.message))
                    elif isinstance(event, (Finished, Lost)):
                        rows = event.rows if isinstance(event, Finished) else self._lost(event)
                        if event.printed:
                            self.store.write_file(f"printed/{event.task.trial_id}.txt", event.printed.encode())
                        self._keep(event.task, rows)
            tasks = again

    def _note_what_runs(self, event: Event) -> None:
        match event:
            case Started(task):
                self._running.started(task.trial_id, task.arm, task.block)
            case TrialProgress(trial_id, step, steps) if steps > 1:
                self._running.progress(trial_id, step, steps)
            case Finished(task) | Lost(task):
                self._running.ended(task.trial_id)
            case _:
                pass

    def _is_begun_again(self, lost: Lost, tried: set[str]) -> bool:
        """Whether a trial deserves another attempt; one that failed by itself gets a single one, in a new process."""
        if lost.status == LOST:
            return lost.task.attempts <= self.study.runner.retries
        if lost.status not in AGAIN or lost.task.trial_id in tried:
            return False
        tried.add(lost.task.trial_id)
        return True

    def _keep(self, task: TrialTask, rows: TrialRows) -> None:
        self.store.write(rows, axes=list(self.study.axes), metrics=self.study.measure.measured)
        (self.store.folder / "checkpoints" / f"{task.trial_id}.pt").unlink(missing_ok=True)
        self._judged = None
        self.kept += 1
        if self.kept % FOLD_EVERY == 0:
            self.store.fold()
        self.watch(Stored(task, rows))

    def _task(self, trial: Trial) -> TrialTask:
        arm, measure = trial.arm, self.study.measure
        if arm.control is not None and arm.control != "one-ulp":
            measure = measure.at_the_horizon(arm.settings.steps)
        return TrialTask(
            trial_id=trial.trial_id,
            study=self.study.study,
            study_hash=self.study_hash,
            arm=arm.name,
            levels=arm.levels,
            block=trial.block,
            streams=arm.streams(trial.block),
            baseline_streams=self.arms[0].streams(trial.block),
            doors=own_code(self.study, (arm,)),
            settings=arm.settings,
            baseline=self.arms[0].settings,
            measure=measure,
            control=arm.control,
            command=None if self.sources is None else self.sources.task(trial),
        )

    def _lost(self, lost: Lost) -> TrialRows:
        """Return the row of a trial that gave none: a status, never a number."""
        task = lost.task
        if lost.traceback:
            self.store.write_file(f"errors/{task.trial_id}.txt", lost.traceback.encode())
        where = f" (traceback: {self.store.folder / 'errors' / task.trial_id}.txt)" if lost.traceback else ""
        plan = self.plans.get(task.arm)
        sizes = (
            {}
            if plan is None
            else {f"{n}_{net}": getattr(plan, f"{n}_{net}") for n in PLANNED for net in "gd"}
            | {"matched_fraction": plan.matched_fraction}
        )
        row = {
            **task.row(),
            "status": lost.status,
            "error": f"{lost.message}{where}",
            **sizes,
            "code_version": code_version(task.doors),
            "packages": json.dumps(environment()["packages"]),
        }
        measurements = tuple(
            {"trial_id": task.trial_id, "step": step, "metric": metric, "value": None}
            for step in task.measure.steps(task.settings.steps)
            for metric in task.measure.measured
        )
        return TrialRows(row, measurements)


def _distinct_data(chosen: Iterable[Arm]) -> list[DataSettings]:
    """Return the settings of each data set that the arms use, once."""
    return list({arm.settings.data.model_dump_json(): arm.settings.data for arm in chosen}.values())
