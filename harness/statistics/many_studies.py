"""Many studies at once, drawn from known truths and judged by the product's own rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.statistics.decisions import FEWEST_EQUIVALENT
from harness.statistics.family import replay
from harness.statistics.group_sequential import boundaries
from harness.statistics.paired_blocks import Floats
from harness.statistics.student_t import t_isf, t_sf
from harness.statistics.verdict_rule import Verdict, classify

DIFFERENT = [Verdict.HELPS.value, Verdict.HURTS.value, Verdict.NEGLIGIBLE.value]


def draw(shape: str, size: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return errors of mean 0 and standard deviation 1.

    ``t3`` has heavy tails (t with 3 degrees of freedom), ``lognormal`` is skewed (sigma 0.5: skewness 1.75).
    """
    if shape == "normal":
        return rng.standard_normal(size)
    if shape == "t3":
        return np.asarray(rng.standard_t(3, size) / math.sqrt(3))
    sigma = 0.5
    mean, sd = math.exp(sigma**2 / 2), math.sqrt(math.expm1(sigma**2)) * math.exp(sigma**2 / 2)
    return np.asarray((rng.lognormal(0.0, sigma, size) - mean) / sd)


def running(differences: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation after each block (the last axis); NaN after the first."""
    n = np.arange(1, differences.shape[-1] + 1)
    mean = np.cumsum(differences, axis=-1) / n
    squares = np.cumsum(differences**2, axis=-1) - n * mean**2
    sd = np.full_like(mean, np.nan)
    sd[..., 1:] = np.sqrt(np.maximum(squares[..., 1:], 0.0) / (n[1:] - 1))
    return mean, sd


@dataclass(frozen=True, slots=True)
class Judged:
    """Many studies as the product judges them; arrays of shape (studies, contrasts)."""

    verdicts: NDArray[Any]
    blocks: NDArray[np.int64]
    """Blocks at which each contrast stopped."""
    estimate: Floats
    """Mean difference at the look that decided."""
    low: Floats
    """The interval for a difference at that look."""
    high: Floats

    @property
    def trials(self) -> NDArray[np.int64]:
        """Trials of each study: every arm up to its stop, the baseline as long as any."""
        return np.asarray(self.blocks.sum(axis=1) + self.blocks.max(axis=1))

    def differs(self) -> NDArray[np.bool_]:
        """Where a difference was declared."""
        return np.isin(self.verdicts, DIFFERENT)


def judged_studies(
    mean: Floats,
    sd: Floats,
    looks: tuple[int, ...],
    margin: float | None,
    alpha: float,
    tests: tuple[Floats, Floats] | None = None,
) -> Judged:
    """Return the verdicts of many studies without failed trials at once, by the rule that judges one.

    Args:
        mean: Mean differences at the looks, shape (studies, contrasts, looks); negative helps.
        sd: Standard deviations at the looks, the same shape.
        looks: The schedule; one number of blocks for a fixed design.
        margin: Half-width of the margin.
        alpha: Error rate over all contrasts and looks.
        tests: P values for a difference and the side that they favour (negative is the arm), the same shape, where they
            are not those of the t test.
    """
    n = np.array(looks)
    se = sd / np.sqrt(n)
    p_differs = 2 * t_sf(np.abs(mean) / se, n - 1) if tests is None else tests[0]
    p_equal = np.full_like(mean, np.nan)
    if margin is not None:
        sides = [t_sf((margin + side * mean) / se, n - 1) for side in (1, -1)]
        p_equal = np.where(n >= FEWEST_EQUIVALENT, np.maximum(*sides), np.nan)
    outcome = replay(p_differs, p_equal, looks=looks, alpha=alpha)
    decided = np.maximum(
        np.where(outcome.differs, outcome.look_differs, 0), np.where(outcome.equal, outcome.look_equal, 0)
    )
    at = np.where(outcome.differs | outcome.equal, decided, outcome.stop)
    here, spread = (np.take_along_axis(x, at[..., None], axis=-1)[..., 0] for x in (mean, se))
    favours = here if tests is None else np.take_along_axis(tests[1], at[..., None], axis=-1)[..., 0]
    reach = spread * critical_values(looks, at, outcome.level_differs)
    verdicts = classify(outcome.differs, outcome.equal, favours < 0)
    return Judged(verdicts, n[outcome.stop], here, here - reach, here + reach)


def critical_values(looks: tuple[int, ...], at: NDArray[np.int64], level: Floats) -> Floats:
    """Return the t quantile of the interval at each look and level."""
    result = np.empty(level.shape)
    for value in np.unique(level):
        nominal = np.array(boundaries(looks, float(value)))
        of_look = t_isf(nominal / 2, np.array(looks) - 1)
        result[level == value] = of_look[at[level == value]]
    return result


def shared_baseline(errors: Floats) -> Floats:
    """Return paired differences of spread 1 from errors of baseline and arms, (studies, 1 + contrasts, blocks)."""
    return np.asarray((errors[:, 1:] - errors[:, :1]) / math.sqrt(2))


def at_looks(differences: Floats, looks: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return means and standard deviations at the looks, (studies, contrasts, looks), of differences by block."""
    mean, sd = running(differences)
    at = np.array(looks) - 1
    return mean[..., at], sd[..., at]
