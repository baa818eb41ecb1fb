"""What becomes of the error rate when a plan is changed after rows were seen."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from harness.statistics.family import holm
from harness.statistics.group_sequential import sequential_p
from harness.statistics.many_studies import running, shared_baseline
from harness.statistics.student_t import t_sf

DRAWS = 20_000
"""Simulated studies: the standard error of a rate near 0.1 is 0.002."""
SEED = 20_131_112
MOST_NUMBERS = 2_000_000


@dataclass(frozen=True, slots=True)
class JudgedPlan:
    """A plan by which a study was, or could have been, judged."""

    looks: tuple[int, ...]
    """The schedule; one number for a fixed design."""
    contrasts: int
    seen: int
    """How many of its looks had their rows before the plan was changed; all of them for the plan that stands."""


@functools.lru_cache(maxsize=32)
def amended_error_rate(plans: tuple[JudgedPlan, ...], alpha: float = 0.05) -> float:
    """Return how often any of the plans in turn declares a difference where there is none, by simulation.

    Whoever changes a plan after seeing its outcome could have stopped at that outcome, so each look of each plan
    counts. Contrasts share the baseline's error, which spreads as much as each arm's; each plan is judged by the rule
    that the product would have used.

    Args:
        plans: In the order in which they stood.
        alpha: Error rate that each plan was made for.
    """
    kept = [plan for plan in plans if plan.seen and plan.contrasts]
    if not kept:
        return alpha
    most, blocks = max(plan.contrasts for plan in kept), max(plan.looks[plan.seen - 1] for plan in kept)
    rng, wrong = np.random.default_rng(SEED), 0
    step = max(1, MOST_NUMBERS // ((most + 1) * blocks))
    for start in range(0, DRAWS, step):
        errors = rng.standard_normal((min(step, DRAWS - start), most + 1, blocks))
        mean, sd = running(shared_baseline(errors))
        rejected = np.zeros(len(errors), dtype=bool)
        for plan in kept:
            n = np.array(plan.looks[: plan.seen])
            t = mean[:, : plan.contrasts, n - 1] / sd[:, : plan.contrasts, n - 1] * np.sqrt(n)
            p = sequential_p(plan.looks, 2 * t_sf(np.abs(t), n - 1))[..., -1]
            rejected |= (holm(p) <= alpha).any(axis=1)
        wrong += int(rejected.sum())
    return wrong / DRAWS
