"""The verdicts of several contrasts together: a graphical group-sequential Holm procedure.

Each contrast has two hypotheses, "no difference" and "a difference as large as the margin". Each kind is a family of
its own, tested over all contrasts and all looks at error rate alpha: a contrast that is decided stops and hands its
share of alpha on to the open ones, which are then looked at again, earlier looks included (Ye, Li, Liu & Yao,
Statistics in Medicine 32, 2013; Maurer & Bretz, Statistics in Biopharmaceutical Research 5, 2013). With equal shares
this is Holm's procedure on p values over looks, replayed look by look. Arrays here have the shape (studies, contrasts,
looks), so that simulations run the very code that judges a study.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.statistics.group_sequential import sequential_p
from harness.statistics.paired_blocks import Bools, Floats

Ints = NDArray[np.int64]


def holm(p_values: Floats) -> Floats:
    """Return Holm's adjusted p values along the last axis (Holm 1979); NaN counts as a test that cannot reject.

    Own lines because `multipletests` of statsmodels, which the tests compare with, takes a full garbage collection a
    call (50 ms), a second to import, and one family at a time.
    """
    p = np.where(np.isnan(p_values), np.inf, p_values)
    order = np.argsort(p, axis=-1, kind="stable")
    count = p.shape[-1]
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * (count - np.arange(count)), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, -1)
    return np.where(np.isnan(p_values), np.nan, np.minimum(adjusted, 1.0))


def levels(p_values: Floats, alpha: float) -> Floats:
    """Return the level at which Holm's procedure tests each hypothesis in the end, along the last axis.

    A rejected one keeps the level at which it was rejected; what is open has what the rejected ones left.
    """
    count = p_values.shape[-1]
    rejected = holm(p_values) <= alpha
    rank = np.argsort(np.argsort(np.where(np.isnan(p_values), np.inf, p_values), axis=-1, kind="stable"), axis=-1)
    before = np.where(rejected, rank, rejected.sum(axis=-1, keepdims=True))
    return np.asarray(alpha / np.maximum(count - before, 1))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the procedure came to; arrays of shape (studies, contrasts)."""

    stop: Ints
    """Index of the look at which a contrast stopped: decided there, or the last one that it reached."""
    p_differs: Floats
    """Over all looks up to the stop, of each contrast alone; NaN without a test."""
    p_equal: Floats
    differs: Bools
    equal: Bools
    level_differs: Floats
    """Level of each test in the end, see `levels`."""
    level_equal: Floats
    look_differs: Ints
    """Index of the first look at which the p value reached that level; the stop where none did."""
    look_equal: Ints


def replay(
    p_differs: Floats,
    p_equal: Floats,
    *,
    looks: tuple[int, ...],
    alpha: float,
    reached: Ints | None = None,
    settled: Bools | None = None,
) -> Outcome:
    """Go through the looks of all contrasts together and stop each as soon as it is decided.

    Args:
        p_differs: Nominal two-sided p values for a difference, (studies, contrasts, looks); NaN where there is none.
        p_equal: Nominal p values of two one-sided tests against the margin, the same shape.
        looks: The schedule; one number for a fixed design, where any number of blocks is its one look.
        alpha: Error rate of each of the two families.
        reached: How many looks each contrast has the blocks for, (studies, contrasts); all unless given.
        settled: Contrasts with a verdict that needs no test: they stop at the first look and keep their place in the
            family, (studies, contrasts).
    """
    last = np.full(p_differs.shape[:2], len(looks)) if reached is None else reached
    not_reached = np.arange(len(looks)) >= last[..., None]
    both = (
        sequential_p(looks, np.where(not_reached, np.nan, p_differs), sides=2),
        sequential_p(looks, np.where(not_reached, np.nan, p_equal), sides=1),
    )
    stop = np.maximum(last - 1, 0).astype(np.int64)
    open_ = last > 0
    if settled is not None:
        stop, open_ = np.where(settled, 0, stop), open_ & ~settled
    for k in range(len(looks)):
        at = np.minimum(stop, k)
        decided = [holm(_at(q, at)) <= alpha for q in both]
        now = open_ & (decided[0] | decided[1])
        stop = np.where(now, at, stop)
        open_ &= ~now
    q_differs, q_equal = (_at(q, stop) for q in both)
    level_differs, level_equal = levels(q_differs, alpha), levels(q_equal, alpha)
    return Outcome(
        stop,
        q_differs,
        q_equal,
        holm(q_differs) <= alpha,
        holm(q_equal) <= alpha,
        level_differs,
        level_equal,
        _first(both[0] <= level_differs[..., None], stop),
        _first(both[1] <= level_equal[..., None], stop),
    )


def _at(q: Floats, look: Ints) -> Floats:
    return np.take_along_axis(q, look[..., None], axis=-1)[..., 0]


def _first(crossed: Bools, stop: Ints) -> Ints:
    return np.asarray(np.where(crossed.any(axis=-1), np.minimum(crossed.argmax(axis=-1), stop), stop))
