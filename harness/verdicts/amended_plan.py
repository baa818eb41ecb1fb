"""The plans that a study had, read from its history, and what their changes make of the error rate."""

from __future__ import annotations

from harness.results.frozen import FrozenStudy
from harness.statistics.amended import JudgedPlan, amended_error_rate
from harness.statistics.analysis import Provisional
from harness.study.design import arms
from harness.study.study import Study, put


def provisional(frozen: FrozenStudy) -> Provisional | None:
    """Return what became of the error rate; None where nothing that it rests on was changed after the fact.

    Going on along a schedule that was fixed before is free of charge. A plan that was given up counts with the looks
    that had their rows by then; one with a fixed number of blocks counts as looked at with the rows there were.
    """
    changed = [amendment for amendment in frozen.history if amendment.after_the_fact]
    if not changed:
        return None
    said = "; ".join(
        f"after {amendment.blocks} blocks had rows, {', '.join(map(str, amendment.changes))}" for amendment in changed
    )
    studies = _studies(frozen)
    if studies is None:
        return Provisional(f"the study was changed: {said}", None)
    plans = [_plan(study, amendment.blocks) for study, amendment in zip(studies, frozen.history, strict=False)]
    return Provisional(f"the study was changed: {said}", amended_error_rate((*plans, _plan(frozen.study, None))))


def _studies(frozen: FrozenStudy) -> list[Study] | None:
    """Return the study before each change; None where earlier changes are of more than blocks and looks."""
    studies, settings = [frozen.planned], frozen.planned.model_dump(mode="json")
    for amendment in frozen.history[:-1]:
        if any(change.setting.startswith(("axes", "baseline")) for change in amendment.changes):
            return None
        for change in amendment.changes:
            # What was there goes first: a mapping would be laid over it.
            put(settings, change.setting, None)
            put(settings, change.setting, change.now)
        studies.append(Study.model_validate(settings))
    return studies


def _plan(study: Study, blocks: int | None) -> JudgedPlan:
    """Return a plan with the looks that were seen in so many blocks; None for the plan that stands."""
    contrasts = sum(arm.control is None for arm in arms(study)) - 1
    looks = study.design.looks
    if looks is None:
        size = study.design.most_blocks if blocks is None else min(study.design.most_blocks, blocks)
        return JudgedPlan((max(size, 1),), contrasts, int(size >= 2))
    return JudgedPlan(looks, contrasts, len(looks) if blocks is None else sum(look <= blocks for look in looks))
