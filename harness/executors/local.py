"""Trials in processes of this machine: one thread each, as many as cores, living across trials."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from harness.errors import HarnessError
from harness.executors.base import Compute, Event, Lost, Place, Resources, Started
from harness.executors.named import cores
from harness.executors.worker import ONE_THREAD, compute, warm_up
from harness.trial.task import TrialProgress, TrialTask

POLL = 0.5
"""Seconds between looks at the clock while no worker says anything."""
START = 600.0
"""Seconds that a new process may take for its imports, on a busy machine or a slow disk."""
READY = "ready"


@dataclass(frozen=True)
class Local:
    """The default executor."""

    workers: int
    """Processes of one thread each, at the most: two threads of OpenMP on a busy machine cost more than they give."""
    gpus: float = 0
    """GPUs a trial takes; 0 computes on the CPU, a fraction puts several workers on one GPU."""

    @contextlib.contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:
        """Start the processes, which import what trials need meanwhile.

        Raises:
            HarnessError: The study asks for GPUs that this machine does not have.
        """
        seats = gpu_seats(self.gpus, _gpus())[: self.workers] if self.gpus else [""] * self.workers
        crew = _Crew(place, seats)
        try:
            for _ in range(min(expected, len(seats))):
                crew.hire()
            yield crew.compute
        finally:
            crew.stop()


def executor(resources: Resources) -> Local:
    """Return the executor."""
    return Local(resources.workers or cores(), gpus=resources.gpus)


def gpu_seats(share: float, gpus: list[str]) -> list[str]:
    """Return the CUDA_VISIBLE_DEVICES of each worker that finds room: they fill the first GPU, then the second.

    Args:
        share: GPUs that a trial takes: whole ones, or a fraction of one.
        gpus: Those that the driver may use, as CUDA_VISIBLE_DEVICES names them.

    Raises:
        HarnessError: There is no room for a single one.
    """
    if share > 1 and share != int(share):
        raise HarnessError(f"runner.gpus: {share:g} is neither a fraction of one GPU nor a whole number")
    if share < 1:
        seats = [gpu for gpu in gpus for _ in range(int(1 / share + 1e-9))]
    else:
        each = int(share)
        seats = [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    if not seats:
        raise HarnessError(
            f"runner.gpus: a trial takes {share:g} and this machine has {len(gpus)}; runner.gpus: 0 takes the CPU"
        )
    return seats


def _gpus() -> list[str]:
    """Return the GPUs that this process may use."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


class _Crew:
    """The processes of one study: as many as there are seats, each replaced when it is gone."""

    def __init__(self, place: Place, seats: Sequence[str]) -> None:
        self.place, self.seats = place, seats
        self.workers: list[_Worker] = []

    def hire(self) -> _Worker:
        """Start a process on the first seat that is free."""
        taken = {worker.number for worker in self.workers}
        number = next(i for i in range(len(self.seats)) if i not in taken)
        worker = _Worker(self.place, number, self.seats[number])
        self.workers.append(worker)
        return worker

    def compute(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Compute the tasks, in their order, as workers become free."""
        waiting, patience = deque(tasks), self.place.trial_timeout or float("inf")
        while waiting or any(worker.task for worker in self.workers):
            while waiting and sum(w.task is not None for w in self.workers) < len(self.seats):
                free = next((w for w in self.workers if w.task is None), None) or self.hire()
                task = waiting.popleft()
                if free.give(task):
                    yield Started(task)
                else:
                    waiting.appendleft(task)
                    self.workers.remove(free)
            ready = wait([worker.pipe for worker in self.workers], timeout=POLL)
            for worker in list(self.workers):
                if worker.pipe in ready:
                    yield from worker.hear()
                elif worker.silent_for() > patience:
                    yield worker.give_up(patience)
                if not worker.alive:
                    self.workers.remove(worker)

    def stop(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.stop()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, place: Place, number: int, seat: str) -> None:
        context = get_context("spawn")
        self.number = number
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(theirs, place, os.getpid(), bool(seat)), daemon=True
        )
        self.oom_kills = _oom_kills()
        with _environment({**ONE_THREAD, **({"CUDA_VISIBLE_DEVICES": seat} if seat else {})}):
            self.process.start()
        theirs.close()
        self.task: TrialTask | None = None
        self.heard = time.monotonic()
        self.warm = False
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
        """Return the seconds since the worker last said anything about its task, beyond those it may take to start."""
        if self.task is None:
            return 0.0
        return time.monotonic() - self.heard - (0.0 if self.warm else START)

    def hear(self) -> Iterator[Event]:
        """Yield what the worker says, or that it is gone."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            yield from self._gone()
            return
        self.heard = time.monotonic()
        if message == READY:
            self.warm = True
            return
        if not isinstance(message, TrialProgress):
            self.task = None
        yield message

    def _gone(self) -> Iterator[Event]:
        """Yield what the end of the process makes of its task."""
        task = self.task
        self.process.join(timeout=5)
        code = self.process.exitcode
        self.stop()
        if task is None:
            return
        if code == -signal.SIGKILL and _oom_kills() > self.oom_kills:
            yield Lost(task, "oom", "the kernel ended the worker process because the machine had no memory left")
        elif code is not None and code < 0:
            name = signal.Signals(-code).name
            yield Lost(task, "killed", f"the worker process was ended by {name} in the middle of the trial")
        else:
            yield Lost(task, "failed", f"the worker process ended with exit code {code} in the middle of the trial")

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


def _work(pipe: Connection, place: Place, parent: int, gpu: bool) -> None:
    """Compute one task after another, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    _die_with(parent)
    warm_up()
    # A driver that is gone took the other end of the pipe with it: there is nobody left to tell.
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send(READY)
        while True:
            task: TrialTask = pipe.recv()
            for event in compute(task, place, gpu=gpu):
                pipe.send(event)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the driver ends, however it ends (prctl(2), Linux only)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _oom_kills() -> int:
    """Return how many processes the kernel has ended so far for want of memory (proc(5), vmstat); 0 where unknown."""
    try:
        found = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


@contextlib.contextmanager
def _environment(names: Mapping[str, str]) -> Iterator[None]:
    """Set variables that a child inherits before its first import, and put the driver's own back."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
