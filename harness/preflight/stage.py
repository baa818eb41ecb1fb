"""Stages of preflight, announced as they begin and end, since together they take a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage that begins, or that has ended."""

    name: str
    found: str | None = None
    """What it found, in words; None while it is at work."""
    seconds: float | None = None
    """That it took; None while it is at work."""


Announce = Callable[[Stage], object]


@contextmanager
def stage(name: str, announce: Announce) -> Iterator[Callable[[str], None]]:
    """Announce a stage, give a function that takes in what it found, and announce that; nothing after an error."""
    announce(Stage(name))
    began = time.monotonic()
    findings: list[str] = []
    yield findings.append
    announce(Stage(name, "; ".join(filter(None, findings)), time.monotonic() - began))
