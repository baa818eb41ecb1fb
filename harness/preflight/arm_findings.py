"""What preflight finds of one arm, and how it is put into a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data import Dataset
from harness.models import Match, NetworkPair, matched_fraction
from harness.models.cost import NetworkCost
from harness.preflight.small_networks import Shape
from harness.preflight.step_timing import StepTiming
from harness.results.schema import ArmPlan, is_trained
from harness.study.design import Arm, trains_no_op
from harness.study.study import Study


@dataclass
class ArmFindings:
    """What is known of one arm so far."""

    arm: Arm
    shape: Shape
    data: Dataset
    pair: NetworkPair | None = None
    size: NetworkCost | None = None
    matches: Sequence[Match] | None = None
    invalid: str | None = None
    no_op: str | None = None
    same_class: str | None = None
    confounded: str | None = None
    too_costly: str | None = None
    notes: tuple[str, ...] = ()
    pace: StepTiming | None = None
    trial_seconds: float | None = None


def plan_of(study: Study, findings: ArmFindings) -> ArmPlan:
    """Return the strongest finding as the proof, and the rest as its reason."""
    by_strength = {
        "invalid": findings.invalid,
        "no-op": findings.no_op,
        "too-costly": findings.too_costly,
        "same-function-class": findings.same_class,
        "confounded": findings.confounded,
    }
    if trains_no_op(study, findings.arm):
        by_strength = {"invalid": findings.invalid, "too-costly": findings.too_costly, **by_strength}
    reasons = {proof: reason for proof, reason in by_strength.items() if reason is not None}
    strongest = next(iter(reasons), None)
    sentences = [reason if proof == strongest else f"{proof}: {reason}" for proof, reason in reasons.items()]
    size: Mapping[str, int | None] = (
        dataclasses.asdict(findings.size) if findings.size is not None else dict.fromkeys(_SIZES)
    )
    return ArmPlan(
        arm=findings.arm.name,
        levels=findings.arm.levels,
        proof=strongest,
        reason="; ".join([*sentences, *findings.notes]) or None,
        matched_fraction=_matched(findings),
        matched_fraction_g=_matched(findings, "generator"),
        matched_fraction_d=_matched(findings, "discriminator"),
        seconds_per_step=None if findings.pace is None else findings.pace.seconds,
        trial_seconds=findings.trial_seconds,
        **size,
    )


def _matched(findings: ArmFindings, net: str | None = None) -> float | None:
    return None if findings.matches is None else matched_fraction(findings.matches, net)


_SIZES = tuple(field.name for field in dataclasses.fields(NetworkCost))


def trained(study: Study, findings: ArmFindings) -> bool:
    """Return whether the study will train an arm."""
    return is_trained(study, findings.arm, plan_of(study, findings))
