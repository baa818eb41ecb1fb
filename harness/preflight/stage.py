"""Stages of preflight, announced as they begin and end, since together they take a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Stage:
    """A stage that begins, or that has ended."""

    name: str
    found: str | None = None
    """What it found, in words; None while it is at work."""
    seconds: float | None = None
    """That it took; None while it is at work."""
    warning: bool = False
    """Whether what it found needs attention."""


class Say(Protocol):
    """Takes in what a stage found."""

    def __call__(self, found: str, *, warning: bool = False) -> None: ...  # noqa: D102


Announce = Callable[[Stage], object]


@contextmanager
def stage(name: str, announce: Announce) -> Iterator[Say]:
    """Announce a stage, give a function that takes in what it found, and announce that; nothing after an error."""
    announce(Stage(name))
    began = time.monotonic()
    findings: list[tuple[str, bool]] = []

    def say(found: str, *, warning: bool = False) -> None:
        findings.append((found, warning))

    yield say
    texts, warnings = [text for text, _ in findings if text], [warning for _, warning in findings]
    announce(Stage(name, "; ".join(texts), time.monotonic() - began, any(warnings)))
