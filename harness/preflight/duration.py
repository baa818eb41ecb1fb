"""How long a study will take, and which arms are beyond its budget."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.preflight.arm_findings import ArmFindings, trained
from harness.preflight.busy_processes import BusyProcesses
from harness.preflight.step_timing import EvaluationTiming, StepTiming, step_paces, time_evaluation
from harness.study.study import Study


def first_blocks(study: Study) -> int:
    """Return the number of blocks up to the first look, or of all."""
    return study.design.looks[0] if study.design.looks else study.design.most_blocks


def estimate(
    study: Study, every: Sequence[ArmFindings], workers: int, busy: BusyProcesses | None, device: str
) -> float:
    """Time what is left to train, mark arms beyond the budget, and return the seconds up to the first look.

    Trials that share the machine with `busy` processes start with them; without any, nothing has to start.
    """
    arms = {
        findings.arm.name: (findings.arm.settings, findings.pair, findings.size, findings.data)
        for findings in every
        if findings.invalid is None and findings.pair is not None and findings.size is not None
    }
    if not arms:
        return 0.0
    started = 0.0
    if busy is not None:
        started = busy.start_seconds()
        settings, _, _, data = next(iter(arms.values()))
        busy.train(settings, styles=len(data.styles), paired=data.sourced)
    paces, failures = step_paces(arms, device=device)
    timings: dict[str, EvaluationTiming] = {}
    for findings in every:
        findings.invalid = findings.invalid or failures.get(findings.arm.name)
        if findings.arm.name not in paces or findings.pair is None:
            continue
        key = findings.data.hash
        if key not in timings:
            latent = findings.arm.settings.latent
            timings[key] = time_evaluation(study.measure, findings.data, findings.pair, latent, device=device)
        t = findings.arm.settings.training
        evaluations = len(study.measure.steps(t.steps))
        findings.pace = paces[findings.arm.name]
        findings.trial_seconds = t.steps * findings.pace.seconds + evaluations * timings[key].each
    blocks = first_blocks(study)
    at_once = max(1, min(workers, os.cpu_count() or 1) if device == "cpu" else workers)
    baseline = every[0].trial_seconds or 0.0
    total = 0.0
    for findings in every:
        if findings.trial_seconds is None or findings.pace is None:
            continue
        findings.too_costly = _beyond_budget(
            study, findings.trial_seconds, findings.pace, baseline if findings is not every[0] else 0.0, at_once
        )
        if trained(study, findings):
            total += blocks * findings.trial_seconds
    first = max((e.first for e in timings.values()), default=0.0)
    return started + first + total / at_once


def _beyond_budget(study: Study, seconds: float, pace: StepTiming, baseline: float, at_once: int) -> str | None:
    budget = study.budget
    how = f"{pace.seconds:.3g} s a step, {pace.how} on this machine"
    if budget.trial_minutes is not None and seconds > budget.trial_minutes * 60:
        return (
            f"a trial takes about {seconds / 60:.3g} minutes ({how}); budget.trial_minutes is {budget.trial_minutes:g}"
        )
    hours = first_blocks(study) * (seconds + baseline) / at_once / 3600
    if budget.hours is not None and hours > budget.hours:
        return f"with the baseline it takes about {hours:.3g} hours ({how}); budget.hours is {budget.hours:g}"
    return None
