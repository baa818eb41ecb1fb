"""Which trials a study asks for: a pure function from the study to arms and blocks."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.metrics.catalogue import logged_value
from harness.study.controls import Expectation, NegativeControl, PositiveControl, planted_harm
from harness.study.fields import Axis
from harness.study.settings import TrialSettings
from harness.study.study import BASELINE, Level, Study

ControlKind = Literal["positive", "negative", "a/a", "one-ulp", "no-op"]


@dataclass(frozen=True)
class Arm:
    """One combination of levels, or a control."""

    name: str
    levels: Mapping[Axis, str]
    """The name of its level of every axis."""
    settings: TrialSettings
    control: ControlKind | None = None
    """Which kind of control it is, if it is one."""
    expect: Expectation | None = None
    """Of a positive control: how it must differ from the baseline."""
    seed: int = 0
    """The study's."""

    def streams(self, block: int) -> str:
        """Return the key of the arm's named streams: seed and block's, but for an A/A arm, which has its own."""
        key = f"seed {self.seed}/{block}" if self.seed else str(block)
        return f"{key}/{self.control}" if self.control == "a/a" else key


@dataclass(frozen=True)
class Trial:
    """One arm in one block."""

    arm: Arm
    block: int
    trial_id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trial_id", f"b{self.block:03d}-{slug(self.arm.name)}")


def slug(name: str) -> str:
    """Return a name fit for a file: itself where that is possible, else with a digest to keep it distinct."""
    safe = re.sub(r"[^A-Za-z0-9.=+_,-]", "_", name)[:80]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


MOST_ARMS = 4096
"""Networks of every arm are built before a study starts."""
MOST_TRIALS = 1_000_000
"""Each is a file of its own."""
MOST_CANDIDATES = 3000
"""Fractions that the search for the one with the fewest aliases may compare; it takes about 10 ms for each."""


def excess(study: Study) -> str | None:
    """Return in what a study asks for more arms, trials or comparisons than this program is made for."""
    levels = [len(given) for given in study.axes.values()]
    match study.design.kind:
        case "one_factor":
            count = 1 + sum(levels) - len(levels)
        case "factorial":
            count = math.prod(levels)
        case "fractional":
            free = max(0, len(levels) - study.design.halvings)
            count = 2**free
            candidates = math.comb(max(0, count - free - 1), study.design.halvings) if count <= MOST_ARMS else 0
            if candidates > MOST_CANDIDATES:
                return f"{candidates} candidates for the fraction, at most {MOST_CANDIDATES}; use fewer halvings"
    if count > MOST_ARMS:
        return f"{count} arms, at most {MOST_ARMS}; use fewer axes, or kind one_factor"
    every = count * study.design.most_blocks
    return f"{every} trials, at most {MOST_TRIALS}; use fewer blocks" if every > MOST_TRIALS else None


def arms(study: Study) -> tuple[Arm, ...]:
    """Return every arm of the design, the baseline first, then the controls that the study asks for.

    Raises:
        HarnessError: Too many arms, levels that do not go together, or a fraction that cannot be made.
    """
    too_much = excess(study)
    if too_much:
        raise HarnessError(f"design: {too_much}")
    axes = {axis: study.levels(axis) for axis in study.axes}
    match study.design.kind:
        case "one_factor":
            cells = _one_factor(axes)
        case "factorial":
            cells = [dict(zip(axes, names, strict=True)) for names in itertools.product(*axes.values())]
        case "fractional":
            cells = _fractional(axes, study.design.halvings)
    short = short_names(axes)
    first = {axis: next(iter(levels)) for axis, levels in axes.items()}
    named = {_arm_name(cell, first, short): cell for cell in cells}
    built = [_arm(study, name, cell, {axis: axes[axis][n] for axis, n in cell.items()}) for name, cell in named.items()]
    return (*built, *_controls(study, built[0], {axis: axes[axis][name] for axis, name in first.items()}))


def trains_no_op(study: Study, arm: Arm) -> bool:
    """Return whether an arm is trained even if it is proved to be a no-op; a positive control that is one is not."""
    return study.train_no_ops or arm.control not in (None, "positive")


def trials(chosen: Sequence[Arm], blocks: Iterable[int]) -> tuple[Trial, ...]:
    """Return every arm in every block, block after block, so that a study stopped early leaves whole blocks."""
    return tuple(Trial(arm, block) for block in blocks for arm in chosen)


def own_code(study: Study, chosen: Iterable[Arm]) -> tuple[str, ...]:
    """Return every `package.module:function` that the arms or metrics name: the one door for users' code."""
    kinds = [door for arm in chosen for door in own_parts(arm)]
    # A metric's door may stand behind `fid@`, and before `:higher`.
    computed = (name for name in study.measure.measured if logged_value(name) is None)
    metrics = (":".join(name.rpartition("@")[2].split(":")[:2]) for name in computed)
    return tuple(dict.fromkeys((*kinds, *(name for name in metrics if ":" in name))))


def own_parts(arm: Arm) -> tuple[str, ...]:
    """Return the doors of an arm's data, networks and loop."""
    s = arm.settings
    groups = (s.data, s.generator, s.discriminator, s.training)
    return tuple(group.kind for group in groups if ":" in group.kind)


def short_names(axes: Iterable[Axis]) -> dict[Axis, str]:
    """Return the shortest endings of dotted settings that tell them apart."""
    paths = [axis.split(".") for axis in axes]
    names = {}
    for path in paths:
        size = 1
        while size < len(path) and sum(other[-size:] == path[-size:] for other in paths) > 1:
            size += 1
        names[".".join(path)] = ".".join(path[-size:])
    return names


def _one_factor(axes: Mapping[Axis, Mapping[str, Level]]) -> list[dict[Axis, str]]:
    """Return the baseline's cell and, for each further level of each axis, the cell that differs in it alone."""
    first = {axis: next(iter(levels)) for axis, levels in axes.items()}
    return [first, *({**first, axis: name} for axis, levels in axes.items() for name in list(levels)[1:])]


def _fractional(axes: Mapping[Axis, Mapping[str, Level]], halvings: int) -> list[dict[Axis, str]]:
    """Return the cells of the two-level fraction with the fewest aliases."""
    from pyDOE3 import fracfact

    generators, _ = _fraction(axes, halvings)
    names = [list(levels) for levels in axes.values()]
    signs = fracfact(generators)
    # A regular fraction is a coset: counting signs from its first row puts the cell of all baselines into it and
    # keeps the aliases.
    return [{axis: names[i][int(row[i] != signs[0][i])] for i, axis in enumerate(axes)} for row in signs]


def _fraction(axes: Mapping[Axis, Mapping[str, Level]], halvings: int) -> tuple[str, list[str]]:
    """Return the generators and the alias chains, in letters, of the fraction."""
    for axis, levels in axes.items():
        if len(levels) != 2:
            raise HarnessError(f"design.kind fractional: axis {axis} has {len(levels)} levels; fractions need two")
    if not halvings < len(axes) - 1:
        raise HarnessError(
            f"design.halvings: {halvings} is too much for {len(axes)} axes; "
            f"use at most {len(axes) - 2}, or design.kind factorial"
        )
    return _fewest_aliases(len(axes), halvings)


@functools.cache
def _fewest_aliases(axes: int, halvings: int) -> tuple[str, list[str]]:
    from pyDOE3 import fracfact_opt

    generators, chains, _ = fracfact_opt(axes, halvings)
    return generators, chains


def aliases(study: Study) -> tuple[tuple[str, ...], ...]:
    """Return the groups of effects that a fractional study cannot tell apart, by the axes' short names.

    Effects of up to two axes are given; a main effect that stands alone is clear of all of them.
    """
    if study.design.kind != "fractional":
        return ()
    axes = {axis: study.levels(axis) for axis in study.axes}
    names = list(short_names(axes).values())
    _, chains = _fraction(axes, study.design.halvings)
    groups = []
    for chain in chains:
        words = [word.strip() for word in chain.split("=")]
        groups.append(tuple(":".join(names[ord(c) - ord("a")] for c in word) for word in words if len(word) <= 2))
    return tuple(group for group in groups if len(group) > 1)


def _arm_name(cell: Mapping[Axis, str], first: Mapping[Axis, str], short: Mapping[Axis, str]) -> str:
    parts = [f"{short[axis]}={name}" for axis, name in cell.items() if name != first[axis]]
    return ",".join(parts) or BASELINE


def _arm(study: Study, name: str, cell: Mapping[Axis, str], levels: Mapping[Axis, Level], **control: Any) -> Arm:
    try:
        settings = study.trial_settings(levels)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HarnessError(f"arm {name}: its levels do not go together: {where}: {first['msg']}") from None
    return Arm(name=name, levels=dict(cell), settings=settings, seed=study.design.seed, **control)


NO_OPS: Mapping[str, Mapping[Axis, Level]] = {
    "no-op blur": {"discriminator.blur": {"position": "input", "kernel_size": 1}},
    "no-op adamw": {"training.optimizer": {"kind": "adamw", "weight_decay": 0.0}},
}
"""Arms that must equal the baseline bit for bit, with what changes in them."""


def _controls(study: Study, baseline: Arm, levels: Mapping[Axis, Level]) -> Iterator[Arm]:
    """Yield the controls, the positive one first; each is the baseline with some settings changed."""

    def control(name: str, kind: ControlKind, changes: Mapping[Axis, Level], expect: Expectation | None = None) -> Arm:
        return _arm(study, name, baseline.levels, {**levels, **changes}, control=kind, expect=expect)

    optimizer = baseline.settings.training.optimizer
    match study.controls.positive:
        case PositiveControl(settings=changes, expect=expect):
            yield control("positive control", "positive", changes, expect)
        case "planted-harm":
            yield control("planted-harm", "positive", planted_harm(optimizer), "worse")
    own = 0
    for negative in study.controls.negatives:
        match negative:
            case NegativeControl(settings=changes):
                own += 1
                yield control("negative control" if own == 1 else f"negative control {own}", "negative", changes)
            case "no-ops":
                # AdamW without weight decay is a no-op only where the baseline takes plain Adam.
                plain_adam = optimizer.kind in ("adam", "adamw") and not optimizer.weight_decay
                for name, changed in NO_OPS.items():
                    if name != "no-op adamw" or plain_adam:
                        yield control(name, "no-op", changed)
            case "a/a" | "one-ulp":
                yield control(negative, negative, {})
