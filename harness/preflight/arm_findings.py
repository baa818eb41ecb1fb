"""What preflight finds of one arm, and how it is put into a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from harness.data import Dataset
from harness.models import NetworkPair
from harness.models.cost import NetworkCost
from harness.preflight.small_networks import Shape
from harness.preflight.step_timing import StepTiming
from harness.results.schema import ArmPlan
from harness.study.design import Arm
from harness.study.study import Study


@dataclass
class ArmFindings:
    """What is being found of one arm."""

    arm: Arm
    shape: Shape
    data: Dataset
    pair: NetworkPair | None = None
    size: NetworkCost | None = None
    matched: float | None = None
    invalid: str | None = None
    no_op: str | None = None
    same_class: str | None = None
    confounded: str | None = None
    too_costly: str | None = None
    notes: tuple[str, ...] = ()
    pace: StepTiming | None = None
    trial_seconds: float | None = None


def plan_of(study: Study, one: ArmFindings) -> ArmPlan:
    """Return the strongest finding as the proof, and the rest as its reason."""
    findings = {
        "invalid": one.invalid,
        "no-op": one.no_op,
        "too-costly": one.too_costly,
        "same-function-class": one.same_class,
        "confounded": one.confounded,
    }
    if study.train_no_ops or one.arm.control is not None:
        findings = {"invalid": one.invalid, "too-costly": one.too_costly, **findings}
    said = {proof: reason for proof, reason in findings.items() if reason is not None}
    proof = next(iter(said), None)
    reasons = [reason if name == proof else f"{name}: {reason}" for name, reason in said.items()]
    size: Mapping[str, int | None] = dataclasses.asdict(one.size) if one.size is not None else dict.fromkeys(_SIZES)
    return ArmPlan(
        arm=one.arm.name,
        levels=one.arm.levels,
        proof=proof,
        reason="; ".join([*reasons, *one.notes]) or None,
        matched_fraction=one.matched,
        seconds_per_step=None if one.pace is None else one.pace.seconds,
        trial_seconds=one.trial_seconds,
        **size,
    )


_SIZES = tuple(field.name for field in dataclasses.fields(NetworkCost))


def trained(study: Study, one: ArmFindings) -> bool:
    """Return whether the study will train an arm."""
    return plan_of(study, one).trained(train_no_ops=study.train_no_ops or one.arm.control is not None)
