"""Assay sensitivity: nothing is called equivalent by an experiment that was not shown to tell what is known to differ.

ICH E10 (Choice of control group, 2000), section 1.5: that two treatments are alike can mean that both work or that the
trial could not have told; a control whose effect is known says which. A difference that was shown needs no such proof:
it is one. So only *equivalent* rests on it; *helps*, *hurts* and *negligible* are differences, a no-op is proved.
"""

from __future__ import annotations

from dataclasses import replace

from harness.statistics.analysis import Analysis, Contrast, Sensitivity
from harness.statistics.controls import Control
from harness.statistics.effect import Effect
from harness.statistics.factorial import Factorial
from harness.statistics.sentences import sentence
from harness.statistics.verdict_rule import Verdict

NONE_DECLARED = "no positive control was declared"


def sensitivity_of(control: Control | None) -> Sensitivity:
    """Return what a positive control says of the experiment; None where there is none."""
    if control is None:
        return Sensitivity(shown=False, reason=NONE_DECLARED)
    clause = control.sentence.rstrip(".")
    return Sensitivity(control.passed is True, clause[0].lower() + clause[1:])


def gated(analysis: Analysis, sensitivity: Sensitivity) -> Analysis:
    """Return an analysis in which nothing is equivalent unless the experiment was shown to tell."""
    analysis = replace(analysis, sensitivity=sensitivity)
    if sensitivity.shown:
        return analysis
    contrasts = [_gated(c, sensitivity) for c in analysis.contrasts]
    return replace(analysis, contrasts=tuple(replace(c, sentence=sentence(c, analysis)) for c in contrasts))


def gated_effects(factorial: Factorial, sensitivity: Sensitivity) -> Factorial:
    """Return effects of which none is equivalent unless the experiment was shown to tell."""
    if sensitivity.shown:
        return factorial
    return replace(factorial, effects=tuple(_gated_effect(effect, sensitivity) for effect in factorial.effects))


def _gated_effect(effect: Effect, sensitivity: Sensitivity) -> Effect:
    return replace(
        effect,
        verdict=None if effect.verdict is None else _verdict(effect.verdict),
        contrasts=tuple(_gated(c, sensitivity) for c in effect.contrasts),
    )


def _gated(c: Contrast, sensitivity: Sensitivity) -> Contrast:
    return replace(
        c,
        verdict=_verdict(c.verdict),
        verdict_half_margin=_verdict(c.verdict_half_margin),
        verdict_double_margin=_verdict(c.verdict_double_margin),
        verdict_uncorrected=_verdict(c.verdict_uncorrected),
        reason=sensitivity.reason if c.verdict is Verdict.EQUIVALENT else c.reason,
    )


def _verdict(verdict: Verdict) -> Verdict:
    return Verdict.NOT_SENSITIVE if verdict is Verdict.EQUIVALENT else verdict
