"""How long the rest of a study takes: its plan, corrected by the pace so far, as a range that narrows."""

from __future__ import annotations

import time

from harness.statistics.number_format import rough_duration

TRUST = 0.25
"""Share of the steps after which the measured pace counts as much as the planned one."""


class TimeLeft:
    """Blends what was planned with what was measured: early trials are few, and slow by what starts with them."""

    def __init__(self, steps: float, planned_seconds: float | None) -> None:
        self.steps = steps
        """To be trained up to the next look."""
        self.planned = planned_seconds
        """Of all of them; None where nothing was timed."""
        self.done = 0.0
        self._began = time.monotonic()

    def more(self, steps: float) -> None:
        """Take in that further steps are to be trained, at the pace of those before."""
        if self.planned is not None and self.steps:
            self.planned *= 1 + steps / self.steps
        self.steps += steps

    def seconds(self) -> tuple[float, float] | None:
        """Return the least and the most seconds that the rest is expected to take; None where nothing is known yet."""
        rest = max(self.steps - self.done, 0.0) / self.steps if self.steps else 0.0
        done, spent = 1 - rest, time.monotonic() - self._began
        measured = spent / done if done > 0.01 and spent > 1 else None
        if measured is None and self.planned is None:
            return None
        trust = 1.0 if self.planned is None else 0.0 if measured is None else done / (done + TRUST)
        whole = trust * (measured or 0.0) + (1 - trust) * (self.planned or 0.0)
        apart = 0.0 if measured is None or self.planned is None else (1 - trust) * abs(measured - self.planned)
        width = max(0.1 * whole, apart)
        return max(whole - width, 0.0) * rest, (whole + width) * rest

    def __str__(self) -> str:
        """Return it in words: `about 4 to 6 min left`; nothing at the end, or where nothing is known."""
        known = self.seconds()
        if known is None or known[1] < 1:
            return ""
        low, high = map(rough_duration, known)
        if low == high:
            return f"about {high} left"
        number, _, unit = low.partition(" ")
        return f"about {number if high.endswith(f' {unit}') and high.count(' ') == 1 else low} to {high} left"
