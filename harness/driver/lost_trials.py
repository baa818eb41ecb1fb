"""The row of a trial that gave none."""

from __future__ import annotations

import json

from harness.executors.base import Lost
from harness.provenance import code_version, environment
from harness.results.schema import ArmPlan, TrialRows

PLANNED = ("parameters", "macs", "matched_fraction")
"""What a plan says of both networks of an arm, and its rows too."""


def rows_of_lost(lost: Lost, plan: ArmPlan | None, where: str) -> TrialRows:
    """Return a status, never a number.

    Args:
        lost: What became of the trial.
        plan: What is known of its arm's networks.
        where: The file of the whole traceback; empty where there is none.
    """
    task = lost.task
    sizes = (
        {}
        if plan is None
        else {f"{n}_{net}": getattr(plan, f"{n}_{net}") for n in PLANNED for net in "gd"}
        | {"matched_fraction": plan.matched_fraction}
    )
    row = {
        **task.row(),
        "status": lost.status,
        "error": lost.message + (f" (traceback: {where})" if where else ""),
        **sizes,
        "code_version": code_version(task.doors),
        "packages": json.dumps(environment()["packages"]),
    }
    measurements = tuple(
        {"trial_id": task.trial_id, "step": step, "metric": metric, "value": None}
        for step in task.measure.steps(task.settings.steps)
        for metric in task.measure.measured
    )
    return TrialRows(row, measurements)
