"""A trial, a worker, a driver or all of them killed with SIGKILL: the stored rows are what they would have been."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
from pathlib import Path

import factory
import pytest
import tiny

from harness.executors.base import Lost
from harness.executors.local import Local
from harness.trial import checkpoints
from harness.trial.task import TrialProgress


def test_a_trial_whose_worker_is_killed_goes_on_from_its_checkpoint_to_the_same_rows(tmp_path: Path) -> None:
    task = tiny.tasks(factory.study(), tmp_path)[1]
    _, straight = tiny.computed(task, tmp_path)
    place = tiny.place(tmp_path)
    file = place.checkpoints / f"{task.trial_id}.pt"
    lost: Lost | None = None
    for event in tiny.events(Local(1), [task], place):
        if lost is None and isinstance(event, TrialProgress) and file.exists():
            for pid in tiny.workers(os.getpid()):
                tiny.kill(pid)
        lost = event if isinstance(event, Lost) else lost
    assert lost is not None
    assert lost.status == "lost"
    assert "SIGKILL" in lost.message
    saved = checkpoints.load(file, checkpoints_key(file), "cpu")
    assert saved is not None
    reached = saved["trainer"]["step"]
    assert 0 < reached < 40
    steps, rows = tiny.computed(task, tmp_path, checkpoint=file)
    assert min(steps) > reached
    assert tiny.same(rows, straight)


def checkpoints_key(file: Path) -> str:
    import torch

    return str(torch.load(file, weights_only=True)["key"])


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    folder = tmp_path_factory.mktemp("reference")
    done = tiny.run(folder)
    assert tiny.ended(done.returncode, done.stdout), done.stderr
    found = tiny.rows(folder)
    assert len(json.loads(found[0])) == 4
    assert len(json.loads(found[2])) == 4 * 20
    return found


@pytest.mark.slow
def test_workers_killed_at_random_moments_leave_the_rows_of_an_undisturbed_run(
    tmp_path: Path, reference: tuple[str, str, str]
) -> None:
    luck, killed = random.Random(1), 0
    driver = tiny.start(tmp_path, runner={"checkpoint_every": 0.1, "retries": 1000})
    end = time.monotonic() + 300
    while driver.poll() is None:
        assert time.monotonic() < end
        time.sleep(luck.uniform(0.3, 3.0 if killed < 15 else 60.0))
        workers = tiny.workers(driver.pid)
        begun = (tmp_path / "tiny" / "checkpoints").exists()
        if workers and (killed < 15) and (begun or luck.random() < 0.1):
            tiny.kill(luck.choice(workers))
            killed += 1
    out, _ = driver.communicate()
    assert tiny.ended(driver.returncode, out), out
    assert killed >= 3
    assert tiny.rows(tmp_path) == reference


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_drivers_and_workers_killed_at_random_moments_leave_the_rows_of_an_undisturbed_run(
    tmp_path: Path, reference: tuple[str, str, str], seed: int
) -> None:
    luck, killed = random.Random(seed), 0
    options = {"runner": {"checkpoint_every": 0.1, "retries": 1000}}
    for attempt in itertools.count():
        driver = tiny.start(tmp_path, **options)
        if attempt >= 5:
            out, _ = driver.communicate(timeout=300)
            assert tiny.ended(driver.returncode, out), out
            break
        # The moment is counted from the start of the trials: killing imports would test nothing.
        tiny.wait_until(lambda driver=driver: len(tiny.workers(driver.pid)) == 2 or driver.poll() is not None)
        time.sleep(luck.choice([luck.uniform(0.0, 4.0), luck.uniform(4.0, 15.0)]))
        workers = tiny.workers(driver.pid)
        victims = luck.choice([[driver.pid], [driver.pid], [*workers, driver.pid], [driver.pid, *workers[:1]]])
        for pid in victims:
            tiny.kill(pid)
        killed += 1
        if driver.pid in victims:
            driver.communicate(timeout=60)
            tiny.wait_until(lambda workers=workers: not any(map(tiny.alive, workers)), 10)
    assert killed == 5
    assert tiny.rows(tmp_path) == reference


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_driver(tmp_path: Path) -> None:
    driver = tiny.start(tmp_path)
    tiny.wait_until(lambda: len(tiny.workers(driver.pid)) == 2)
    workers = tiny.workers(driver.pid)
    tiny.kill(driver.pid)
    driver.communicate(timeout=60)
    tiny.wait_until(lambda: not any(map(tiny.alive, workers)), 10)


@pytest.mark.slow
def test_ctrl_c_stops_with_130_and_the_next_run_goes_on(tmp_path: Path, reference: tuple[str, str, str]) -> None:
    driver = tiny.start(tmp_path)
    tiny.wait_until(lambda: Path(tmp_path / "tiny" / "trials").exists() or driver.poll() is not None)
    workers = tiny.workers(driver.pid)
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, out
    assert "run again to go on" in out
    assert "Traceback" not in out
    assert not any(map(tiny.alive, workers))
    again = tiny.run(tmp_path)
    assert tiny.ended(again.returncode, again.stdout), again.stderr
    assert tiny.rows(tmp_path) == reference


@pytest.mark.slow
def test_results_do_not_depend_on_workers_checkpoints_or_order(tmp_path: Path, reference: tuple[str, str, str]) -> None:
    done = tiny.run(tmp_path, "--workers", "1", runner={"checkpoint_every": 1000.0})
    assert tiny.ended(done.returncode, done.stdout), done.stderr
    assert tiny.rows(tmp_path) == reference


def test_events_of_a_study_without_tasks_are_none(tmp_path: Path) -> None:
    assert list(tiny.events(Local(2), [], tiny.place(tmp_path))) == []
