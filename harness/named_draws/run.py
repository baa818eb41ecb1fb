"""Running a command with named draws, and saying what became of them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from harness.errors import HarnessError
from harness.named_draws.command import Matching, matched_environment

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
SET_PARENT_DEATH_SIGNAL = 1
"""Of prctl(2)."""


def counted(count: int, noun: str, plural: str = "s") -> str:
    """Return a number and its noun: ``1 process``, ``2 processes``."""
    return f"{count:,} {noun}{'' if count == 1 else plural}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command and its draws."""

    exit_code: int
    processes: int
    """Python processes that named their draws and lived to report it."""
    draws: int
    escaped: dict[str, int]
    """Where a generator moved without a named draw, and how often that was seen."""

    def text(self, matching: Matching) -> str:
        """Return it in a line, and a line for each place that escaped."""
        if not self.processes:
            return (
                "match: no Python process of this command named its draws; python's options -E, -I and -S, and a "
                "PYTHONPATH that the command sets, leave them out"
            )
        of = f"block {matching.block}" if matching.name else "as the program makes them"
        lines = [f"match: {self.draws:,} draws in {counted(self.processes, 'process', 'es')}, {of}"]
        lines += [
            f"match: {where} moved {counted(count, 'time')} without a named draw"
            for where, count in self.escaped.items()
        ]
        return "\n".join(lines)


def run_matched(command: Sequence[str], matching: Matching) -> Outcome:
    """Run a command with named draws in it and in all Python processes that it starts.

    Args:
        command: A program and its arguments; no shell reads them. A file of Python or an option such as ``-m`` is
            given to this Python.
        matching: How draws are named; the folder of reports is made here.

    Raises:
        HarnessError: There is no such program.
    """
    if command[0].startswith("-") or command[0].endswith(".py"):
        command = [sys.executable, *command]
    if matching.trace is not None:
        trace = Path(matching.trace).absolute()
        trace.unlink(missing_ok=True)
        matching = replace(matching, trace=str(trace))
    with tempfile.TemporaryDirectory(prefix="harness-match-") as reports:
        environment = {**os.environ, **matched_environment(replace(matching, reports=reports))}
        try:
            process = subprocess.Popen(list(command), env=environment, preexec_fn=_end_with_parent)  # noqa: PLW1509
        except OSError as error:
            raise HarnessError(f"match: {command[0]}: {error.strerror}; give a program and its arguments") from error
        code = _waited(process)
        return _outcome(code, Path(reports))


def _end_with_parent() -> None:
    """Have the command end when the process that reports on it is killed; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _waited(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process that gets the signals of this one; a terminal sends Ctrl-C to both."""

    def forward(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _outcome(code: int, folder: Path) -> Outcome:
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    escaped: Counter[str] = Counter()
    for report in reports:
        escaped.update(report["escaped"])
    return Outcome(code, len(reports), sum(report["draws"] for report in reports), dict(escaped))
