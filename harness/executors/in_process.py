"""Trials one after another in the driver's own process: for debuggers, profilers and tests."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from harness.executors.base import Compute, Event, Place, Resources, Started
from harness.executors.worker import compute
from harness.trial.task import TrialTask


@dataclass(frozen=True)
class InProcess:
    """Starts no process: a breakpoint in a network stops there, and a trial that kills its process ends the study.

    A trial that hangs is not given up: nobody is there to end it.
    """

    gpus: float = 0
    """GPUs a trial takes; 0 computes on the CPU."""
    workers: int = 1

    @contextlib.contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:  # noqa: ARG002 - there is nothing to start
        """Compute with one thread, as everywhere, and give the process its threads back."""
        import torch

        threads = torch.get_num_threads()
        try:
            yield functools.partial(self._events, place)
        finally:
            torch.set_num_threads(threads)

    def _events(self, place: Place, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Compute the tasks in their order."""
        for task in tasks:
            yield Started(task)
            with contextlib.closing(compute(task, place, gpu=self.gpus > 0)) as events:
                while True:
                    with contextlib.redirect_stdout(sys.stderr):  # standard output is the command's own
                        event = next(events, None)
                    if event is None:
                        break
                    yield event


def executor(resources: Resources) -> InProcess:
    """Return the executor; it takes one trial at a time, however many are asked for."""
    return InProcess(gpus=resources.gpus)
