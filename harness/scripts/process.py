"""A command as a process that ends with the one that started it, whatever becomes of either."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
POLL = 0.1
"""Seconds between looks at a command."""
LOOK = 1.0
"""Seconds between looks for signs of life: at what it printed, wrote and computed."""
BUSY = 0.2
"""Seconds of a processor within LOOK seconds that count as a sign of life."""
MOST_FILES = 1000
"""Files of a trial that are looked at for signs of life."""
KIB = 1024 if sys.platform == "linux" else 1


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    peak_bytes: int | None
    """Largest resident memory of any of its processes."""
    cannot_start: str | None = None
    too_long: bool = False
    """It was ended at its deadline."""


def run(
    words: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    out: Path,
    busy: bool = True,
    deadline: float | None = None,
) -> Iterator[Ended | None]:
    """Run a command, and yield None at each sign of life, then how it ended; closed early, the command is ended.

    Args:
        words: Program and arguments, as they are.
        directory: Where it is run.
        environment: All its variables.
        log: File for what it prints.
        out: Folder in which its files are signs of life.
        busy: Whether computing is a sign of life too.
        deadline: Seconds after which it is ended.
    """
    leash = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), str(log), *words],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert leash.stdin is not None
    assert leash.stdout is not None
    try:
        first = json.loads(leash.stdout.readline() or "{}")
        if "process" not in first:
            yield Ended(127, None, str(first.get("cannot start", "its keeper ended at once")))
            return
        signs, looked = _Signs(log, out, first["process"]), time.monotonic()
        end = math.inf if deadline is None else looked + deadline
        while leash.poll() is None:
            time.sleep(POLL)
            if time.monotonic() > end:
                yield Ended(-signal.SIGKILL, None, too_long=True)
                return
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                if signs.new(busy=busy):
                    yield None
        last = json.loads(leash.stdout.readline() or "{}")
        # A keeper that was ended itself took its command with it, and says nothing.
        memory = last.get("memory")
        yield Ended(last.get("code", leash.returncode or -9), None if memory is None else memory * KIB)
    finally:
        with contextlib.suppress(OSError):
            leash.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            leash.wait(timeout=10)
        leash.kill()
        leash.wait()
        leash.stdout.close()


class _Signs:
    """What a command printed, wrote and computed so far."""

    def __init__(self, log: Path, out: Path, group: int) -> None:
        self.log, self.out, self.group = log, out, group
        self.seen = self._now()
        self.computed = _processor_seconds(group)

    def new(self, *, busy: bool) -> bool:
        """Return whether there is a new sign since the last time."""
        before, self.seen = self.seen, self._now()
        computed, self.computed = self.computed, _processor_seconds(self.group)
        return self.seen != before or (busy and self.computed - computed > BUSY)

    def _now(self) -> tuple[int, int, int]:
        count = newest = 0
        for folder, _, files in os.walk(self.out):
            for name in files[: MOST_FILES - count]:
                with contextlib.suppress(OSError):
                    newest = max(newest, Path(folder, name).stat().st_mtime_ns)
                count += 1
        return self.log.stat().st_size if self.log.exists() else 0, count, newest


def _processor_seconds(group: int) -> float:
    """Return the processor time of a process group so far (proc(5)); 0 where the system does not tell."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
