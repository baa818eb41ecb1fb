"""What each stage of preflight found, in words."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.data import Dataset
from harness.models import matched_fraction
from harness.preflight.arm_findings import ArmFindings

BUSY = 0.5
"""Cores that other programs keep busy, from which on it is said."""


def data_found(data: Dataset) -> str:
    """Return how many items there are."""
    return f"{len(data.train):,} items to train on, {len(data.heldout):,} held out"


def arms_found(every: Sequence[ArmFindings]) -> str:
    """Return how many arms can be built, how large they are, and how well they match at step 0."""
    built = [findings for findings in every if findings.size is not None]
    if not built:
        return f"none of {len(every)} can be built"
    size, matched = built[0].size, [100 * matched_fraction(x.matches) for x in built if x.matches is not None]
    assert size is not None
    sizes = f"the baseline's G has {size.parameters_g:,} parameters, its D {size.parameters_d:,}"
    text = f"{len(built)} of {len(every)} built; {sizes}"
    return f"{text}; at least {min(matched):.4g} % of an arm's weights start as the baseline's" if matched else text


def proofs_found(every: Sequence[ArmFindings]) -> str:
    """Return how many arms were settled by what, and how many only training can tell."""
    count = {
        "cannot be trained": sum(x.invalid is not None for x in every),
        "proved to be the baseline in other words": sum(x.no_op is not None for x in every[1:]),
        "of the same function class": sum(x.same_class is not None for x in every[1:]),
        "with another size or cost": sum(x.confounded is not None for x in every[1:]),
    }
    said = [f"{number} {what}" for what, number in count.items() if number]
    return "; ".join(said) or "every arm computes something else than the baseline"


NO_GPU = "unknown: trials take a GPU (runner.gpus), and this process sees none"
"""What is said where the pace cannot be measured."""


def pace_found(every: Sequence[ArmFindings]) -> str:
    """Return how long a step takes."""
    paces = [x.pace.seconds for x in every if x.pace is not None]
    if not paces:
        return "nothing to time"
    low, high = min(paces), max(paces)
    return f"{low:.3g} s a step" if high < 1.05 * low else f"{low:.3g} to {high:.3g} s a step"


def busy_found(others: float | None) -> str:
    """Return what else is at work on this machine; empty where next to nothing is, or it is not known."""
    if others is None or others < BUSY:
        return ""
    return f"other programs keep {others:.1f} of {os.cpu_count()} cores busy: times are rough"
