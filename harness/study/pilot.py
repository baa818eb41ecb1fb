"""The study that a pilot is: from where on, by which metric and at what cost is the positive control told apart?

Baseline and positive control are trained in a few blocks, with and without the moving average of the generator, and
measured at horizons that double. The pilot is a study of its own, in a folder of its own: its rows choose the study's
horizon, primary metric and blocks before any arm is trained, and are never pooled into a verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.study.controls import Expectation
from harness.study.design import Arm, arms
from harness.study.study import Study

AVERAGE = "training.ema"
ANOTHER_AVERAGE = 0.99
"""Decay in the pilot's other half, where the study takes no moving average."""
HALVINGS = 4
"""The first horizon is the last one halved so many times."""
AS_IT_IS, CONTROL = "as it is", "control"


@dataclass(frozen=True)
class Pilot:
    """A pilot, and what it is for."""

    study: Study
    """What is run: two axes, the control's group of settings and the moving average."""
    of: Study
    """The study that it is for."""
    expect: Expectation
    """How the positive control must differ."""

    @property
    def group(self) -> str:
        """The axis whose level `control` is the positive control."""
        return next(iter(self.study.axes))


def pilot_of(study: Study, blocks: int) -> Pilot:
    """Return a study's pilot.

    Args:
        study: It declares a positive control.
        blocks: Of the pilot.

    Raises:
        HarnessError: It declares none, or one whose settings lie in no common group.
    """
    if study.trial is not None:
        raise HarnessError("a pilot goes with built-in trials; run a study of two blocks, and `plan` it again")
    baseline, *others = arms(study)
    control = next((arm for arm in others if arm.control == "positive"), None)
    if control is None or control.expect is None:
        raise HarnessError("a pilot needs controls.positive, an arm that is known to differ; `plan` proposes one")
    group, changed = _common(_changes(baseline, control))
    average, last = baseline.settings.training.ema, study.horizon
    measure = study.measure.model_dump(mode="json")
    every = Study.model_validate(
        {
            **baseline.settings.model_dump(mode="json"),
            "study": f"{study.study}.pilot",
            "question": f"Where is the positive control of {study.study} told apart?",
            "axes": {
                group: {AS_IT_IS: {}, CONTROL: changed},
                AVERAGE: [average, 0.0 if average else ANOTHER_AVERAGE],
            },
            "design": {"kind": "factorial", "blocks": blocks, "seed": study.design.seed},
            "measure": {**measure, "at": sorted({max(1, last >> k) for k in range(HALVINGS + 1)})},
            "runner": study.runner.model_dump(mode="json"),
        }
    )
    return Pilot(every, study, control.expect)


def _changes(baseline: Arm, control: Arm) -> dict[tuple[str, ...], Any]:
    """Return what differs between two arms, by path."""
    old, new = (arm.settings.model_dump(mode="json") for arm in (baseline, control))
    return dict(_differences(old, new, ()))


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("kind") == new.get("kind"):
        for name in new:
            yield from _differences(old.get(name), new[name], (*path, name))
    elif old != new:
        yield path, new


def _common(changes: Mapping[tuple[str, ...], Any]) -> tuple[str, dict[str, Any]]:
    """Return the innermost group that holds all changes, and the changes as a level of it."""
    groups = [path[:-1] for path in changes]
    shared = [names[0] for names in itertools.takewhile(lambda n: len(set(n)) == 1, zip(*groups, strict=False))]
    if not shared:
        named = ", ".join(".".join(path) for path in changes) or "nothing"
        raise HarnessError(f"a pilot needs a positive control within one group of settings; this one changes {named}")
    level: dict[str, Any] = {}
    for path, value in changes.items():
        *inner, last = path[len(shared) :]
        place = level
        for name in inner:
            place = place.setdefault(name, {})
        place[last] = value
    return ".".join(shared), level
