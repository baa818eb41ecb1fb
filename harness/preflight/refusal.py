"""When a study is not begun: knows neither torch nor data."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.results.schema import ArmPlan
from harness.study.study import Study


def refuse_if_none_can_be_trained(study: Study, plans: Sequence[ArmPlan]) -> None:
    """Refuse a study of which no arm can be built and trained a step.

    Raises:
        HarnessError: All arms are invalid; the message gives each one's reason.
    """
    if plans and all(plan.proof == "invalid" for plan in plans):
        reasons = [f"{plan.arm}: {plan.reason}" for plan in plans]
        raise HarnessError("\n  ".join([f"{study.study}: none of its {len(plans)} arms can be trained", *reasons]))
