"""Texts that trials send, what trials may leave behind in a process, and how long they may be silent."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factory
import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

import harness.executors.base
import harness.executors.process_state
from harness.executors.base import Patience, Running
from harness.executors.process_state import kept
from harness.trial.outside_text import cleaned


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a file \udcff", "a file \ufffd"),
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("step 1\rstep 2\r\nend\tof\x00it", "step 1\nstep 2\nend\tofit"),
        (b"na\xefve", "na\ufffdve"),
        ("plain text, naïve – 字", "plain text, naïve – 字"),
    ],
    ids=["lone surrogate", "terminal", "direction", "lines", "bytes", "plain"],
)
def test_a_text_loses_what_could_harm_its_readers_and_nothing_else(text: str | bytes, clean: str) -> None:
    assert cleaned(text) == clean


@given(st.one_of(st.text(st.characters(codec=None), max_size=300), st.binary(max_size=300)), st.integers(50, 200))
def test_any_text_can_be_stored_is_bounded_and_has_no_escapes(text: str | bytes, most: int) -> None:
    clean = cleaned(text, most)
    assert len(clean.encode("utf-8").decode("utf-8")) <= most
    assert not any(ord(char) < 32 and char not in "\n\t" for char in clean)
    assert cleaned(clean, most) == clean


def test_a_text_of_hundreds_of_megabytes_keeps_its_two_ends() -> None:
    clean = cleaned("begin" + "x" * 300_000_000 + "end")
    assert len(clean) <= 2_000
    assert clean.startswith("begin")
    assert clean.endswith("end")
    assert "characters left out" in clean


def spoil_signals() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)


SPOILS: dict[str, Callable[[], Any]] = {
    "torch's grad mode": lambda: torch.set_grad_enabled(False),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "cuDNN's flags": lambda: setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark),
    "torch's matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's threads": lambda: torch.set_num_threads(3),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "torch's autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "numpy's error handling": lambda: np.seterr(all="ignore"),
    "the warnings filters": lambda: warnings.simplefilter("ignore"),
    "the signal handlers": spoil_signals,
    "the environment": lambda: os.environ.update(HARNESS_SPOILT="1"),
    "the working directory": lambda: os.chdir("/"),
    "sys.path": lambda: sys.path.append("/nowhere"),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "garbage collection": gc.disable,
}


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """What the first call imports changes the environment by itself."""
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", SPOILS)
def test_what_a_trial_changes_in_its_process_is_named_and_put_back(name: str) -> None:
    with kept() as changed:
        SPOILS[name]()
    assert changed == [name]
    with kept() as nothing:
        pass
    assert nothing == []


def test_a_library_that_filters_its_own_warnings_changes_nothing_for_others() -> None:
    class OwnWarning(UserWarning):
        pass

    with warnings.catch_warnings():
        with kept() as changed:
            warnings.simplefilter("always", OwnWarning)
    assert changed == []


def test_every_part_of_the_state_is_tested() -> None:
    assert {part.name for part in harness.executors.process_state.PARTS} == set(SPOILS)


def test_a_working_directory_that_is_gone_is_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with kept() as changed:
        os.chdir(folder)
        folder.rmdir()
    assert changed == ["the working directory"]
    assert Path.cwd().exists()


def test_random_streams_are_put_back_and_drawing_from_them_is_no_change() -> None:
    def draws() -> tuple[float, float, float]:
        return torch.rand(1).item(), float(np.random.rand()), random.random()  # noqa: NPY002 - the global stream is meant

    with kept() as changed:
        first = draws()
    assert draws() == first
    assert changed == []


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(harness.executors.base, "time", made)
    return made


def running(folder: Path, asked: float | None) -> Running:
    return Running(tiny.tasks(factory.study(), folder)[0], Patience(asked))


def test_silence_costs_a_status_only_where_the_study_says_after_how_long(clock: Clock, tmp_path: Path) -> None:
    asked, by_itself = running(tmp_path, 60.0), running(tmp_path, None)
    for trial in (asked, by_itself):
        assert trial.silent_for() == 0.0
        assert trial.sign()
        assert not trial.sign()
    clock.now += 60.0
    assert asked.given_up() is None
    clock.now += 0.1
    lost = asked.given_up()
    assert lost is not None
    assert (lost.status, lost.message) == ("timeout", "no progress for 60 s (runner.trial_timeout)")
    clock.now = 1800.0
    assert by_itself.given_up() is None
    clock.now += 0.1
    lost = by_itself.given_up()
    assert lost is not None
    assert lost.status == "lost"


def test_trials_of_slow_steps_may_be_silent_for_ten_times_the_slowest(clock: Clock, tmp_path: Path) -> None:
    slow = running(tmp_path, None)
    slow.sign()
    clock.now = 500.0
    slow.sign()
    clock.now += 5000.0
    assert slow.given_up() is None
    clock.now += 0.1
    assert slow.given_up() is not None
