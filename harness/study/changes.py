"""What may change in a study that has rows: it can grow, and be reported otherwise; what its rows rest on stays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.study.design import arms
from harness.study.design_settings import LookSchedule
from harness.study.study import Study

UNRECORDED = ("runner", "question", "preset")
"""Settings that neither rows nor verdicts rest on."""
FREE = ("claims", "confounded_above", "harmless", "train_no_ops", "budget", "design.blocks")
GROWING = ("measure.also",)
"""Lists to which entries can be added."""
FAMILY_ARMS = ("axes", "baseline", "design.kind", "design.halvings")
ARMS = (*FAMILY_ARMS, "controls")
"""Settings that may change as long as every arm stays as it was."""
OF_THE_FAMILY = (*FAMILY_ARMS, "train_no_ops", "budget", "design.blocks")
"""Settings that the error rate of the primary metric's verdicts rests on: which arms are compared, and when."""


@dataclass(frozen=True)
class Change:
    """A setting of a study that is not what it was."""

    setting: str
    """Its dotted path."""
    was: Any
    """As JSON's own types."""
    now: Any

    def __str__(self) -> str:
        return f"{self.setting}: was {_shown(self.was)}, is {_shown(self.now)}"


def changes(old: Study, new: Study) -> tuple[Change, ...]:
    """Return the settings that differ, but for those that neither rows nor verdicts rest on."""
    found = _difference(old.model_dump(mode="json"), new.model_dump(mode="json"), "")
    return tuple(change for change in found if not _within(change.setting, UNRECORDED))


def refused(old: Study, new: Study) -> tuple[Change, ...]:
    """Return the changes with which the rows of the old study would not be rows of the new one.

    Blocks, looks, metrics, controls and arms can be added: arms of the old study must be in the new one under the same
    name with the same settings.
    """
    grown = _keeps_arms(old, new)
    return tuple(
        change
        for change in changes(old, new)
        if not (
            _within(change.setting, FREE)
            or (_within(change.setting, GROWING) and set(change.was) <= set(change.now))
            or (grown and _within(change.setting, ARMS))
        )
    )


def after_the_fact(old: Study, new: Study) -> bool:
    """Return whether the change touches what the verdicts' error rate rests on, other than as fixed before.

    A schedule of looks that stays as it is can be followed to its end, and beyond it, where the rule holds at any
    number of blocks.
    """
    a, b = old.design.blocks, new.design.blocks
    along = isinstance(a, LookSchedule) and isinstance(b, LookSchedule) and a.looks == b.looks
    return any(
        _within(change.setting, OF_THE_FAMILY) and not (along and _within(change.setting, ("design.blocks",)))
        for change in changes(old, new)
    )


def _keeps_arms(old: Study, new: Study) -> bool:
    now = {arm.name: arm for arm in arms(new)}
    return all(
        (kept := now.get(arm.name)) is not None
        and (kept.settings, kept.control, kept.expect) == (arm.settings, arm.control, arm.expect)
        for arm in arms(old)
    )


def _within(path: str, groups: Iterable[str]) -> bool:
    return any(path == group or path.startswith(f"{group}.") for group in groups)


def _difference(old: Any, new: Any, path: str) -> Iterable[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _difference(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield Change(path, old, new)


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)
