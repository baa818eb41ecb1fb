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
    """`failed`: the trial raised; `oom`; `timeout`; `killed`: its worker died."""
    message: str
    traceback: str | None = None


Event = Started | TrialProgress | Finished | Lost


@dataclass(frozen=True)
class Place:
    """What an executor needs to know beside the tasks."""

    cache: Path
    checkpoints: Path
    checkpoint_every: float
    trial_timeout: float | None


class Executor(Protocol):
    """Computes tasks somewhere."""

    def events(self, tasks: Iterable[TrialTask], place: Place) -> Generator[Event]:
        """Compute the tasks, in any order, and yield what happens; each task ends in one Finished or Lost."""
        ...
