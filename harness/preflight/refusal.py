"""When a study is not begun: knows neither torch nor data."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.results.schema import ArmPlan
from harness.study.study import Study


def refuse_if_nothing_can_be_compared(study: Study, plans: Sequence[ArmPlan]) -> None:
    """Refuse a study whose baseline, or of which no arm, can be built and trained a step.

    Raises:
        HarnessError: The message gives the reason of each such arm.
    """
    invalid = [plan for plan in plans if plan.proof == "invalid"]
    if not invalid or plans[0] not in invalid:
        return
    reasons = [f"{plan.arm}: {plan.reason}" for plan in invalid]
    if len(invalid) == len(plans):
        raise HarnessError("\n  ".join([f"{study.study}: none of its {len(plans)} arms can be trained", *reasons]))
    lead = f"{study.study}: its baseline cannot be trained, so there is nothing to compare with"
    raise HarnessError("\n  ".join([lead, *reasons, "choose another first level, or `baseline:`"]))
