"""Student's t by `scipy.special`: the same numbers as `scipy.stats.t`, without its second of imports."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special


def t_sf(t: Any, df: Any) -> Any:
    """Return the probability of a value above `t`, for numbers or arrays."""
    return special.stdtr(df, np.negative(t))


def t_isf(p: Any, df: Any) -> Any:
    """Return the value that is exceeded with probability `p`, for numbers or arrays."""
    return -special.stdtrit(df, p)
