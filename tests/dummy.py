"""A driver whose trials are formulas: all of the harness but the training, as a program that can be killed.

``python tests/dummy.py FOLDER ARMS BLOCKS WORKERS`` computes a study in real worker processes, and ``python
tests/dummy.py cli …`` is the command line. Workers import this file again, as every spawned process does, and so find
the dummy trainer too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import types
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import factory

import harness.executors.local
import harness.executors.worker
from harness.driver import Driver, Happening, Shard
from harness.executors.base import Compute, Event, Executor, Finished, Place, Started
from harness.executors.local import Local
from harness.provenance import code_version, package_versions
from harness.results.schema import TrialRows
from harness.study.study import Study
from harness.trial.task import TrialProgress, TrialTask


def study(arms: int, blocks: int, *, name: str = "load", signals: int = 100) -> Study:
    """Return a study of as many arms and blocks."""
    levels = [round(1e-4 * (i + 1), 6) for i in range(arms)]
    return Study.model_validate(
        {
            "study": name,
            "training": {"steps": 100},
            "axes": {"training.optimizer.lr": levels},
            "design": {"blocks": blocks},
            "measure": {
                "at": ["50%", "100%"],
                "primary": "fid_efficientnet",
                "also": ["ssim", "l1"],
                "signals": signals,
            },
            "runner": {"retries": 1000, "trial_timeout": 60.0},
        }
    )


def rows(task: TrialTask, *, signals: bool = True) -> TrialRows:
    """Return rows that are a function of arm and block alone."""
    lr = task.settings.training.optimizer.lr
    luck = int.from_bytes(hashlib.sha256(task.trial_id.encode()).digest()[:4], "big") / 2**32
    values = {"fid_efficientnet": 50 + 1000 * lr + luck, "ssim": 0.5 + luck / 10, "l1": 0.1 + luck / 100}
    steps = task.measure.steps(task.settings.training.steps)
    names = ("study", "study_hash", "trial_id", "arm", "block", "attempts")
    row = factory.row({**{name: getattr(task, name) for name in names}, "steps": steps[-1]}, task.levels, values)
    row |= {"code_version": code_version(task.doors), "packages": json.dumps(package_versions())}
    measurements = tuple(
        {"trial_id": task.trial_id, "step": s, "metric": m, "value": v, "n_real": 512, "n_fake": 512, "floor": 5.5}
        for s in steps
        for m, v in values.items()
    )
    names = ("loss_d", "loss_g", "d_real", "d_fake", "gradient_norm_g", "gradient_norm_d", "loss_l1", "saturation")
    logged = range(1, task.measure.signals + 1) if signals else ()
    return TrialRows(
        row, measurements, tuple({"step": s, **{n: luck + s + i for i, n in enumerate(names)}} for s in logged), {}
    )


def run_trial(task: TrialTask, **_: Any) -> Generator[TrialProgress, None, TrialRows]:
    """Stand in for the training."""
    yield from ()
    return rows(task)


class Formula:
    """An executor that computes in the driver's own process."""

    workers = 1

    @contextlib.contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:  # noqa: ARG002 - the protocol's
        """Begin nothing."""
        yield self.events

    def events(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Yield each task's rows."""
        for task in tasks:
            yield Started(task)
            yield Finished(task, rows(task))


class _NoPlan:
    """A preflight that found nothing."""

    arms = ()
    estimated_seconds = None

    @staticmethod
    def document() -> dict[str, Any]:
        """Return it for the plan's file."""
        return {"arms": []}


def stand_ins() -> dict[str, types.ModuleType]:
    """Return the formula in the place of the training, and nothing in the place of preflight and data."""
    parts = {
        "harness.trial.run": {"run_trial": run_trial, "SHOWN": 12, "png_strip": lambda *_: b""},
        "harness.preflight.preflight": {"preflight": lambda *_, **__: _NoPlan()},
        "harness.trial.references": {"references": lambda *_, **__: None},
        "harness.data": {"load": lambda *_: types.SimpleNamespace(notes=())},
    }
    found = {name: types.ModuleType(name) for name in parts}
    for name, contents in parts.items():
        vars(found[name]).update(contents)
    return found


def without_torch() -> None:
    """Put the stand-ins in their places, for the rest of this process."""
    sys.modules.update(stand_ins())
    harness.executors.worker.warm_up = harness.executors.local.warm_up = lambda: None
    harness.executors.local.PRELOADED = []


def drive(
    asked: Study, results: str | Path, *, executor: Executor | None = None, shard: Shard | None = None
) -> list[Happening]:
    """Run a study with the formula in the place of the training, and return what happened."""
    happened: list[Happening] = []
    Driver(asked, results, executor=executor or Formula(), watch=happened.append, shard=shard).run()
    return happened


if __name__ in ("__main__", "__mp_main__"):
    without_torch()

if __name__ == "__main__":
    if sys.argv[1] == "cli":
        from harness.cli import main

        main(sys.argv[2:])
    folder, arms, blocks, workers = sys.argv[1], *map(int, sys.argv[2:5])
    drive(study(arms, blocks, signals=5), Path(folder), executor=Local(workers))
