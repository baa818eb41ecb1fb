"""What the arms of a study of commands share with the baseline: draws, batches and first weights, by their traces."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.named_draws.compare import compare_traces
from harness.study.design import Arm, Trial
from harness.study.study import BASELINE

TRACED = 0
"""The block in which every arm writes a trace."""


def trace_of(out: Path) -> Path:
    """Return the file of a trial's trace."""
    return Path(f"{out}.trace")


def shared_draws(arms: Iterable[Arm], results: Path) -> dict[str, dict[str, Any]]:
    """Return by arm what it shares with the baseline, of those of which both have a trace.

    Args:
        arms: Of a study.
        results: Its folder of results.
    """
    traces = {arm.name: trace_of(results / "out" / Trial(arm, TRACED).trial_id) for arm in arms}
    found: dict[str, dict[str, Any]] = {}
    for name, trace in traces.items():
        if name == BASELINE or not trace.is_file() or not traces[BASELINE].is_file():
            continue
        try:
            found[name] = {"block": TRACED, **compare_traces(traces[BASELINE], trace).document()}
        except HarnessError:  # it was ended while it wrote
            continue
    return found
