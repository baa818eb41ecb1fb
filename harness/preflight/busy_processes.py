"""Processes that train beside the one that is timed, as the workers of a study do: cores share memory and clock."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.study.settings import TrialSettings

MOST = 7
"""More are not started, however many workers there will be."""
BATCH, ITEMS = 4, 64
"""Images a step, so that the largest networks get going soon too, and images in all."""


class BusyProcesses:
    """Up to as many processes as there will be other workers, and at least one, whose start is timed."""

    def __init__(self, workers: int) -> None:
        self._count = min(workers - 1, MOST, (os.cpu_count() or 1) - 1)
        path = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        code = (
            f"import sys; sys.path[:0] = {path!r}; from harness.preflight.busy_processes import keep_busy; keep_busy()"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._begun = time.monotonic()
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=environment,
            )
            for _ in range(max(1, self._count))
        ]

    def start_seconds(self) -> float:
        """Wait for the processes and return how long they took to be ready for a trial."""
        return max(self._hear(process) for process in self._processes) - self._begun

    def train(self, settings: TrialSettings, *, styles: int, paired: bool) -> None:
        """Have the processes train an arm from now on, where a study will have several workers."""
        for process in self._processes[: max(0, self._count)]:
            assert process.stdin is not None
            process.stdin.write(json.dumps([settings.model_dump(mode="json"), styles, paired]) + "\n")
        for process in self._processes[: max(0, self._count)]:
            self._hear(process)

    def leave(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> float:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process that imports harness.trial.run ended with exit code {process.wait()}")
        return float(line)


def keep_busy() -> None:
    """Import what a trial needs, then train the arm that standard input names, until it is closed."""
    import harness.trial.run  # noqa: F401 - what a worker imports is what its start is timed by
    from harness.models import NetworkPair, build_pair
    from harness.preflight.function_probe import random_split
    from harness.preflight.small_networks import Shape
    from harness.trial.trainer import Trainer
    from harness.trial.training import train

    _say()
    line = sys.stdin.readline()
    if not line:
        return
    given: list[Any] = json.loads(line)
    settings, shape = TrialSettings.model_validate(given[0]), Shape(given[1], given[2])
    endless = settings.model_copy(
        update={"training": settings.training.model_copy(update={"steps": 2**31, "batch_size": BATCH})}
    )
    pair: NetworkPair = build_pair(endless, styles=shape.styles, block="busy")
    split = random_split(endless, shape, ITEMS)
    for step in train(Trainer(pair, endless, split, block="busy"), log_every=2**31):
        if step.step == 1:
            _say()
        if select.select([sys.stdin], [], [], 0)[0]:
            return


def _say() -> None:
    sys.stdout.write(f"{time.monotonic()}\n")
    sys.stdout.flush()
