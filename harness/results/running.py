"""What a study computes at this moment: a small file that a driver keeps, and `status` reads."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.atomic_write import atomic_write

FILE = ".running.json"
EVERY = 2.0
"""Seconds between two writings of the file at least: there may be many events a second."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial under way."""

    trial_id: str
    arm: str
    block: int
    began: float
    """Seconds since 1970."""
    step: int | None = None
    steps: int | None = None


class Running:
    """Keeps the file of a results folder; a disk that is full or read-only is no reason to stop."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._trials: dict[str, RunningTrial] = {}
        self._written = -EVERY

    def started(self, trial_id: str, arm: str, block: int) -> None:
        """Note that a trial was begun."""
        self._trials[trial_id] = RunningTrial(trial_id, arm, block, time.time())
        self._write()

    def progress(self, trial_id: str, step: int, steps: int) -> None:
        """Note where a trial is."""
        if (trial := self._trials.get(trial_id)) is not None:
            self._trials[trial_id] = RunningTrial(trial_id, trial.arm, trial.block, trial.began, step, steps)
            self._write()

    def ended(self, trial_id: str) -> None:
        """Note that a trial is no longer under way."""
        self._trials.pop(trial_id, None)
        self._write()

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _write(self) -> None:
        if time.monotonic() - self._written < EVERY:
            return
        self._written = time.monotonic()
        document = {
            "process": os.getpid(),
            "host": os.uname().nodename,
            "trials": [asdict(trial) for trial in self._trials.values()],
        }
        with suppress(OSError), atomic_write(self._file, durable=False) as file:
            file.write(json.dumps(document).encode())


def running(folder: Path) -> tuple[RunningTrial, ...]:
    """Return the trials that are under way in a results folder; none where their driver has ended."""
    try:
        document: dict[str, Any] = json.loads((folder / FILE).read_bytes())
        if document["host"] == os.uname().nodename:
            os.kill(int(document["process"]), 0)
        return tuple(RunningTrial(**trial) for trial in document["trials"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
