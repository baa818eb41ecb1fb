"""On a GPU: `pytest -m gpu -n 0`. Everywhere else these are skipped, and say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import pytest
import tiny
import torch

from harness.executors.base import Finished, Lost
from harness.executors.local import Local
from harness.executors.worker import compute
from harness.preflight.preflight import preflight
from harness.study.design import arms
from harness.study.study import Study
from harness.terminal.gpu_check import CHECKS
from harness.trial.task import TrialTask

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here (torch.cuda.is_available())"),
]
VALUES, LOSSES = 0.05, 0.01
"""Largest differences of a metric and of a loss from the CPU's, of a value or of 1: the trainings are short."""


def study(**changes: Any) -> Study:
    return factory.study(runner={"gpus": 1, "checkpoint_every": 60}, **changes)


def task(folder: Path, **changes: Any) -> TrialTask:
    return tiny.tasks(study(**changes), folder)[0]


def outcome(task: TrialTask, folder: Path, *, gpu: bool) -> Finished | Lost:
    *_, last = compute(task, tiny.place(folder), gpu=gpu)
    assert isinstance(last, (Finished, Lost))
    return last


@pytest.mark.parametrize("name", CHECKS)
def test_the_self_test_of_doctor_passes(name: str) -> None:
    assert CHECKS[name]("cuda")


def test_a_trial_on_the_gpu_is_that_of_the_cpu_within_a_tolerance(tmp_path: Path) -> None:
    short = task(tmp_path, training={"steps": 5, "batch_size": 4})
    here, there = (outcome(short, tmp_path / str(gpu), gpu=gpu) for gpu in (True, False))
    assert isinstance(here, Finished), here
    assert isinstance(there, Finished), there
    assert here.rows.trial["device"] == torch.cuda.get_device_name()
    assert here.rows.trial["feature_id"] == there.rows.trial["feature_id"]
    for a, b in zip(here.rows.measurements, there.rows.measurements, strict=True):
        assert (a["step"], a["metric"], a.get("feature_id")) == (b["step"], b["metric"], b.get("feature_id"))
        assert a["value"] == pytest.approx(b["value"], rel=VALUES, abs=VALUES)
    first = [rows.rows.signals[0] for rows in (here, there)]
    assert first[0]["loss_d"] == pytest.approx(first[1]["loss_d"], rel=LOSSES)
    assert first[0]["loss_g"] == pytest.approx(first[1]["loss_g"], rel=LOSSES)


def test_a_trial_on_the_gpu_is_itself_again_bit_for_bit(tmp_path: Path) -> None:
    one = task(tmp_path)
    first, second = (outcome(one, tmp_path / name, gpu=True) for name in "ab")
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert tiny.same(first.rows, second.rows)


def test_more_than_the_card_holds_is_a_status_and_the_next_trial_runs(tmp_path: Path) -> None:
    much = task(
        tmp_path,
        data={"kind": "glyphs", "image_size": 256, "characters": factory.CHARACTERS},
        generator={"kind": "unet", "channels": 64},
        training={"steps": 1, "batch_size": 8192},
    )
    lost = outcome(much, tmp_path, gpu=True)
    status = lost.rows.trial["status"] if isinstance(lost, Finished) else lost.status
    assert status == "oom"
    torch.cuda.empty_cache()
    assert isinstance(outcome(task(tmp_path), tmp_path, gpu=True), Finished)


def test_two_trials_share_a_card_and_give_the_rows_of_one_at_a_time(tmp_path: Path) -> None:
    both = tiny.tasks(study(), tmp_path)[:2]
    rows = {}
    for name, executor in (("shared", Local(2, gpus=0.5)), ("alone", Local(1, gpus=1))):
        done = [e for e in tiny.events(executor, both, tiny.place(tmp_path / name)) if isinstance(e, Finished)]
        rows[name] = {event.task.trial_id: event.rows for event in done}
        assert len(rows[name]) == 2
    assert all(tiny.same(rows["shared"][trial], rows["alone"][trial]) for trial in rows["alone"])


def test_the_pace_of_a_plan_is_the_gpus(tmp_path: Path) -> None:
    asked = study()
    plan = preflight(asked, arms(asked), cache=tmp_path)
    assert plan.estimated_seconds is not None
    assert all(arm.seconds_per_step is not None and arm.seconds_per_step < 1 for arm in plan.arms)
