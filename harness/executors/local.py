"""Trials in processes of this machine: one thread each, as many as cores, living across trials."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from harness.errors import HarnessError
from harness.executors.base import (
    Compute,
    Event,
    Finished,
    Lost,
    Patience,
    Place,
    ProcessChanged,
    Resources,
    Running,
    Started,
)
from harness.executors.named import cores
from harness.executors.worker import ONE_THREAD, compute, warm_up
from harness.results.schema import LOST
from harness.trial.kernel_kills import oom_kills
from harness.trial.outside_text import cleaned
from harness.trial.task import TrialTask

POLL = 0.5
"""Seconds between looks at the clock while no worker gives a sign."""
GRACE = 10.0
"""Seconds that trials in the middle have for a checkpoint when a study is stopped; Slurm gives jobs 30."""
PRINTED = 20_000
"""Bytes kept of what a trial prints: the end."""
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
UNKNOWN = 255
"""Exit code of a process whose own server was killed, and could not tell."""

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
    """Return the CUDA_VISIBLE_DEVICES of each worker that finds room: each GPU gets one before any gets another.

    Args:
        share: GPUs that a trial takes: whole ones, or a fraction of one.
        gpus: Those that the driver may use, as CUDA_VISIBLE_DEVICES names them.

    Raises:
        HarnessError: There is no room for a single one.
    """
    if share > 1 and share != int(share):
        raise HarnessError(f"runner.gpus: {share:g} is neither a fraction of one GPU nor a whole number")
    if share < 1:
        slots = gpus * int(1 / share + 1e-9)
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
    """The processes of one study: at most one per slot, each replaced when it is gone or no longer as it was."""

    def __init__(self, place: Place, slots: Sequence[str]) -> None:
        self.place, self.slots = place, slots
        self.patience = Patience(place.trial_timeout)
        self.workers: list[_Worker] = []

    def compute(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Compute the tasks, in their order, as workers become free."""
        waiting = deque(tasks)
        while waiting or any(worker.running for worker in self.workers):
            while waiting and sum(w.running is not None for w in self.workers) < len(self.slots):
                if self._worker_for(waiting[0]).give(waiting[0]):
                    yield Started(waiting.popleft())
                self._remove_ended()
            ready = wait([source for worker in self.workers for source in worker.sources], timeout=POLL)
            for worker in list(self.workers):
                yield from worker.events(ready)
            self._remove_ended()

    def stop(self) -> None:
        """End all processes; trials in the middle may leave a checkpoint."""
        for worker in self.workers:
            worker.ask_to_stop()
        end = time.monotonic() + GRACE
        for worker in self.workers:
            worker.process.join(max(0.0, end - time.monotonic()) if worker.running else 0.0)
            worker.end()

    def _worker_for(self, task: TrialTask) -> _Worker:
        """Return a worker without a task; a trial that is begun again gets a new process."""
        free = next((worker for worker in self.workers if worker.running is None), None)
        if free is not None and (task.attempts == 1 or not free.used):
            return free
        if free is not None:
            free.end()
            self._remove_ended()
        taken = {worker.number for worker in self.workers}
        number = next(i for i in range(len(self.slots)) if i not in taken)
        self.workers.append(_Worker(self.place, number, self.slots[number], self.patience))
        return self.workers[-1]

    def _remove_ended(self) -> None:
        self.workers = [worker for worker in self.workers if not worker.ended]


class _Worker:
    """One process, the pipe to it, and another with what it prints."""

    def __init__(self, place: Place, number: int, slot: str, patience: Patience) -> None:
        self.number, self.patience = number, patience
        self.pipe, theirs = PROCESSES.Pipe()
        self.output, printed = PROCESSES.Pipe(duplex=False)
        environment = {**ONE_THREAD, **({"CUDA_VISIBLE_DEVICES": slot} if slot else {})}
        self.process: BaseProcess = PROCESSES.Process(
            target=_work, args=(theirs, printed, place, {**os.environ, **environment}, bool(slot)), daemon=True
        )
        self.kills_before = oom_kills()
        with _environment(environment):
            self.process.start()
        theirs.close()
        printed.close()
        self.sources: list[Connection] = [self.pipe, self.output]
        self.running: Running | None = None
        self.printed = b""
        self.ready = self.used = self.changed = self.ended = False

    def give(self, task: TrialTask) -> bool:
        """Hand over a task; False if the process has died meanwhile."""
        try:
            self.pipe.send(task)
        except OSError:
            self.end()
            return False
        self.running, self.printed, self.used = Running(task, self.patience), b"", True
        self.running.sign()
        return True

    def events(self, ready: Sequence[object]) -> Iterator[Event]:
        """Yield what the worker sends, that it is gone, or that its trial is given up for want of any sign."""
        if self.output in ready:
            self._read_output()
        if self.pipe in ready:
            yield from self._receive()
        elif not self.process.is_alive() and not self.pipe.poll():
            yield from self._gone()  # though a child of the trial may still hold the pipe open
        elif self.running is not None and (lost := self.running.given_up()):
            if not self.ready:
                lost = Lost(self.running.task, LOST, "the worker process did not come to its start")
            self.end()
            yield lost

    def ask_to_stop(self) -> None:
        """Let a trial in the middle leave a checkpoint."""
        if self.running is not None and self.process.is_alive():
            self.process.terminate()

    def end(self) -> None:
        """End the process."""
        self.ended, self.running = True, None
        self.process.kill()
        self.process.join()
        self.pipe.close()
        self.output.close()

    def _read_output(self) -> None:
        """Keep the end of what the trial prints."""
        content = os.read(self.output.fileno(), 65536)
        if content:
            self.printed = (self.printed + content)[-PRINTED:]
        else:
            self.sources.remove(self.output)

    def _receive(self) -> Iterator[Event]:
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            yield from self._gone()
            return
        if self.running is not None:
            self.running.sign()
        match message:
            case "ready":
                self.ready = True
            case Finished() | Lost():
                self.running = None
                yield dataclasses.replace(message, printed=self._output())
                if self.changed or isinstance(message, Lost):
                    self.end()
            case _:
                self.changed |= isinstance(message, ProcessChanged)
                yield message

    def _gone(self) -> Iterator[Event]:
        """Yield what the end of the process makes of its task."""
        running, ready = self.running, self.ready
        self.process.join(timeout=5)
        code, printed = self.process.exitcode, self._output()
        self.end()
        if running is None:
            return
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        if not ready:
            yield Lost(running.task, LOST, f"the worker process ended at its start ({name})", printed=printed)
        elif code == -signal.SIGKILL and oom_kills() > self.kills_before:
            text = "the kernel ended the worker process because the machine had no memory left"
            yield Lost(running.task, "oom", text, printed=printed)
        elif code is not None and code < 0:
            # A crash is the trial's own, as an exception is; other signals come from outside.
            status = "failed" if -code in CRASHES else LOST
            text = f"the worker process was ended by {name} in the middle of the trial"
            yield Lost(running.task, status, text, printed=printed)
        else:
            text = f"the worker process ended with {name} in the middle of the trial"
            yield Lost(running.task, "failed" if code != UNKNOWN else LOST, text, printed=printed)

    def _output(self) -> str:
        """Return what was printed, and is not read yet."""
        while self.output in self.sources and not self.output.closed and self.output.poll():
            self._read_output()
        return cleaned(self.printed, PRINTED)


def _work(pipe: Connection, printed: Connection, place: Place, environment: Mapping[str, str], gpu: bool) -> None:
    """Compute one task after another, until the driver is gone or the process is to end."""
    for number in (signal.SIGINT, signal.SIGHUP):  # these reach the whole group; the driver decides
        signal.signal(number, signal.SIG_IGN)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    os.environ.clear()
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(printed.fileno(), stream)
    printed.close()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    threading.Thread(target=_end_with_driver, daemon=True).start()
    warm_up()
    # A driver that is gone took the other end of the pipe with it: there is nobody left to tell.
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send("ready")
        while not stopping:
            with contextlib.closing(compute(pipe.recv(), place, gpu=gpu)) as events:
                for event in events:
                    if stopping:
                        break
                    pipe.send(event)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_driver() -> None:
    """End this process when the driver ends, however it ends."""
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


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
