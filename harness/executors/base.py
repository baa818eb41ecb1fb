"""Where trials are computed: executors turn tasks into events; they write no table and know no study."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.results.schema import TrialRows
from harness.trial.task import TrialProgress, TrialTask


@dataclass(frozen=True)
class Started:
    """A trial was begun."""

    task: TrialTask


@dataclass(frozen=True)
class Finished:
    """A trial's rows."""

    task: TrialTask
    rows: TrialRows


@dataclass(frozen=True)
class Lost:
    """A trial that gave no rows."""

    task: TrialTask
    status: str
    """`failed`: the trial raised; `oom`; `timeout`; `killed`: its worker died; `no-room`: a disk is full or read-only.

    The last two are not the trial's own: it is begun again, or the study stops.
    """
    message: str
    traceback: str | None = None


@dataclass
class Running:
    """A task under way, and its last sign of life."""

    task: TrialTask
    last_sign: float | None = None
    """Of `time.monotonic`; None while it waits for its turn."""

    def sign(self) -> bool:
        """Note a sign of life, and return whether it was the first."""
        first, self.last_sign = self.last_sign is None, time.monotonic()
        return first

    def silent_for(self) -> float:
        """Return the seconds since the last sign; none while it waits for its turn."""
        return 0.0 if self.last_sign is None else time.monotonic() - self.last_sign

    def timed_out(self, timeout: float | None) -> Lost | None:
        """Return the loss of a trial that gave no sign for longer than it may."""
        if timeout is None or self.silent_for() <= timeout:
            return None
        return Lost(self.task, "timeout", f"no progress for {timeout:g} s (runner.trial_timeout)")


Event = Started | TrialProgress | Finished | Lost


@dataclass(frozen=True)
class Place:
    """What an executor needs to know beside the tasks."""

    cache: Path
    """Absolute: workers may live in another folder, or on another machine."""
    checkpoints: Path
    """Absolute; shared by all machines if an interrupted trial is to go on on another one."""
    checkpoint_every: float
    """Seconds."""
    trial_timeout: float | None
    """Seconds without any progress after which a trial is given up."""


@dataclass(frozen=True)
class Resources:
    """What executors are made of; each takes what it knows."""

    workers: int | None = None
    """Trials at a time at most; None: as many as there are cores, or as a cluster has room for."""
    cpus: float = 1
    """CPUs that a trial takes on a cluster."""
    gpus: float = 0
    """GPUs that a trial takes; a fraction shares one."""
    address: str | None = None
    """Of a cluster."""


Compute = Callable[[Iterable[TrialTask]], Generator[Event]]
"""Computes tasks, in any order, and yields what happens; each task ends in one Finished or Lost."""


class Executor(Protocol):
    """Computes tasks somewhere."""

    @property
    def workers(self) -> int | None:
        """Trials at a time at most; None where the cluster's room decides."""
        ...

    def opened(self, place: Place, expected: int) -> AbstractContextManager[Compute]:
        """Begin what takes its time, processes or a connection, and end it with the study, however that ends.

        Args:
            place: Caches and checkpoints.
            expected: Tasks that will come soon; more may.

        Raises:
            HarnessError: Nothing can be computed there.
        """
        ...
