"""Signals that ask a command to end, all as Ctrl-C does: what it holds is let go, and what it has is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""A preempted job gets SIGTERM, a command whose terminal is closed SIGHUP."""


class Interrupted(KeyboardInterrupt):
    """One of these signals."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__()


@contextmanager
def ending_signals() -> Iterator[None]:
    """Raise `Interrupted` where one of the signals arrives; the second one of a kind ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What a parent has set to be ignored stays so: that is how nohup works.
    before = {n: signal.signal(n, _raise) for n in ENDING if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


def message_of(stop: KeyboardInterrupt) -> str:
    """Return what happened, in words."""
    return f"interrupted by {signal.Signals(stop.number).name}" if isinstance(stop, Interrupted) else "interrupted"


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """Return the shell's code for a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (stop.number if isinstance(stop, Interrupted) else signal.SIGINT)
