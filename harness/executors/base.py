"""Where trials are computed: executors turn tasks into events; they write no table and know no study."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.results.schema import LOST, TrialRows
from harness.trial.outside_text import LONG, cleaned
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
    printed: str = ""
    """What it wrote to standard output and error: the end of it."""


@dataclass(frozen=True)
class Lost:
    """A trial that gave no rows."""

    task: TrialTask
    status: str
    """`failed`: it raised, or ended its process; `oom`; `timeout`: no progress for as long as the study allows; or
    `lost`: a cause outside of it, such as a worker that was killed, a full disk, a broken GPU."""
    message: str
    traceback: str | None = None
    printed: str = ""

    def __post_init__(self) -> None:
        """Take the texts in as what they are: somebody else's data."""
        object.__setattr__(self, "message", cleaned(self.message))
        if self.traceback is not None:
            object.__setattr__(self, "traceback", cleaned(self.traceback, LONG))


@dataclass(frozen=True)
class ProcessChanged:
    """A trial left its process otherwise than it was; what can be put back has been, and no other trial computes there.

    In the driver's own process, which cannot be replaced, the next trial does.
    """

    task: TrialTask
    what: tuple[str, ...]


@dataclass
class Patience:
    """How long a trial may give no sign of life."""

    asked: float | None
    """Seconds, where the study says so: silence beyond is the trial's own `timeout`."""
    longest: float = 0.0
    """Longest silence so far, in seconds, that was followed by a sign: of a step, or of a measurement."""

    @property
    def seconds(self) -> float:
        """Seconds without a sign after which a trial is given up."""
        return self.asked or max(LEAST_PATIENCE, 10 * self.longest)


@dataclass
class Running:
    """A task under way, and its last sign of life."""

    task: TrialTask
    patience: Patience
    last_sign: float | None = None
    """Of `time.monotonic`; None while it waits for its turn."""

    def sign(self) -> bool:
        """Note a sign of life, and return whether it was the first."""
        first = self.last_sign is None
        if not first:
            self.patience.longest = max(self.patience.longest, self.silent_for())
        self.last_sign = time.monotonic()
        return first

    def silent_for(self) -> float:
        """Return the seconds since the last sign; none while it waits for its turn."""
        return 0.0 if self.last_sign is None else time.monotonic() - self.last_sign

    def given_up(self) -> Lost | None:
        """Return the loss of a trial that gave no sign for too long."""
        most = self.patience.seconds
        if self.silent_for() <= most:
            return None
        if self.patience.asked:
            return Lost(self.task, "timeout", f"no progress for {most:g} s (runner.trial_timeout)")
        return Lost(self.task, LOST, f"no sign of life for {most:.0f} s; runner.trial_timeout makes that an outcome")


Event = Started | TrialProgress | ProcessChanged | Finished | Lost

LEAST_PATIENCE = 1800.0
"""Seconds that any trial may give no sign: a first measurement can be long."""


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
    """Seconds without any progress after which a trial has the status `timeout`; None: see `Patience`."""
    beside: Path | None = None
    """Absolute folder of the study's file, where a user's own modules and data are looked for."""


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
