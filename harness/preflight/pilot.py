"""What a pilot's rows say: where each metric tells the positive control apart, and the cheapest study that can."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from harness.metrics.catalogue import metric_named
from harness.statistics import Margin
from harness.statistics.decisions import FEWEST_EQUIVALENT
from harness.statistics.power import blocks_needed
from harness.study.design import arms
from harness.study.pilot import AVERAGE, CONTROL, Pilot
from harness.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.tables import Tables

ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pilot saw of the positive control by one metric at one step."""

    metric: str
    step: int
    average: float
    """Decay of the moving average of the generator that was measured; 0: its last state."""
    pairs: int
    difference: float
    """Control minus baseline, on the scale of the analysis."""
    sd: float
    """Of the paired differences."""
    p_value: float
    """One-sided: that the control does not differ as expected; two-sided where it is only expected to differ."""
    margin: float | None
    """Half-width, on the scale of the analysis; None where the study gives none for this metric."""
    blocks: int | None
    """Blocks in which a study of this many contrasts tells a difference as large as the margin, or excludes it."""
    block_seconds: float
    """Of training and measuring one block of the study up to this step, on one core of this machine."""

    @property
    def told_apart(self) -> bool:
        """Whether the control differs as it is expected to, and by the margin or more where there is one."""
        return self.p_value <= ALPHA and abs(self.difference) >= (self.margin or 0.0)

    @property
    def sd_in_margins(self) -> float | None:
        """Noise in units of what matters: below about 1, six blocks are enough for one arm."""
        return None if self.margin is None else self.sd / self.margin

    @property
    def study_seconds(self) -> float:
        """Of the blocks that are needed; infinite where there is no margin to plan for."""
        return math.inf if self.blocks is None else self.blocks * self.block_seconds


def readings(pilot: Pilot, tables: Tables) -> tuple[Reading, ...]:
    """Return what a pilot's rows say, by average, metric and step."""
    study = pilot.of
    trials = tables.trials[tables.trials["status"] == "complete"]
    every = [arm for arm in arms(study) if arm.control is None]
    found = []
    for level, decay in pilot.study.levels(AVERAGE).items():
        rows = trials[trials[f"arm_{AVERAGE}"] == level]
        control = rows[f"arm_{pilot.group}"] == CONTROL
        measured = {
            name: tables.measurements.merge(part[["trial_id", "block"]], on="trial_id")
            for name, part in (("baseline", rows[~control]), ("control", rows[control]))
        }
        pace = float(rows["seconds_per_step"].median())
        evaluation = max(0.0, float((rows["wall_seconds"] - rows["seconds_per_step"] * rows["steps"]).median()))
        for metric in study.measure.metrics:
            if metric_named(metric).derivation is not None:
                continue
            pairs = _pairs(measured["baseline"], measured["control"], metric)
            for step, part in pairs.groupby("step"):
                seconds = len(every) * (int(str(step)) * pace + evaluation / len(pilot.study.measure.at))
                found.append(
                    _reading(study, metric, int(str(step)), decay, part, pilot.expect, len(every) - 1, seconds)
                )
    return tuple(r for r in found if r is not None)


def _pairs(baseline: pd.DataFrame, control: pd.DataFrame, metric: str) -> pd.DataFrame:
    sides = [side.loc[side["metric"] == metric, ["block", "step", "value"]] for side in (baseline, control)]
    return sides[0].merge(sides[1], on=["block", "step"], suffixes=("_baseline", "_control")).dropna()


def _reading(
    study: Study,
    metric: str,
    step: int,
    average: float,
    pairs: pd.DataFrame,
    expect: str,
    contrasts: int,
    seconds: float,
) -> Reading | None:
    described = metric_named(metric)
    base, control = (pairs[f"value_{side}"].to_numpy(float) for side in ("baseline", "control"))
    differences = np.log(control) - np.log(base) if described.scale == "log" else control - base
    if len(differences) < 2:
        return None
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    margin = Margin.parse(study.measure.margin_of(metric))
    width = None if margin is None else margin.on(described.scale, float(base.mean()))
    alpha = ALPHA / max(1, contrasts)
    goals = ("difference", "equivalence")
    blocks = None
    if width is not None and sd > 0:
        counts = [blocks_needed(width, sd, goal=goal, alpha=alpha, power=POWER) for goal in goals]  # type: ignore[arg-type]
        blocks = None if None in counts else max(c for c in counts if c is not None)
    worse = mean if described.better == "lower" else -mean
    if sd > 0:
        t = worse / (sd / math.sqrt(len(differences)))
    elif worse != 0:  # all pairs differ equally
        t = math.copysign(math.inf, worse)
    else:
        t = 0.0
    tail = {"worse": t, "better": -t, "differs": abs(t)}[expect]
    p = float(stats.t.sf(tail, len(differences) - 1)) * (2 if expect == "differs" else 1)
    return Reading(metric, step, average, len(differences), mean, sd, p, width, blocks, seconds)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A horizon, a primary metric and looks at which the positive control is told apart."""

    metric: str
    step: int
    average: float
    looks: tuple[int, ...]
    seconds: float | None
    """To the last look on one core; None where the metric has no margin to plan for."""

    def fragment(self, study: Study) -> str:
        """Return the part of a study file that says it."""
        margin = study.measure.margin_of(self.metric)
        also = [name for name in study.measure.metrics if name != self.metric]
        lines = [
            f"training: {{steps: {self.step}, ema: {self.average:g}}}",
            f"measure: {{primary: {self.metric}, margin: {margin or '...'}, also: [{', '.join(also)}]}}",
            f"design: {{blocks: {{looks: [{', '.join(map(str, self.looks))}]}}}}",
        ]
        return "\n".join(lines)


def proposed(found: Sequence[Reading], primary: str) -> Proposal | None:
    """Return the cheapest way in which the control is told apart, from some step on at every later one.

    Metrics with a margin come first, by the time to their last look; without one, by the difference in its own
    standard deviations. Equal ones: the study's own primary metric, then the earlier step.
    """
    lasting = [r for r in found if r.told_apart and all(later.told_apart for later in _later(found, r))]
    if not lasting:
        return None

    def order(r: Reading) -> tuple[float, float, bool, int]:
        return (r.study_seconds, -abs(r.difference) / r.sd if r.sd else -math.inf, r.metric != primary, r.step)

    best = min(lasting, key=order)
    looks = looks_for(best.blocks or FEWEST_EQUIVALENT)
    seconds = None if best.blocks is None else looks[-1] * best.block_seconds
    return Proposal(best.metric, best.step, best.average, looks, seconds)


def _later(found: Sequence[Reading], of: Reading) -> Iterator[Reading]:
    return (r for r in found if (r.metric, r.average) == (of.metric, of.average) and r.step > of.step)


def looks_for(blocks: int) -> tuple[int, ...]:
    """Return a schedule for a fixed number of blocks: its half, three quarters, and a sixth more for looking."""
    last = max(2 * FEWEST_EQUIVALENT, math.ceil(blocks * 7 / 6))
    return tuple(sorted({max(FEWEST_EQUIVALENT, last // 2), max(FEWEST_EQUIVALENT, last * 3 // 4), last}))


def pilot_document(pilot: Pilot, tables: Tables) -> dict[str, Any]:
    """Return what a pilot came to, as JSON's own types."""
    study, found = pilot.of, readings(pilot, tables)
    proposal = proposed(found, study.measure.primary)
    return {
        "study": study.study,
        "expect": pilot.expect,
        "blocks": pilot.study.design.most_blocks,
        "statuses": {str(k): int(v) for k, v in tables.trials["status"].value_counts().sort_index().items()},
        "readings": [{**asdict(r), "told_apart": r.told_apart, "sd_in_margins": r.sd_in_margins} for r in found],
        "proposal": None if proposal is None else {**asdict(proposal), "fragment": proposal.fragment(study)},
    }
