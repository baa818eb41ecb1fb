"""Where trials are computed: executors turn tasks into events; they write no table and know no study."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.tables import TrialRows
from harness.tasks import TrialProgress, TrialTask


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


class Executor(Protocol):
    """Computes tasks somewhere."""

    def events(self, tasks: Iterable[TrialTask], place: Place) -> Generator[Event]:
        """Compute the tasks, in any order, and yield what happens; each task ends in one Finished or Lost."""
        ...
