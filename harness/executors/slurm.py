"""Trials as jobs of a Slurm cluster, one each, through submitit; results come back through the shared folder."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import subprocess
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic_write import atomic_write
from harness.errors import HarnessError, MissingExtraError
from harness.executors.base import Compute, Event, Finished, Lost, Patience, Place, Resources, Running, Started
from harness.executors.worker import ONE_THREAD, compute, warm_up
from harness.results.schema import LOST
from harness.trial.task import TrialProgress, TrialTask

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

POLL = 1.0
"""Seconds between two looks at the jobs' files."""
LOOK = 30.0
"""Seconds between two calls of `squeue` for jobs that left no result; sites ask users to be sparing with them."""
WRITE = 2.0
"""Seconds between two writings of a job's progress."""
QUEUED = 100
"""Jobs in the queue at a time unless `workers` says otherwise; Slurm's own limit on arrays is often 1,000."""
ORPHANED = 300.0
"""Seconds without a sign of the driver after which a job ends itself."""


@dataclass(frozen=True)
class Slurm:
    """Computes each trial in a job; Slurm decides where and when.

    Account, partition and time limit are those of Slurm's own variables: `SBATCH_ACCOUNT`, `SBATCH_PARTITION`,
    `SBATCH_TIMELIMIT`. The results folder must be shared with the nodes.
    """

    cpus: float
    """CPUs that a trial takes, rounded up."""
    gpus: float
    """GPUs that a trial takes, rounded up: Slurm gives whole ones."""
    workers: int | None
    """At most so many jobs in the queue."""
    cluster: str | None = None
    """As submitit names it: `slurm`, or `local` for processes of this machine; `HARNESS_SLURM_CLUSTER` unless given."""

    @contextlib.contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:  # noqa: ARG002 - Slurm starts its own processes
        """Find Slurm.

        Raises:
            MissingExtraError: submitit is not installed.
            HarnessError: There is no Slurm.
        """
        folder = place.checkpoints.parent / "slurm"
        yield functools.partial(self._events, self._executor(folder), folder, place)

    def _events(
        self, executor: AutoExecutor, folder: Path, place: Place, tasks: Iterable[TrialTask]
    ) -> Generator[Event]:
        """Compute the tasks as the queue lets them through.

        Raises:
            HarnessError: Slurm refuses the jobs.
        """
        patience = Patience(place.trial_timeout)
        waiting, under_way = deque(tasks), list[_Submitted]()
        driver, looked = folder / "driver", time.monotonic()
        try:
            while waiting or under_way:
                driver.touch()
                room = min(len(waiting), (self.workers or QUEUED) - len(under_way))
                under_way += self._submit(executor, [waiting.popleft() for _ in range(room)], place, driver, patience)
                time.sleep(POLL)
                if time.monotonic() - looked > LOOK:
                    _look_for(under_way, executor.cluster)
                    looked = time.monotonic()
                for submitted in list(under_way):
                    yield from submitted.progress()
                    outcome = submitted.outcome()
                    if outcome is not None:
                        under_way.remove(submitted)
                        submitted.clear(keep_logs=isinstance(outcome, Lost))
                        yield outcome
        finally:
            for submitted in under_way:
                submitted.job.cancel(check=False)
                submitted.clear(keep_logs=False)
            driver.unlink(missing_ok=True)

    def _executor(self, folder: Path) -> AutoExecutor:
        try:
            import submitit
        except ImportError:
            raise MissingExtraError(
                "--executor slurm: the package submitit is not installed; pip install 'gan-ablation-harness[slurm]'"
            ) from None
        cluster = self.cluster or os.environ.get("HARNESS_SLURM_CLUSTER", "slurm")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            executor = submitit.AutoExecutor(folder, cluster=cluster)
        except RuntimeError as error:
            raise HarnessError(f"--executor slurm: {error}; start it on a machine that can submit jobs") from error
        except OSError as error:
            raise HarnessError(f"{folder}: cannot be written ({error.strerror}); choose another --results") from error
        executor.update_parameters(
            name="harness",
            timeout_min=24 * 60,
            cpus_per_task=math.ceil(self.cpus),
            gpus_per_node=math.ceil(self.gpus),
            slurm_setup=[f"export {name}={value}" for name, value in ONE_THREAD.items()],
        )
        return executor

    def _submit(
        self, executor: AutoExecutor, tasks: list[TrialTask], place: Place, driver: Path, patience: Patience
    ) -> list[_Submitted]:
        """Hand tasks to Slurm, several at once as one array."""
        if not tasks:
            return []
        files = [driver.with_name(f"{task.trial_id}-{task.attempts}.step") for task in tasks]
        for file in files:
            file.unlink(missing_ok=True)
        try:
            with executor.batch():
                jobs = [
                    executor.submit(_compute, task, place, file, driver, ORPHANED, gpu=self.gpus > 0)
                    for task, file in zip(tasks, files, strict=True)
                ]
        except Exception as error:
            # submitit raises its own and subprocess's errors alike; all of them say what sbatch said.
            raise HarnessError(f"--executor slurm: Slurm refuses the jobs: {error}") from error
        return [
            _Submitted(task, patience, job=job, progress_file=file)
            for task, job, file in zip(tasks, jobs, files, strict=True)
        ]


def executor(resources: Resources) -> Slurm:
    """Return the executor."""
    return Slurm(cpus=resources.cpus, gpus=resources.gpus, workers=resources.workers)


@dataclass(kw_only=True)
class _Submitted(Running):
    """A task that was handed to Slurm, its job, and the file in which the job writes its progress."""

    job: Job[Finished | Lost]
    progress_file: Path
    text: str = ""
    """What the file held the last time."""
    missing: int = 0
    """How many times in a row Slurm did not know the job any more, though it left no result."""

    def progress(self) -> Iterator[Event]:
        """Yield what the job's file says beyond the last time."""
        try:
            text = self.progress_file.read_text(encoding="ascii")
        except OSError:
            return
        if text == self.text:
            return
        self.text = text
        if self.sign():
            yield Started(self.task)
        step, steps, loss_d, loss_g = text.split()
        if int(step):
            yield TrialProgress(self.task.trial_id, int(step), int(steps), float(loss_d), float(loss_g))

    def outcome(self) -> Finished | Lost | None:
        """Return what the job came to; None while it has not."""
        if lost := self.given_up():
            self.job.cancel(check=False)
            return lost
        if self.job.paths.result_pickle.exists():
            try:
                return self.job.result()
            except Exception as error:  # noqa: BLE001 - whatever submitit met: the job could not even begin
                return Lost(self.task, "failed", f"job {self.job.job_id}: {_last_line(str(error))}", str(error))
        if self.missing < 2:
            return None
        # job.result() would wait for ever where Slurm keeps no accounts of jobs that are gone.
        state, message = self.job.state, _last_line(self.job.stderr() or "")
        status = "oom" if state.startswith("OUT_OF_ME") else LOST
        return Lost(self.task, status, f"job {self.job.job_id} left no result (state {state}): {message}")

    def clear(self, *, keep_logs: bool) -> None:
        """Delete the job's files: its result is the driver's now."""
        paths = self.job.paths
        logs = () if keep_logs else (paths.stdout, paths.stderr, paths.submission_file)
        for path in (self.progress_file, paths.result_pickle, paths.submitted_pickle, *logs):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _look_for(under_way: list[_Submitted], cluster: str) -> None:
    """Count for each job how often it was gone; it takes twice, as a shared folder may show its results late."""
    listed = _listed() if cluster == "slurm" else set[str]()
    if listed is None:
        return
    for submitted in under_way:
        there = submitted.job.job_id in listed if cluster == "slurm" else not submitted.job.done()
        submitted.missing = 0 if there else submitted.missing + 1


def _listed() -> set[str] | None:
    """Return the user's jobs that wait or run, by squeue, which needs no accounts; None while it fails."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.split()) if done.returncode == 0 else None


def _compute(
    task: TrialTask, place: Place, progress_file: Path, driver: Path, orphaned: float, *, gpu: bool
) -> Finished | Lost:
    """Compute one trial in a job, writing its progress to a file, and end with the driver."""
    written = -math.inf

    def write(step: int, loss_d: float, loss_g: float) -> None:
        nonlocal written
        steps = task.settings.steps
        if time.monotonic() - written < WRITE and step < steps:
            return
        written = time.monotonic()
        _write(progress_file, f"{step} {steps} {loss_d!r} {loss_g!r}")
        if _silent(progress_file, driver) > orphaned:
            os._exit(3)

    warm_up()  # before the clock of trial_timeout runs
    write(0, 0.0, 0.0)
    for event in compute(task, place, gpu=gpu):
        if isinstance(event, TrialProgress):
            write(event.step, event.loss_d, event.loss_g)
        elif isinstance(event, (Finished, Lost)):
            outcome = event
    return outcome


def _write(path: Path, text: str) -> None:
    """Write a file whole; one that cannot be written is missed by nobody for long."""
    with contextlib.suppress(OSError), atomic_write(path, durable=False) as file:
        file.write(text.encode())


def _silent(progress_file: Path, driver: Path) -> float:
    """Return the seconds since the driver's last sign, by the file server's clock; infinity when it has ended."""
    try:
        return progress_file.stat().st_mtime - driver.stat().st_mtime
    except OSError:
        return 0.0 if driver.exists() else math.inf
