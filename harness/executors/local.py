"""Trials in processes of this machine: one thread each, as many as cores, living across trials."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from harness.errors import HarnessError
from harness.executors import Event, Finished, Lost, Place, Started
from harness.tasks import TrialProgress, TrialTask

POLL = 0.5
"""Seconds between looks at the clock while no worker says anything."""


@dataclass(frozen=True)
class Local:
    """The default executor."""

    workers: int
    """Processes; each computes with one thread. Two threads of OpenMP on a busy machine cost more than they give."""

    def events(self, tasks: Iterable[TrialTask], place: Place) -> Generator[Event]:
        """Compute the tasks, in their order, as workers become free."""
        waiting = deque(tasks)
        crew: list[_Worker] = []
        try:
            while waiting or any(worker.task for worker in crew):
                while waiting and sum(w.task is not None for w in crew) < self.workers:
                    free = next((w for w in crew if w.task is None), None)
                    if free is None:
                        free = _Worker(place)
                        crew.append(free)
                    task = waiting.popleft()
                    if free.give(task):
                        yield Started(task)
                    else:
                        waiting.appendleft(task)
                        crew.remove(free)
                ready = wait([worker.pipe for worker in crew], timeout=POLL)
                for worker in list(crew):
                    if worker.pipe in ready:
                        yield from worker.hear()
                    elif worker.silent_for() > (place.trial_timeout or float("inf")):
                        yield worker.give_up(place.trial_timeout or 0)
                    if not worker.alive:
                        crew.remove(worker)
        finally:
            for worker in crew:
                worker.stop()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, place: Place) -> None:
        context = get_context("spawn")
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"  # read by the libraries when the child imports them
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs, place, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()
        self.task: TrialTask | None = None
        self.heard = time.monotonic()
        self.alive = True

    def give(self, task: TrialTask) -> bool:
        """Hand over a task; False if the process has died meanwhile."""
        try:
            self.pipe.send(task)
        except (BrokenPipeError, OSError):
            self.stop()
            return False
        self.task, self.heard = task, time.monotonic()
        return True

    def silent_for(self) -> float:
        """Return the seconds since the worker last said anything about its task."""
        return time.monotonic() - self.heard if self.task else 0.0

    def hear(self) -> Iterator[Event]:
        """Yield what the worker says, or that it is gone."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            task = self.task
            self.process.join(timeout=5)
            code = self.process.exitcode
            self.stop()
            if task is not None and code is not None and code < 0:
                name = signal.Signals(-code).name
                yield Lost(task, "killed", f"the worker process was ended by {name} in the middle of the trial")
            elif task is not None:
                yield Lost(task, "failed", f"the worker process ended with exit code {code} in the middle of the trial")
            return
        self.heard = time.monotonic()
        if not isinstance(message, TrialProgress):
            self.task = None
        yield message

    def give_up(self, seconds: float) -> Event:
        """Kill a worker that says nothing any more."""
        task = self.task
        assert task is not None
        self.stop()
        return Lost(task, "timeout", f"no progress for {seconds:g} s (runner.trial_timeout)")

    def stop(self) -> None:
        """End the process."""
        self.alive, self.task = False, None
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(pipe: Connection, place: Place, parent: int) -> None:
    """Compute one task after another, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    _die_with(parent)
    import torch

    import harness.trial  # noqa: F401 - paid once, before the first task's clock runs

    torch.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(compute(task, place, pipe.send))


def compute(task: TrialTask, place: Place, report: object) -> Finished | Lost:
    """Return a trial's rows, or how it was lost; whatever the trial raises costs only itself."""
    from harness.trial import run_trial

    checkpoint = place.checkpoints / f"{task.trial_id}.pt"
    try:
        rows = run_trial(
            task,
            cache=place.cache,
            report=report,  # type: ignore[arg-type]
            checkpoint=checkpoint,
            checkpoint_every=place.checkpoint_every,
        )
    except HarnessError as error:
        return Lost(task, "failed", str(error))
    except MemoryError:
        return Lost(task, "oom", "out of memory", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a trial may raise anything; it is an outcome, stored with its traceback
        return Lost(task, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    return Finished(task, rows)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the driver ends, however it ends (prctl(2), Linux only)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
