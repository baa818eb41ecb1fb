"""How long a study will take, and which arms are beyond its budget."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.preflight.arm_findings import ArmFindings, trained
from harness.preflight.busy_processes import BusyProcesses
from harness.preflight.step_timing import Evaluating, StepTiming, evaluating, step_paces
from harness.study.study import Study


def first_blocks(study: Study) -> int:
    """Return the number of blocks up to the first look, or of all."""
    return study.design.looks[0] if study.design.looks else study.design.most_blocks


def estimate(study: Study, found: Sequence[ArmFindings], workers: int, company: BusyProcesses, device: str) -> float:
    """Time what is left to train, mark arms beyond the budget, and return the seconds up to the first look."""
    arms = {
        one.arm.name: (one.arm.settings, one.pair, one.size, one.data)
        for one in found
        if one.invalid is None and one.pair is not None and one.size is not None
    }
    started = company.start_seconds()
    if arms:
        settings, _, _, data = next(iter(arms.values()))
        company.train(settings, styles=len(data.styles), paired=data.paired)
    paces, failures = step_paces(arms, device=device)
    data_of: dict[str, Evaluating] = {}
    for one in found:
        one.invalid = one.invalid or failures.get(one.arm.name)
        if one.arm.name not in paces or one.pair is None:
            continue
        key = one.data.hash
        if key not in data_of:
            latent = one.arm.settings.latent
            data_of[key] = evaluating(study.measure, one.data, one.pair.generator, latent)
        t = one.arm.settings.training
        evaluations = len(study.measure.steps(t.steps))
        one.pace = paces[one.arm.name]
        one.trial_seconds = t.steps * one.pace.seconds + evaluations * data_of[key].each
    blocks = first_blocks(study)
    crew = max(1, min(workers, os.cpu_count() or 1) if device == "cpu" else workers)
    baseline = found[0].trial_seconds or 0.0
    total = 0.0
    for one in found:
        if one.trial_seconds is None or one.pace is None:
            continue
        one.too_costly = _beyond_budget(
            study, one.trial_seconds, one.pace, baseline if one is not found[0] else 0.0, crew
        )
        if trained(study, one):
            total += blocks * one.trial_seconds
    first = max((e.first for e in data_of.values()), default=0.0)
    return started + first + total / crew


def _beyond_budget(study: Study, seconds: float, pace: StepTiming, baseline: float, crew: int) -> str | None:
    budget = study.budget
    how = f"{pace.seconds:.3g} s a step, {pace.how} on this machine"
    if budget.trial_minutes is not None and seconds > budget.trial_minutes * 60:
        return (
            f"a trial takes about {seconds / 60:.3g} minutes ({how}); budget.trial_minutes is {budget.trial_minutes:g}"
        )
    hours = first_blocks(study) * (seconds + baseline) / crew / 3600
    if budget.hours is not None and hours > budget.hours:
        return f"with the baseline it takes about {hours:.3g} hours ({how}); budget.hours is {budget.hours:g}"
    return None
