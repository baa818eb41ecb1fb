"""Trials in the driver's own process: the rows of worker processes, and a process that is left as it was."""

from __future__ import annotations

from pathlib import Path

import factory
import pytest
import tiny
import torch

from harness.errors import HarnessError
from harness.executors.base import Finished, Started
from harness.executors.in_process import InProcess
from harness.executors.named import EXECUTORS, executor_named
from harness.trial.task import TrialProgress


def test_trials_follow_each_other_with_their_progress_and_their_rows(tmp_path: Path) -> None:
    tasks = tiny.tasks(factory.study(training={"steps": 6, "batch_size": 4}, design={"blocks": 1}), tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        events = list(tiny.events(InProcess(), tasks, tiny.place(tmp_path)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    told = [
        (type(event), event.trial_id if isinstance(event, TrialProgress) else event.task.trial_id) for event in events
    ]
    assert list(dict.fromkeys(told)) == [
        (kind, task.trial_id) for task in tasks for kind in (Started, TrialProgress, Finished)
    ]
    for event in events:
        if isinstance(event, Finished):
            assert event.rows.trial["threads"] == 1
            assert tiny.same(event.rows, tiny.computed(event.task, tmp_path)[1])


@pytest.mark.parametrize(("code", "first"), [(None, 8), ("other", 1)], ids=["same code", "other code"])
def test_a_trial_that_is_left_in_the_middle_goes_on_from_there_to_the_same_rows_unless_the_code_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, first: int
) -> None:
    monkeypatch.setattr("harness.trial.run.PROGRESS_EVERY", 0.0)
    (task, *_) = tiny.tasks(factory.study(training={"steps": 12, "batch_size": 4, "ema": 0.9}), tmp_path)
    place = tiny.place(tmp_path, every=1000.0)
    with InProcess().opened(place, 1) as compute:
        events = compute([task])
        assert any(isinstance(event, TrialProgress) and event.step == 7 for event in events)
        events.close()
    if code is not None:
        monkeypatch.setattr("harness.trial.run.code_version", lambda *_: code)
    steps, rows = tiny.computed(task, tmp_path, checkpoint=place.checkpoints / f"{task.trial_id}.pt")
    assert steps == list(range(first, 13))
    assert tiny.same(rows, tiny.computed(task, tmp_path)[1])


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_is_found_by_its_name_with_the_workers_that_were_asked_for(name: str) -> None:
    executor = executor_named(name, workers=3, cpus=1, gpus=0)  # type: ignore[arg-type]
    assert executor.workers == (1 if name == "in-process" else 3)


def test_an_unknown_executor_is_named_with_the_nearest() -> None:
    with pytest.raises(HarnessError, match="no 'in-proces'; did you mean 'in-process'"):
        executor_named("in-proces", workers=1, cpus=1, gpus=0)  # type: ignore[arg-type]
