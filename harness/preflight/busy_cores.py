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
        before, own, began = _busy_seconds(), _own_seconds(), time.monotonic()
        time.sleep(seconds)
        others = (_busy_seconds() - before) - (_own_seconds() - own)
        return max(0.0, others / (time.monotonic() - began))
    except (OSError, ValueError, IndexError):
        return None


def _busy_seconds() -> float:
    """Return the seconds that all cores together were at work since the start of the machine."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    ticks = [int(number) for number in first]
    return (sum(ticks) - sum(ticks[column] for column in IDLE)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system
