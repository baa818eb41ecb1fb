"""What a driver makes of trials that give no rows: which it begins again, what it stores, what it counts."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import dummy
import pytest
import tiny
import yaml

from harness.driver import Happening, Retried
from harness.executors.base import Event, Finished, Lost
from harness.results.store import Store
from harness.study.study import Study
from harness.trial.task import TrialTask
from harness.verdicts.judge import judge_stored

pytestmark = pytest.mark.usefixtures("formula")


def study(blocks: int = 3, *, retries: int = 2) -> Study:
    asked = dummy.study(2, blocks, signals=3)
    return asked.model_copy(update={"runner": asked.runner.model_copy(update={"retries": retries})})


class Script(dummy.Formula):
    """Loses one trial of every kind."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def events(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        for task in tasks:
            self.begun.append(task.trial_id)
            first = task.attempts == 1
            match task.arm == "baseline", task.block:
                case True, 0:
                    yield Lost(task, "lost", "SIGKILL") if first else Finished(task, dummy.rows(task))
                case True, 1:
                    yield Lost(task, "lost", "SIGKILL")
                case True, 2:
                    yield Lost(task, "failed", "ValueError: \udcff\x1b[31mno", "Traceback: line \udcff")
                case False, 0:
                    yield Lost(task, "oom", "out of memory") if first else Finished(task, dummy.rows(task))
                case False, 1:
                    yield Lost(task, "timeout", "no progress for 4 s (runner.trial_timeout)")
                case _:
                    rows = dummy.rows(task)
                    row = {**rows.trial, "status": "diverged", "failed_at_step": 3, "fid_efficientnet": None}
                    yield Finished(task, dataclasses.replace(rows, trial=row), printed="the last words")


def test_losses_of_the_machine_are_retried_failures_once_more_and_every_loss_is_a_row(tmp_path: Path) -> None:
    script = Script()
    dummy.drive(study(), tmp_path, executor=script)
    rows = Store(tmp_path / "load").trials().set_index("trial_id")
    assert rows["status"].to_dict() == {
        "b000-baseline": "complete",
        "b001-baseline": "lost",
        "b002-baseline": "failed",
        "b000-lr=0.0002": "complete",
        "b001-lr=0.0002": "timeout",
        "b002-lr=0.0002": "diverged",
    }
    attempts = {trial_id: script.begun.count(trial_id) for trial_id in rows.index}
    assert rows["attempts"].to_dict() == attempts
    assert list(attempts.values()) == [2, 2, 3, 1, 2, 1]
    traceback = tmp_path / "load" / "errors" / "b002-baseline.txt"
    assert rows.loc["b002-baseline", "error"] == f"ValueError: \ufffdno (traceback: {traceback})"
    assert traceback.read_text() == "Traceback: line \ufffd"
    assert (tmp_path / "load" / "printed" / "b002-lr=0.0002.txt").read_text() == "the last words"


class Losing(dummy.Formula):
    """Loses the trials of some blocks' second arm."""

    def __init__(self, *blocks: int) -> None:
        self.blocks = blocks

    def events(self, tasks: Iterable[TrialTask]) -> Generator[Event]:
        for task in tasks:
            lost = task.block in self.blocks and task.arm != "baseline"
            yield Lost(task, "lost", "a node is gone") if lost else Finished(task, dummy.rows(task))


def test_what_the_machine_lost_counts_for_nobody_and_is_listed(tmp_path: Path) -> None:
    dummy.drive(study(5), tmp_path / "lost", executor=Losing(1, 3))
    dummy.drive(study(5), tmp_path / "never", executor=dummy.Formula())
    for block in (1, 3):
        for path in (tmp_path / "never" / "load" / "trials").glob(f"b00{block}-lr*"):
            path.unlink()
    (_, lost), (_, never) = (judge_stored(tmp_path / name / "load") for name in ("lost", "never"))
    assert lost.contrasts == never.contrasts
    assert lost.contrasts[0].n == 3
    assert lost.arms[1].statuses == {"complete": 3, "lost": 2}


def command(folder: Path, asked: Study, *more: str) -> Any:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(asked.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    return tiny.call("run", file, "--results", folder, *more)


def test_lost_trials_are_computed_again_where_that_is_asked_for(tmp_path: Path) -> None:
    dummy.drive(study(), tmp_path, executor=Losing(1))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "load" / "trials").glob("*.parquet")}
    assert command(tmp_path, study()).returncode == 1
    assert set(Store(tmp_path / "load").trials()["status"]) == {"complete", "lost"}
    done = command(tmp_path, study(), "--retry", "lost")
    assert done.returncode == 0, done.stderr
    assert set(Store(tmp_path / "load").trials()["status"]) == {"complete"}
    changed = [p.stem for p, at in before.items() if p.stat().st_mtime_ns != at]
    assert changed == ["b001-lr=0.0002"]
    refused = command(tmp_path, study(), "--retry", "lots")
    assert refused.returncode == 2
    assert "--retry: no status 'lots'; did you mean 'lost'?" in refused.stderr


@pytest.fixture
def signals_by_default() -> Iterator[None]:
    """Tests that were started in the background, or by nohup, inherit signals that are ignored."""
    handlers = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_by_default")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_that_end_a_command_end_it_with_its_rows_one_line_and_no_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def run_trial(task: TrialTask, **_: Any) -> Generator[Any, None, Any]:
        yield from ()
        if task.block == 1:
            os.kill(os.getpid(), number)
        return dummy.rows(task)

    monkeypatch.setattr(sys.modules["harness.trial.run"], "run_trial", run_trial)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    stopped = command(tmp_path, study())
    assert stopped.returncode == 128 + number
    assert "2 trials have their rows; run again to go on" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not (tmp_path / "load" / ".holder").exists()
    assert len(Store(tmp_path / "load").done()) == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == handlers


@pytest.mark.usefixtures("signals_by_default")
def test_a_signal_that_the_parent_has_set_to_be_ignored_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_trial(task: TrialTask, **_: Any) -> Generator[Any, None, Any]:
        yield from ()
        os.kill(os.getpid(), signal.SIGHUP)
        return dummy.rows(task)

    monkeypatch.setattr(sys.modules["harness.trial.run"], "run_trial", run_trial)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert command(tmp_path, study()).returncode == 0
    assert len(Store(tmp_path / "load").done()) == 6


def test_a_trial_begun_again_is_said_with_its_reason(tmp_path: Path) -> None:
    happened: list[Happening] = dummy.drive(study(), tmp_path, executor=Script())
    reasons = [event.reason for event in happened if isinstance(event, Retried)]
    assert sorted(reasons) == ["SIGKILL", "SIGKILL", "SIGKILL", "ValueError: \ufffdno", "out of memory"]
