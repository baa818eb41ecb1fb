"""Where trials are computed: executors turn tasks into events; they write no table and know no study."""

from __future__ import annotations

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


Compute = Callable[[Iterable[TrialTask]], Generator[Event]]
"""Computes tasks, in any order, and yields what happens; each task ends in one Finished or Lost."""


class Executor(Protocol):
    """Computes tasks somewhere."""

    def opened(self, place: Place, expected: int) -> AbstractContextManager[Compute]:
        """Begin what takes its time, processes or a connection, and end it with the study, however that ends.

        Args:
            place: Caches and checkpoints.
            expected: Tasks that will come soon; more may.

        Raises:
            HarnessError: Nothing can be computed there.
        """
        ...
