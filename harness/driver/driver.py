"""Running a study: preflight, trials handed to an executor, rows stored, verdicts asked for, and whether to go on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.driver.happenings import LookDone, Planned, Removed, Retried, SetAside, Stored, Watch
from harness.driver.lost_trials import rows_of_lost
from harness.driver.planning import Plan, Planning
from harness.errors import HarnessError
from harness.executors.base import Compute, Event, Executor, Finished, Lost, Place, Started
from harness.provenance import OWN, code_version, environment, own_sources
from harness.results.running import Running
from harness.results.schema import LOST, ArmPlan, TrialRows, is_trained
from harness.results.store import Store
from harness.study.design import Arm, Trial, arms, own_code, trials
from harness.study.study import BASELINE, Study
from harness.study_folder import study_folder
from harness.trial.task import TrialProgress, TrialTask
from harness.verdicts.belonging import MIXED, mixed_blocks
from harness.verdicts.judge import StudyVerdicts, judge

if TYPE_CHECKING:
    from harness.scripts.sources import Sources


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
        self.planning = Planning(study, self.arms, self.store, self.cache, executor, watch)
        self.plans: Mapping[str, ArmPlan] = {}
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
            plan = self.planning.before()
            if plan is not None:
                self.plans = plan.arms
                if not self._missing(self._open_arms(), goals[-1]):
                    self._announce(plan)
                    return self.findings()
            if plan is not None and (self.doors or not self.planning.is_timed_here(plan)):
                plan = None
            expected = len(self._missing(self.arms, goals[0]))
            with self._laid_out(), self.executor.opened(self._place(), expected) as compute:
                if self.sources is not None:
                    plan = self.planning.lay_out(self.sources)
                elif plan is None:
                    plan = self.planning.prove()
                self.plans = plan.arms
                self._announce(plan)
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

    def _announce(self, plan: Plan) -> None:
        """Say what will be done."""
        notes = list(plan.document["notes"])
        if self.doors:
            notes.append(f"your own code: {', '.join(self.doors)}")
        first = trials(self._trained(), self.shard.blocks(self.study.design.goals[0]))
        done = self.store.done()
        rows = self.store.tables().trials if done else None
        statuses = {} if rows is None else dict(zip(rows["trial_id"], rows["status"], strict=True))
        self.watch(
            Planned(
                self.study,
                self.arms,
                tuple(self.plans.values()),
                tuple(notes),
                first,
                {trial.trial_id: statuses[trial.trial_id] for trial in first if trial.trial_id in statuses},
                plan.document.get("estimated_seconds"),
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
        """Return the row of a trial that gave none, its traceback kept in a file."""
        name = f"errors/{lost.task.trial_id}.txt"
        if lost.traceback:
            self.store.write_file(name, lost.traceback.encode())
        return rows_of_lost(
            lost, self.plans.get(lost.task.arm), str(self.store.folder / name) if lost.traceback else ""
        )
