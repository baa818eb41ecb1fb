"""False discoveries among the contrasts that nobody announced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.statistics.analysis import Analysis
from harness.statistics.paired_blocks import Floats


def false_discovery(analyses: Sequence[Analysis]) -> tuple[Analysis, ...]:
    """Return exploratory analyses with `p_fdr` over all their contrasts together (Benjamini & Hochberg 1995)."""
    p_values = [c.p_sequential if c.p_sequential is not None else c.p_value for a in analyses for c in a.contrasts]
    tested = [p for p in p_values if p is not None]
    adjusted = iter(_benjamini_hochberg(np.array(tested)).tolist())
    p_fdr = iter([None if p is None else float(next(adjusted)) for p in p_values])
    return tuple(
        replace(a, family="exploratory", contrasts=tuple(replace(c, p_fdr=next(p_fdr)) for c in a.contrasts))
        for a in analyses
    )


def _benjamini_hochberg(p: Floats) -> Floats:
    """Return p values with which a cut at q keeps the share of false discoveries below q (n values, any order)."""
    order = np.argsort(-p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * (len(p) / np.arange(len(p), 0, -1)))
    return adjusted
