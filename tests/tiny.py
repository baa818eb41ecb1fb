"""Commands here and in processes of their own, and what must be equal between two computations."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from factory import asked

from harness.cli import main
from harness.driver import Driver
from harness.executors.base import Event, Executor, Place
from harness.executors.local import Local
from harness.results.schema import TrialRows, comparable
from harness.results.store import Store
from harness.study.design import trials
from harness.study.study import Study
from harness.trial.task import TrialTask

ROOT = Path(__file__).parents[1]


def command(folder: Path, *more: str, **changes: Any) -> list[str]:
    """Write the study's file and return the command that runs it with results in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(asked(**changes)), encoding="utf-8")
    return [sys.executable, "-m", "harness", "run", str(file), "--results", str(folder), "--workers", "2", *more]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command: this checkout, one thread, and the tests' own parts."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, where torch is imported already, and return its exit code and what it printed."""
    codes: list[int] = []
    out, err = io.StringIO(), io.StringIO()
    words = [str(argument) for argument in arguments]
    if words[0] == "run" and "--executor" not in words:
        words += ["--executor", "in-process"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words, exit_with=codes.append)
        except SystemExit as stop:
            codes.append(int(stop.code or 0))
    return subprocess.CompletedProcess(words, codes[0], out.getvalue(), err.getvalue())


def run(
    folder: Path, *more: str, env: Mapping[str, str] | None = None, **changes: Any
) -> subprocess.CompletedProcess[str]:
    """Run the study to its end."""
    return subprocess.run(
        command(folder, *more, **changes),
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def ended(code: int, out: str) -> bool:
    """Whether a run came to its end: 2 is the code of a study whose verdicts are all invalid, and of a refusal too."""
    return code in (0, 1) or (code == 2 and "\nreport: " in out)


def start(folder: Path, *more: str, env: Mapping[str, str] | None = None, **changes: Any) -> subprocess.Popen[str]:
    """Start the study in a process of its own."""
    return subprocess.Popen(
        command(folder, *more, **changes),
        env=environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers(driver: int) -> list[int]:
    """Return the worker processes of a driver: forks of a server that is its child."""
    return [pid for child in children(driver) if "forkserver" in command_line(child) for pid in children(child)]


def children(parent: int) -> list[int]:
    """Return a process's children (proc(5))."""
    try:
        return list(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()))
    except OSError:
        return []


def descendants(parent: int) -> list[int]:
    """Return a process's children, their children, and so on."""
    return [pid for child in children(parent) for pid in (child, *descendants(child))]


def processes(words: str) -> list[int]:
    """Return this machine's processes whose command line holds some words."""
    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if words in command_line(int(p.name))]


def command_line(pid: int) -> str:
    """Return what a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """Kill a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_until(condition: Any, seconds: float = 120.0) -> None:
    """Wait for something, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.02)


def rows(folder: Path, name: str = "tiny") -> tuple[str, str, str]:
    """Return all that must not depend on kills, as text: floats by their shortest exact form."""
    tables = Store(folder / name).tables()
    trials = [comparable(row) for row in tables.trials.sort_values("trial_id").to_dict("records")]
    for row in trials:
        row.pop("study_hash")
    measured = tables.measurements.sort_values(["trial_id", "step", "metric"]).to_dict("records")
    signals = tables.signals.sort_values(["trial_id", "step"]).to_dict("records")
    texts = [json.dumps(part, sort_keys=True, default=str) for part in (trials, measured, signals)]
    return texts[0], texts[1], texts[2]


def tasks(of: Study, folder: Path) -> list[TrialTask]:
    """Return a study's tasks as its driver would hand them to an executor."""
    driver = Driver(of, folder, executor=Local(1), watch=lambda _: None)
    return [driver._task(trial) for trial in trials(driver.arms, range(of.design.most_blocks))]


def events(executor: Executor, tasks: Sequence[TrialTask], place: Place) -> Iterator[Event]:
    """Yield what happens while an executor computes tasks."""
    with executor.opened(place, len(tasks)) as compute:
        yield from compute(tasks)


def computed(task: TrialTask, folder: Path, **options: Any) -> tuple[list[int], TrialRows]:
    """Compute a trial in this process, and return the steps at which it gave a sign, and its rows."""
    from harness.trial.run import run_trial

    course, steps = run_trial(task, cache=folder / ".cache", **options), list[int]()
    while True:
        try:
            steps.append(next(course).step)
        except StopIteration as end:
            return steps, end.value


def place(folder: Path, *, timeout: float | None = None, every: float = 0.05) -> Place:
    """Return a place for caches and checkpoints in a folder."""
    return Place(folder / ".cache", folder / "checkpoints", every, timeout)


def same(left: TrialRows, right: TrialRows) -> bool:
    """Whether two computations of one trial gave the same rows and pictures, bit for bit."""
    return (comparable(left.trial), left.measurements, left.signals, left.pictures) == (
        comparable(right.trial),
        right.measurements,
        right.signals,
        right.pictures,
    )
