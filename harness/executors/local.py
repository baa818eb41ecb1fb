"""Trials in processes of this machine: one thread each, as many as cores, living across trials."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from harness.errors import HarnessError
from harness.executors.base import Compute, Event, Lost, Place, Resources, Running, Started
from harness.executors.named import cores
from harness.executors.worker import ONE_THREAD, compute, warm_up
from harness.trial.task import TrialProgress, TrialTask

POLL = 0.5
"""Seconds between looks at the clock while no worker gives a sign."""
READY = "ready"

PROCESSES = get_context("forkserver") if sys.platform == "linux" else get_context("spawn")
"""Linux's workers are forks of one process that has imported what trials need and computed nothing."""
PRELOADED = ["torch", "torch._dynamo", "harness.trial.run"]


@dataclass(frozen=True)
class Local:
    """The default executor."""

    workers: int
    """Processes of one thread each, at the most: two threads of OpenMP on a busy machine cost more than they give."""
    gpus: float = 0
    """GPUs a trial takes; 0 computes on the CPU, a fraction puts several workers on one GPU."""

    @contextlib.contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:
        """Start the process that imports what trials need, meanwhile; its forks start with the first tasks.

        Raises:
            HarnessError: The study asks for GPUs that this machine does not have.
        """
        slots = gpu_slots(self.gpus, _gpus())[: self.workers] if self.gpus else [""] * self.workers
        pool = _Pool(place, slots)
        if expected and PROCESSES.get_start_method() == "forkserver":
            PROCESSES.set_forkserver_preload(PRELOADED)
            with _environment(ONE_THREAD):
                forkserver.ensure_running()
        try:
            yield pool.compute
        finally:
            pool.stop()


def executor(resources: Resources) -> Local:
    """Return the executor."""
    return Local(resources.workers or cores(), gpus=resources.gpus)


def gpu_slots(share: float, gpus: list[str]) -> list[str]:
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
        slots = [gpu for gpu in gpus for _ in range(int(1 / share + 1e-9))]
    else:
        each = int(share)
        slots = [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    if not slots:
        raise HarnessError(
            f"runner.gpus: a trial takes {share:g} and this machine has {len(gpus)}; runner.gpus: 0 takes the CPU"
        )
    return slots


def _gpus() -> list[str]:
    """Return the GPUs that this process may use."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


class _Pool:
    """The processes of one study: at most one per slot, each replaced when it is gone."""

    def __init__(self, place: Place, slots: Sequence[str]) -> None:
        self.place, self.slots = place, slots
        self.workers: list[_Worker] = []

    def start(self) -> _Worker:
        """Start a process on the first slot that is free."""
        taken = {worker.number for worker in self.workers}
        number = next(i for i in range(len(self.slots)) if i not in taken)
        worker = _Worker(self.place, number, self.slots[number])
        self.workers.append(worker)
        return worker

    def compute(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Compute the tasks, in their order, as workers become free."""
        waiting = deque(tasks)
        while waiting or any(worker.running for worker in self.workers):
            while waiting and sum(w.running is not None for w in self.workers) < len(self.slots):
                free = next((w for w in self.workers if w.running is None), None) or self.start()
                task = waiting.popleft()
                if free.give(task):
                    yield Started(task)
                else:
                    waiting.appendleft(task)
                    self.workers.remove(free)
            ready = wait([worker.pipe for worker in self.workers], timeout=POLL)
            for worker in list(self.workers):
                if worker.pipe in ready:
                    yield from worker.receive()
                else:
                    yield from worker.check(self.place.trial_timeout)
                if not worker.alive:
                    self.workers.remove(worker)

    def stop(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.stop()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, place: Place, number: int, slot: str) -> None:
        self.number = number
        self.pipe, theirs = PROCESSES.Pipe()
        environment = {**ONE_THREAD, **({"CUDA_VISIBLE_DEVICES": slot} if slot else {})}
        self.process: BaseProcess = PROCESSES.Process(
            target=_work, args=(theirs, place, {**os.environ, **environment}, bool(slot)), daemon=True
        )
        self.oom_kills = _oom_kills()
        with _environment(environment):
            self.process.start()
        theirs.close()
        self.running: Running | None = None
        self.ready = False
        """Whether its imports are done: the time of a first trial does not pay for them."""
        self.alive = True

    def give(self, task: TrialTask) -> bool:
        """Hand over a task; False if the process has died meanwhile."""
        try:
            self.pipe.send(task)
        except OSError:
            self.stop()
            return False
        self.running = Running(task)
        self.running.sign()
        return True

    def receive(self) -> Iterator[Event]:
        """Yield what the worker sends, or that it is gone."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            yield from self._gone()
            return
        if self.running is not None:
            self.running.sign()
        if message == READY:
            self.ready = True
            return
        if not isinstance(message, TrialProgress):
            self.running = None
        yield message

    def check(self, timeout: float | None) -> Iterator[Event]:
        """Yield that the worker is gone, or that its trial is given up because it gives no sign any more."""
        if not self.process.is_alive() and not self.pipe.poll():
            yield from self._gone()  # though a child of the trial may still hold the pipe open
        elif self.running is not None and self.ready and (lost := self.running.timed_out(timeout)):
            self.stop()
            yield lost

    def _gone(self) -> Iterator[Event]:
        """Yield what the end of the process makes of its task."""
        running = self.running
        self.process.join(timeout=5)
        code = self.process.exitcode
        self.stop()
        if running is None:
            return
        if code == -signal.SIGKILL and _oom_kills() > self.oom_kills:
            yield Lost(
                running.task, "oom", "the kernel ended the worker process because the machine had no memory left"
            )
        elif code is not None and code < 0:
            name = signal.Signals(-code).name
            yield Lost(running.task, "killed", f"the worker process was ended by {name} in the middle of the trial")
        else:
            yield Lost(
                running.task, "failed", f"the worker process ended with exit code {code} in the middle of the trial"
            )

    def stop(self) -> None:
        """End the process."""
        self.alive, self.running = False, None
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(pipe: Connection, place: Place, environment: Mapping[str, str], gpu: bool) -> None:
    """Compute one task after another, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    warm_up()
    # A driver that is gone took the other end of the pipe with it: there is nobody left to tell.
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send(READY)
        while True:
            for event in compute(pipe.recv(), place, gpu=gpu):
                pipe.send(event)


def _end_with_driver() -> None:
    """End this process when the driver ends, however it ends."""
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def _oom_kills() -> int:
    """Return how many processes the kernel has ended so far for want of memory (proc(5), vmstat); 0 where unknown."""
    try:
        count = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(count.group(1)) if count else 0


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
