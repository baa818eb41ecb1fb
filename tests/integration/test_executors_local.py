"""Trials that sleep, raise, take all memory, exit or die cost themselves their status, and nothing else."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import factory
import pytest
import tiny

from harness.errors import HarnessError
from harness.executors.base import Event, Finished, Lost, Place, ProcessChanged, Started
from harness.executors.local import Local, gpu_slots
from harness.executors.worker import compute
from harness.study.study import Study
from harness.trial.task import TrialTask

CALM = "nothing"


def awkward(*does: str, **options: Any) -> Study:
    return factory.study(
        generator={"kind": "awkward:generator", "options": {"does": does[0], **options}},
        axes={"generator.options.does": list(does)} if len(does) > 1 else {},
        design={"blocks": 1},
        training={"steps": 12, "batch_size": 4, "loss": {"constant": 0.0}},
    )


def computed(task: TrialTask, place: Place) -> Event:
    *_, outcome = compute(task, place, gpu=False)
    return outcome


@pytest.mark.parametrize(
    ("does", "status", "says"),
    [
        ("raise", "failed", "ValueError: a network of the user's own"),
        ("allocate", "oom", "can't allocate memory"),
        ("python-memory", "oom", "out of memory"),
        ("no-room", "lost", "No space left on device"),
        ("broken-gpu", "lost", "CUDA error"),
        ("half-a-character", "failed", "ValueError: file \ufffd"),
    ],
)
def test_what_a_trial_raises_is_an_outcome(tmp_path: Path, does: str, status: str, says: str) -> None:
    (task,) = tiny.tasks(awkward(does), tmp_path)
    lost = computed(task, tiny.place(tmp_path))
    assert isinstance(lost, Lost)
    assert lost.status == status
    assert says in lost.message
    assert "awkward.py" in (lost.traceback or "")


def test_a_network_that_diverges_is_an_outcome_with_a_row_of_its_own(tmp_path: Path) -> None:
    (task,) = tiny.tasks(awkward("diverge"), tmp_path)
    finished = computed(task, tiny.place(tmp_path))
    assert isinstance(finished, Finished)
    assert finished.rows.trial["status"] == "diverged"
    assert finished.rows.trial["failed_at_step"] == 3


def test_slots_fill_one_gpu_after_the_other() -> None:
    assert gpu_slots(1, ["0", "1"]) == ["0", "1"]
    assert gpu_slots(0.5, ["GPU-a", "GPU-b"]) == ["GPU-a", "GPU-b", "GPU-a", "GPU-b"]
    assert gpu_slots(0.3, ["0"]) == ["0"] * 3
    assert gpu_slots(2, ["0", "1", "2", "3", "4"]) == ["0,1", "2,3"]


@pytest.mark.parametrize(("share", "gpus"), [(1, []), (2, ["0"]), (0.5, []), (1.5, ["0", "1"])])
def test_gpus_that_are_not_there_are_refused_before_any_trial(share: float, gpus: list[str]) -> None:
    with pytest.raises(HarnessError, match=r"runner\.gpus"):
        gpu_slots(share, gpus)


def test_workers_live_on_from_trial_to_trial_and_are_replaced_when_they_died_idle(tmp_path: Path) -> None:
    first, second, third = tiny.tasks(factory.study(training={"steps": 4, "batch_size": 4}), tmp_path)[:3]
    with Local(1).opened(tiny.place(tmp_path), 1) as compute_all:
        assert any(isinstance(event, Finished) for event in compute_all([first]))
        (worker,) = tiny.workers(os.getpid())
        assert any(isinstance(event, Finished) for event in compute_all([second]))
        assert tiny.workers(os.getpid()) == [worker]
        tiny.kill(worker)
        # Its first thread can be gone before the others have let go of the pipe: its server has to have seen it end.
        tiny.wait_until(lambda: not Path(f"/proc/{worker}").exists())
        assert any(isinstance(event, Finished) for event in compute_all([third]))
        (other,) = tiny.workers(os.getpid())
        assert other != worker
    tiny.wait_until(lambda: not tiny.alive(other))


def test_a_worker_that_dies_while_a_child_of_its_own_holds_its_pipe_is_noticed(tmp_path: Path) -> None:
    (task,) = tiny.tasks(awkward("leave-a-child", folder=str(tmp_path)), tmp_path)
    (lost,) = [e for e in tiny.events(Local(1), [task], tiny.place(tmp_path)) if isinstance(e, Lost)]
    assert lost.status == "lost"
    tiny.kill(int((tmp_path / "child").read_text()))


def test_a_trial_that_changes_its_process_is_named_and_nobody_follows_it_there(tmp_path: Path) -> None:
    spoils, calm = tiny.tasks(awkward("spoil", CALM), tmp_path)
    events = list(tiny.events(Local(1), [spoils, calm], tiny.place(tmp_path)))
    (changed,) = [event for event in events if isinstance(event, ProcessChanged)]
    assert changed.task == spoils
    assert {"torch's default dtype", "torch's grad mode", "the environment"} <= set(changed.what)
    rows = {event.task.arm: event.rows for event in events if isinstance(event, Finished)}
    assert tiny.same(rows[calm.arm], tiny.computed(calm, tmp_path)[1])


def test_a_trial_that_is_begun_again_gets_a_process_of_its_own(tmp_path: Path) -> None:
    first, second = tiny.tasks(awkward(CALM, "diverge"), tmp_path)
    pids = []
    with Local(1).opened(tiny.place(tmp_path), 2) as compute_all:
        for task in (first, second, dataclasses.replace(first, attempts=2)):
            pids += [tiny.workers(os.getpid())[0] for event in compute_all([task]) if isinstance(event, Started)]
    assert pids[0] == pids[1] != pids[2]


def test_what_a_trial_prints_is_kept_to_its_end_and_cannot_steer_a_terminal(tmp_path: Path) -> None:
    (task,) = tiny.tasks(awkward("shout"), tmp_path)
    (finished,) = [e for e in tiny.events(Local(1), [task], tiny.place(tmp_path)) if isinstance(e, Finished)]
    assert len(finished.printed) <= 20_000
    assert finished.printed.endswith("the last words\n")
    assert "\x1b" not in finished.printed


@pytest.mark.slow
def test_each_trial_pays_for_itself_alone(tmp_path: Path) -> None:
    study = awkward(CALM, "sleep", "raise", "allocate", "exit", "kill-always", "diverge")
    tasks = tiny.tasks(study, tmp_path)
    outcomes: dict[str, Event] = {}
    for event in tiny.events(Local(2), tasks, tiny.place(tmp_path, timeout=4.0)):
        if isinstance(event, (Finished, Lost)):
            name = event.task.levels["generator.options.does"]
            assert name not in outcomes
            outcomes[name] = event
    found = {n: e.status if isinstance(e, Lost) else e.rows.trial["status"] for n, e in outcomes.items()}  # type: ignore[union-attr]
    assert found == {
        CALM: "complete",
        "sleep": "timeout",
        "raise": "failed",
        "allocate": "oom",
        "exit": "failed",
        "kill-always": "lost",
        "diverge": "diverged",
    }
    said = {name: event.message for name, event in outcomes.items() if isinstance(event, Lost)}
    assert said["sleep"] == "no progress for 4 s (runner.trial_timeout)"
    assert "exit code 3" in said["exit"]
    assert "SIGKILL" in said["kill-always"]
