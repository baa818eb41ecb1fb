"""One trial that is a command: run it, read what it logged, measure the images that it left; rows come out."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from harness.errors import shortened
from harness.metrics.catalogue import logged_value
from harness.provenance import code_version, package_versions
from harness.results.schema import Row, TrialRows
from harness.scripts import process
from harness.scripts.environment import STATED, environment_digest
from harness.scripts.logged_values import Log, NoValues, read_log
from harness.scripts.measured_images import MeasuredImages, NoImages, measure_images
from harness.scripts.shared_draws import trace_of
from harness.trial.kernel_kills import oom_kills
from harness.trial.outside_text import cleaned
from harness.trial.run import SHOWN, png_strip
from harness.trial.task import TrialProgress, TrialTask

CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
"""Signals that are the command's own doing; others come from outside."""
NO_MEMORY = re.compile(r"OutOfMemoryError|CUDA out of memory|can't allocate memory|MemoryError\b|bad_alloc")
TAIL = 20_000
"""Bytes of what a command printed in which the reason of its end is looked for."""
PARTS = ("metrics", "named_draws", "scripts", "trial/command_task.py", "image_files.py", "randomness.py")
"""The parts of this package that the rows of commands are computed by."""


class CommandLostError(Exception):
    """A command was ended from outside: that is not its own doing, and it is begun again."""


@dataclass
class _Outcome:
    """What a trial came to, as far as it is known."""

    status: str = "complete"
    error: str | None = None
    log: Log | None = None
    images: MeasuredImages | None = None
    finals: dict[str, float | None] = field(default_factory=dict)
    peak_bytes: int | None = None

    def failed(self, error: str, status: str = "failed") -> None:
        """Note a failure; the first one counts."""
        if self.status == "complete":
            self.status, self.error = status, error


def run_command(task: TrialTask, *, cache: Path, busy: bool = True) -> Generator[TrialProgress, None, TrialRows]:
    """Run one trial's command from scratch, yielding its signs of life; closed early, the command is ended.

    Args:
        task: The trial.
        cache: Folder of real statistics, by content.
        busy: Whether a command that computes, and neither prints nor writes, gives a sign of life.

    Returns:
        The trial's rows.

    Raises:
        CommandLostError: It was ended from outside.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    command, settings = task.command, task.settings.trial
    assert command is not None
    assert settings is not None
    out, log = Path(command.out), Path(f"{command.out}.txt")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for path in (log, trace_of(out)):
        path.unlink(missing_ok=True)
    environment = {**os.environ, **command.environment}
    outcome, signs, kills = _Outcome(), 0, oom_kills()
    ended = None
    for event in process.run(
        command.words,
        directory=Path(command.directory),
        environment=environment,
        log=log,
        out=out,
        busy=busy,
        deadline=command.deadline,
    ):
        if event is None:
            signs += 1
            yield TrialProgress(task.trial_id, signs, 1, math.nan, math.nan)
        else:
            ended = event
    assert ended is not None
    outcome.peak_bytes = ended.peak_bytes
    _judge_end(outcome, ended, log, oom=oom_kills() > kills)
    if outcome.status == "complete":
        _measure(outcome, task, cache)
    return _rows(outcome, task, started, time.perf_counter() - clock)


def _judge_end(outcome: _Outcome, ended: process.Ended, log: Path, *, oom: bool) -> None:
    """Note what the end of a command says.

    Raises:
        CommandLostError: It was ended from outside.
    """
    if ended.too_long:
        outcome.failed("the command was ended after budget.trial_minutes", "timeout")
    elif ended.cannot_start is not None:
        outcome.failed(f"the command cannot be started ({ended.cannot_start})")
    elif ended.code:
        printed = _tail(log)
        name = f"exit code {ended.code}" if ended.code > 0 else signal.Signals(-ended.code).name
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "it printed nothing")
        said = f"the command ended with {name}: {shortened(last, 300)} (all it printed: {log})"
        if oom or NO_MEMORY.search(printed):
            outcome.failed(said, "oom")
        elif ended.code < 0 and -ended.code not in CRASHES:
            raise CommandLostError(said)
        else:
            outcome.failed(said)


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            return cleaned(file.read(), TAIL)
    except OSError:
        return ""


def _measure(outcome: _Outcome, task: TrialTask, cache: Path) -> None:
    """Read what was logged, and measure the images; what is missing or no number makes a failure."""
    command, settings, measured = task.command, task.settings.trial, task.measure.measured
    assert command is not None
    assert settings is not None
    logged = {name: value for name in measured if (value := logged_value(name)) is not None}
    computed = [name for name in measured if name not in logged]
    try:
        if settings.values is not None and (logged or Path(command.values or f"{command.out}.txt").exists()):
            outcome.log = read_log(settings.values, Path(command.values or f"{command.out}.txt"))
            for name, value in logged.items():
                outcome.finals[name] = outcome.log.final(value, settings.values.at)
        if command.generated is not None:
            assert command.real is not None
            outcome.images = measure_images(
                command.generated,
                Path(command.real),
                computed,
                task.measure,
                size=settings.size,
                cache=cache,
            )
            outcome.finals |= {m.metric: m.value for m in outcome.images.measurements}
    except (NoValues, NoImages) as error:
        outcome.failed(cleaned(str(error)))
        return
    for name, number in outcome.finals.items():
        if number is None or not math.isfinite(number):
            outcome.finals[name] = None
            outcome.failed(f"{name} is not a finite number", "diverged")


def _rows(outcome: _Outcome, task: TrialTask, started: datetime, seconds: float) -> TrialRows:
    command, images, settings = task.command, outcome.images, task.settings.trial
    assert command is not None
    reached = outcome.status == "complete"
    stated = {**STATED, **(settings.environment if settings is not None else {})}  # not with names of folders filled in
    finals = outcome.finals if reached else {}
    row: Row = {
        **task.row(),
        "status": outcome.status,
        "error": outcome.error,
        "failed_at_step": None,
        **finals,
        "wall_seconds": seconds,
        "peak_bytes": outcome.peak_bytes,
        "started_at": started,
        "code_version": code_version((), PARTS),
        "packages": json.dumps(package_versions()),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "environment": environment_digest({**os.environ, **stated}, stated),
        **({} if images is None else {"data_hash": images.real_hash, "heldout_hash": images.items_hash}),
    }
    known = {} if images is None else {m.metric: m.columns() for m in images.measurements}
    row["feature_id"] = known.get(task.measure.primary, {}).get("feature_id")
    measurements = tuple(
        {"trial_id": task.trial_id, "step": 1, "metric": name, **known.get(name, {}), "value": finals.get(name)}
        for name in task.measure.measured
    )
    at = None if settings is None or settings.values is None else settings.values.at
    signals = () if outcome.log is None else outcome.log.signals(at)
    pictures = {}
    if images is not None:
        pictures = {"generated": png_strip(images.generated[:SHOWN] * 2 - 1)}
        pictures |= {"target": png_strip(images.real[:SHOWN] * 2 - 1)} if images.paired else {}
    return TrialRows(row, measurements, signals, pictures)
