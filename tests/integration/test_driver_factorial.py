"""A factorial in which every trial with some level fails: an outcome, which must not end the study."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path

import dummy
import pytest

import harness.verdicts.judge
from harness.executors.base import Event, Finished, Lost, Started
from harness.results.store import Store
from harness.study.study import Study
from harness.trial.task import TrialTask


class FastOnesFail(dummy.Formula):
    """Loses every trial of the higher learning rate."""

    def events(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        for task in tasks:
            yield Started(task)
            fails = task.settings.training.optimizer.lr > 1.5e-4
            yield Lost(task, "failed", "ValueError: no") if fails else Finished(task, dummy.rows(task))


@pytest.fixture
def study(formula: None) -> Study:
    asked = dummy.study(2, 3).model_dump(mode="json", exclude_unset=True)
    axes = {**asked["axes"], "training.ema": [0, 0.9]}
    return Study.model_validate({**asked, "axes": axes, "design": {"kind": "factorial", "blocks": 3}})


def test_a_level_that_always_fails_leaves_a_study_with_contrasts_and_effects_that_count_failures(
    study: Study, tmp_path: Path
) -> None:
    dummy.drive(study, tmp_path, executor=FastOnesFail())
    _, found = harness.verdicts.judge.judge_stored(Store(tmp_path / "load"))
    assert found.trials_done == 12
    assert found.effects is not None
    lr = next(e for e in found.effects.effects if e.term == "lr")
    assert (lr.verdict, lr.contrasts[0].failures.arm) == ("inconclusive", 3)
    statuses = {arm.name: arm.statuses for arm in found.arms}
    assert statuses["lr=0.0002"] == {"failed": 3}
    assert statuses["ema=0.9"] == {"complete": 3}
    assert found.primary is not None
    assert len(found.primary.contrasts) == 3
