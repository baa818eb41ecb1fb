"""Health before verdict: whether the networks of an arm learned at all, at the step at which they are compared."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from harness.metrics.catalogue import metric_named
from harness.metrics.metric import Metric
from harness.results.schema import References
from harness.statistics.analysis import Analysis, Contrast, plain
from harness.statistics.factorial import Factorial
from harness.statistics.number_format import percent
from harness.statistics.sentences import sentence
from harness.statistics.verdict_rule import Verdict

FLOOR_SHARE = 0.3
"""Too few images: of a value, real images against other real images at the same count make up more than this."""


def is_cost(metric: Metric) -> bool:
    """Whether a metric is what a trial costs, which neither learning nor a positive control has a part in."""
    d = metric.derivation
    return d is not None and d.function == "column" and d.source != "failures"


class Health(enum.StrEnum):
    """What one trial came to, the worst first."""

    FAILED = "failed"
    COLLAPSED = "collapsed"
    UNTRAINED = "no better than untrained"
    MEAN_IMAGE = "no better than the mean image"
    FEW_IMAGES = "too few images"
    STILL_LEARNING = "still learning"
    LEARNED_ONCE = "learned (measured once)"
    LEARNED = "learned"


HEALTHY = frozenset({Health.LEARNED, Health.LEARNED_ONCE})
UNHEALTHY = frozenset({Health.FAILED, Health.COLLAPSED, Health.UNTRAINED, Health.MEAN_IMAGE})
"""Nothing was learned that arms could differ in."""


@dataclass(frozen=True)
class Yardstick:
    """By what health is judged: one metric of a study, its margin, and its values for networks that learned nothing."""

    metric: Metric
    width: float | None
    """Half-width of the margin on the metric's scale; None where it has no margin: nothing counts as a small step."""
    references: References | None
    """None where they were not measured, as in studies of earlier versions."""

    def gain(self, value: float | None, over: float | None) -> float | None:
        """Return how much better a value is than another, on the metric's scale; None where that cannot be said."""
        if value is None or over is None or not (math.isfinite(value) and math.isfinite(over)):
            return None
        if self.metric.scale == "log":
            if min(value, over) <= 0:
                return None
            change = math.log(value / over)
        else:
            change = value - over
        return -change if self.metric.better == "lower" else change

    def beats(self, value: float | None, reference: float | None) -> bool:
        """Whether a value is better than a reference by more than the margin; true where that cannot be said."""
        gain = self.gain(value, reference)
        return gain is None or gain > (self.width or 0.0)


@dataclass(frozen=True)
class TrialHealth:
    """One trial at the horizon."""

    arm: str
    block: int
    health: Health
    value: float | None
    floor: float | None
    """Of real images against other real images at the same count."""
    gain: float | None
    """How much better it became over the last two measured steps, on the metric's scale; negative: worse."""


def health_of(
    by: Yardstick, *, status: str, value: float | None, before: float | None, floor: float | None
) -> tuple[Health, float | None]:
    """Return the health of one trial, and how much better it became since the step before.

    Args:
        by: Metric, margin and references.
        status: Of the trial.
        value: Of the metric at the horizon.
        before: Of the metric at the measured step before it; None where there is none.
        floor: Of real images against other real images.
    """
    gain, known = by.gain(value, before), by.references
    lower = by.metric.better == "lower" and value is not None and value > 0
    checks = (
        (status == "collapsed", Health.COLLAPSED),
        (status != "complete", Health.FAILED),
        (known is not None and not by.beats(value, known.untrained), Health.UNTRAINED),
        (known is not None and not by.beats(value, known.mean_image), Health.MEAN_IMAGE),
        (lower and floor is not None and floor > FLOOR_SHARE * (value or 0.0), Health.FEW_IMAGES),
        (gain is not None and by.width is not None and gain > by.width, Health.STILL_LEARNING),
        (before is None, Health.LEARNED_ONCE),
    )
    return next((health for applies, health in checks if applies), Health.LEARNED), gain


@dataclass(frozen=True)
class ArmHealth:
    """One arm over its blocks."""

    arm: str
    blocks: int
    counts: Mapping[Health, int]
    """How many blocks came to what."""
    by_block: Mapping[int, Health]
    value: float | None
    """Median over blocks, at the horizon."""
    floor: float | None
    of_floor: float | None
    """The value over the floor: how many times as far as other real images are."""
    change: float | None
    """Median relative change of the value over the last two measured steps; -0.1 is 10 % lower."""

    @property
    def unhealthy(self) -> int:
        """Blocks in which nothing was learned."""
        return sum(n for health, n in self.counts.items() if health in UNHEALTHY)

    @property
    def mostly_unhealthy(self) -> bool:
        """Whether that is so in more than half of two blocks or more."""
        return self.blocks >= 2 and 2 * self.unhealthy > self.blocks

    @property
    def words(self) -> str:
        """What the blocks came to, most first: ``learned in 5 of 6 blocks, collapsed in 1``."""
        order = list(reversed(Health))
        most_first = sorted(self.counts.items(), key=lambda item: (-item[1], order.index(item[0])))
        parts = [f"{health.value} in {count}" for health, count in most_first]
        first, *others = parts
        return ", ".join([f"{first} of {self.blocks} block{'' if self.blocks == 1 else 's'}", *others])


@dataclass(frozen=True)
class StudyHealth:
    """Every arm of a study, the baseline first."""

    metric: str
    step: int
    """The horizon."""
    epochs: float | None
    """Of the baseline: passes over the training items up to the horizon."""
    before: int | None
    """The measured step before the horizon."""
    untrained: float | None
    mean_image: float | None
    trials: tuple[TrialHealth, ...]
    arms: tuple[ArmHealth, ...]

    @property
    def baseline(self) -> ArmHealth:
        """The arm that the others are compared with."""
        return self.arms[0]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types; each trial is under its arm."""
        document: dict[str, Any] = plain(replace(self, trials=()))
        return {**document, "trials": len(self.trials), "gate": self.gate}

    def of(self, arm: str) -> ArmHealth | None:
        """Return an arm's health; None for an arm without rows."""
        return next((one for one in self.arms if one.arm == arm), None)

    @property
    def gate(self) -> str | None:
        """Why no arm can be judged: the baseline learned nothing in most blocks; None where it did."""
        baseline = self.baseline
        if not baseline.mostly_unhealthy:
            return None
        return f"the {baseline.arm} learned nothing to compare with: it {_was(baseline.words)}{self._than(baseline)}"

    def _than(self, arm: ArmHealth) -> str:
        """Return the value of an arm beside those of networks that learned nothing."""
        named = ((Health.UNTRAINED, "untrained", self.untrained), (Health.MEAN_IMAGE, "mean image", self.mean_image))
        beside = [
            f"{name} {_number(value)}" for health, name, value in named if arm.counts.get(health) and value is not None
        ]
        return f" ({self.metric} {_number(arm.value)}; {', '.join(beside)})" if beside and arm.value is not None else ""

    @property
    def when(self) -> str:
        """When the arms were measured."""
        if self.step == 1 and self.epochs is None:
            return "Measured when the command had ended."
        return f"Measured at step {self.step}{'' if self.epochs is None else f' ({self.epochs:.3g} epochs)'}."

    @property
    def sentence(self) -> str:
        """When the arms were measured, how the baseline was then, and which arms learned nothing."""
        return f"{self.when} {self.condition}"

    @property
    def condition(self) -> str:
        """How the baseline was at the horizon, and which arms learned nothing."""
        arm = self.baseline
        text = f"The {arm.arm} {_was(arm.words)}"
        if arm.value is not None and arm.floor is not None and arm.of_floor is not None:
            text += f"; its {self.metric} of {_number(arm.value)} is {arm.of_floor:.3g} times "
            lower = metric_named(self.metric).better == "lower"
            text += f"its floor of {_number(arm.floor)}" if lower else f"the {_number(arm.floor)} of real images"
        text += f"{self._than(arm)}."
        learning = arm.counts.get(Health.STILL_LEARNING)
        if learning and arm.change is not None and self.before is not None:
            side = "lower" if arm.change < 0 else "higher"
            text += f" Between steps {self.before} and {self.step} it became {percent(arm.change)} {side} (median)."
        others = [one for one in self.arms[1:] if one.mostly_unhealthy]
        return " ".join([text, *(f"'{one.arm}' {_was(one.words)}." for one in others)])


def _was(words: str) -> str:
    """Return what the blocks came to with its verb: ``was still learning in 4 of 6 blocks``."""
    if words.startswith(("learned", "collapsed", "failed")):
        return words
    return f"{'had' if words.startswith('too few') else 'was'} {words}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def arm_health(arm: str, trials: Iterable[TrialHealth], by: Yardstick) -> ArmHealth:
    """Return what the trials of one arm come to together."""
    own = [trial for trial in trials if trial.arm == arm]
    values = [trial.value for trial in own if trial.value is not None]
    floors = [trial.floor for trial in own if trial.floor is not None]
    gains = [trial.gain for trial in own if trial.gain is not None]
    value, floor = (median(numbers) if numbers else None for numbers in (values, floors))
    change = None
    if gains and value is not None:
        moved = -median(gains) if by.metric.better == "lower" else median(gains)
        if by.metric.scale == "log":
            change = math.expm1(moved)
        elif value != moved:
            change = moved / abs(value - moved)
    return ArmHealth(
        arm=arm,
        blocks=len(own),
        counts=Counter(trial.health for trial in own),
        by_block={trial.block: trial.health for trial in sorted(own, key=lambda trial: trial.block)},
        value=value,
        floor=floor,
        of_floor=value / floor if value is not None and floor else None,
        change=change,
    )


def gated_by_health(analysis: Analysis, health: StudyHealth) -> Analysis:
    """Return an analysis in which no arm is judged against a baseline that learned nothing.

    An arm that was shown to help and learned itself stands: it works where the baseline does not. So does what was
    settled before training, and nothing changes before the first look.
    """
    reason = health.gate
    if reason is None:
        return analysis

    def judged(c: Contrast) -> Contrast:
        own = health.of(c.arm)
        works = c.verdict is Verdict.HELPS and own is not None and own.blocks > 0 and not own.mostly_unhealthy
        settled = c.verdict in (Verdict.NO_OP, Verdict.INVALID) or c.look.rule == "before the first look"
        return c if works or settled else invalid(c, reason)

    contrasts = [judged(c) for c in analysis.contrasts]
    return replace(analysis, contrasts=tuple(replace(c, sentence=sentence(c, analysis)) for c in contrasts))


def gated_effects_by_health(factorial: Factorial, health: StudyHealth, compared: Iterable[str]) -> Factorial:
    """Return effects of which none is judged where most trials of the arms that they average over learned nothing."""
    arms = [arm for name in compared if (arm := health.of(name)) is not None]
    blocks, unhealthy = sum(arm.blocks for arm in arms), sum(arm.unhealthy for arm in arms)
    if blocks < 2 or 2 * unhealthy <= blocks:
        return factorial
    return invalid_effects(factorial, f"in {unhealthy} of {blocks} trials nothing was learned that could be compared")


def invalid_effects(factorial: Factorial, reason: str) -> Factorial:
    """Return effects that are not judged, with the reason."""
    effects = (
        replace(
            effect,
            verdict=None if effect.verdict is None else Verdict.INVALID,
            contrasts=tuple(invalid(c, reason) for c in effect.contrasts),
        )
        for effect in factorial.effects
    )
    return replace(factorial, effects=tuple(effects))


def invalid(c: Contrast, reason: str) -> Contrast:
    """Return a contrast that is not judged, with the reason; its numbers stay."""
    nothing = Verdict.INVALID
    return replace(
        c,
        verdict=nothing,
        verdict_half_margin=nothing,
        verdict_double_margin=nothing,
        verdict_uncorrected=nothing,
        decided=True,
        look=replace(c.look, next=None),
        reason=reason,
    )
