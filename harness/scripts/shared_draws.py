"""What the arms of a study of commands share with the baseline: draws, batches and first weights, by their traces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.named_draws.compare import compare_traces
from harness.study.design import Arm, Trial
from harness.study.study import BASELINE

Changed = Callable[[str], Mapping[str, set[str]]]
"""From the name of an arm to the files that it changes, by name below the work tree, with their whole paths."""
TRACED = 0
"""The block in which every arm writes a trace."""


def trace_of(out: Path) -> Path:
    """Return the file of a trial's trace."""
    return Path(f"{out}.trace")


def shared_draws(arms: Iterable[Arm], results: Path, changed: Changed) -> dict[str, dict[str, Any]]:
    """Return by arm what it shares with the baseline, of those of which both have a trace.

    Args:
        arms: Of a study.
        results: Its folder of results.
        changed: Gives the files that differ from the baseline's, each as it is called in either's work tree.
    """
    traces = {arm.name: trace_of(results / "out" / Trial(arm, TRACED).trial_id) for arm in arms}
    found: dict[str, dict[str, Any]] = {}
    for name, trace in traces.items():
        if name == BASELINE or not trace.is_file() or not traces[BASELINE].is_file():
            continue
        try:
            imported = {file for path in (traces[BASELINE], trace) for file in _imported(path)}
            unread = [file for file, places in changed(name).items() if not imported & places]
            found[name] = {
                "block": TRACED,
                **compare_traces(traces[BASELINE], trace).document(),
                "changed": len(changed(name)),
                "not_imported": unread,
            }
        except (HarnessError, ValueError):  # it was ended while it wrote
            continue
    return found


def _imported(trace: Path) -> list[str]:
    """Return the user's files that the program of a trace imported; none where it did not come to its end."""
    end = json.loads(trace.read_text(encoding="utf-8").splitlines()[-1]).get("end", {})
    return [str(file) for file in end.get("files", ())]
