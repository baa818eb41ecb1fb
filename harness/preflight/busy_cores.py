"""How many cores other programs keep busy, which makes a study slower, and its times rough."""

from __future__ import annotations

import os
import time
from pathlib import Path

IDLE = (3, 4)
"""Columns of idling and of waiting for a disk, of the `cpu` line of /proc/stat."""


def busy_cores(seconds: float = 0.2) -> float | None:
    """Return how many cores other processes keep busy, measured over some seconds; None where Linux does not say."""
    try:
        before, own, began = _busy_seconds(), own_seconds(), time.monotonic()
        time.sleep(seconds)
        others = (_busy_seconds() - before) - (own_seconds() - own)
        return max(0.0, others / (time.monotonic() - began))
    except (OSError, ValueError, IndexError):
        return None


def _busy_seconds() -> float:
    """Return the seconds that all cores together were at work since the start of the machine."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    ticks = [int(number) for number in first]
    return (sum(ticks) - sum(ticks[column] for column in IDLE)) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Return the processor time of this process and of all that it started, in seconds."""
    seconds, parents = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        process = int(file.parent.name)
        parents[process] = int(fields[1])
        seconds[process] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    own = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(seconds.get(process, 0.0) for process in own)
