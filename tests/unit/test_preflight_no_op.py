"""What is said of arms of known nature, and what training them shows: a proof of no effect is never wrong."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import factory
import pytest
import torch
from arms_of_known_nature import GROUPS, STEPS, Changes

from harness.models import build_pair
from harness.preflight import no_op
from harness.preflight.preflight import preflight
from harness.results.schema import ArmPlan
from harness.study.design import Arm
from harness.study.settings import TrialSettings
from harness.study.study import Study, put
from harness.trial.trainer import Trainer
from harness.trial.training import train

NO_OPS = ("no-op", "dead")


def first_of_their_kind(group: str) -> tuple[int, ...]:
    """Return the first arms of each nature and each part of the settings: the others repeat them in the slow tests."""
    kinds = [(nature, frozenset(p.rpartition(".")[0] for p in changes)) for nature, changes in GROUPS[group][2]]
    return tuple(n for n, kind in enumerate(kinds) if kinds.index(kind) == n and group != "plain, real changes")


FAST = {group: first_of_their_kind(group) for group in GROUPS}
CASES = [
    pytest.param(
        group,
        number,
        nature,
        id=f"{nature}: {group}: {changes}",
        marks=[] if number in FAST[group] else [pytest.mark.slow],
    )
    for group, (_, _, arms) in GROUPS.items()
    for number, (nature, changes) in enumerate(arms)
]


def settings_of(group: str, number: int | None) -> TrialSettings:
    """Return the settings of one of a group's arms, or of its baseline."""
    base, changes, arms = GROUPS[group]
    data = Study.model_validate(base).trial_settings({}).model_dump()
    for path, value in {**changes, **({} if number is None else arms[number][1])}.items():
        put(data, path, value)
    return TrialSettings.model_validate(data)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@functools.cache
def plans(group: str, numbers: tuple[int, ...], cache: Path) -> dict[int, ArmPlan]:
    """Return what preflight says of some arms of a group."""
    compared = [Arm(str(number), {}, settings_of(group, number)) for number in numbers]
    every = [Arm("baseline", {}, settings_of(group, None)), *compared]
    study = Study.model_validate(GROUPS[group][0])
    return dict(zip(numbers, preflight(study, every, cache=cache, measure_speed=False).arms[1:], strict=True))


@pytest.mark.parametrize(("group", "number", "nature"), CASES)
def test_each_arm_is_called_what_it_is(group: str, number: int, nature: str, cache: Path) -> None:
    fast = FAST[group]
    slow = tuple(n for n in range(len(GROUPS[group][2])) if n not in fast)
    plan = plans(group, fast if number in fast else slow, cache)[number]
    proofs = {"no-op": "no-op", "dead": "no-op", "invalid": "invalid", "class": "same-function-class"}
    assert plan.proof == proofs.get(nature), plan.reason
    assert ("never read" in (plan.reason or "")) == (nature == "dead"), plan.reason
    assert ("put down to rounding" in (plan.reason or "")) == (nature == "rounding"), plan.reason
    if nature == "real":
        assert "no difference" not in (plan.reason or "")


def test_the_table_is_large_and_holds_every_nature() -> None:
    natures = [nature for _, _, arms in GROUPS.values() for nature, _ in arms]
    assert len(natures) >= 100
    assert {"no-op", "dead", "late", "tiny", "rounding", "real", "invalid", "class"} == set(natures)


@functools.cache
def history(settings: TrialSettings) -> list[tuple[float, float]]:
    """Return both losses of every step of a whole training in float32, as trials are trained."""
    paired = settings.data.kind == "glyphs"
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    layout = torch.channels_last if settings.training.channels_last else torch.contiguous_format
    for network in pair.networks().values():
        network.to(memory_format=layout)
    split = factory.split(paired=paired, size=settings.data.image_size)
    return [(step.loss_d, step.loss_g) for step in train(Trainer(pair, settings, split, block="0"), log_every=STEPS)]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "number", "nature"), [case for case in CASES if case.values[2] in (*NO_OPS, "late")])
def test_training_an_arm_to_its_end_bears_out_what_it_is_called(group: str, number: int, nature: str) -> None:
    arm, baseline = history(settings_of(group, number)), history(settings_of(group, None))
    rearranged = any(path.startswith(no_op.REARRANGED) for path in GROUPS[group][2][number][1])
    if nature == "late":
        assert arm != baseline
    elif rearranged:
        assert torch.tensor(arm[:2]).allclose(torch.tensor(baseline[:2]), rtol=1e-3)
    else:
        assert arm == baseline


def reason(group: str, changes: Changes, cache: Path) -> str:
    """Return what is said of the arm with these changes."""
    number = [c for _, c in GROUPS[group][2]].index(changes)
    return plans(group, FAST[group] if number in FAST[group] else (number,), cache)[number].reason or ""


def test_a_difference_at_a_few_steps_alone_is_said_with_their_number(cache: Path) -> None:
    """A fade of .1 and one of .3 want other sigmas on 89 steps, of which float32 keeps 83 apart."""
    assert "83 of 300 steps, first at step 2" in reason("fading", {"discriminator.blur.fade": 0.3}, cache)
    assert "54 of 300 steps, first at step 103" in reason("halving", {"training.schedule.every": 0.4}, cache)
    assert "that is no proof" in reason("halving", {"training.schedule.every": 0.338}, cache)


def test_schedules_are_said_to_be_equal_at_every_step_where_the_setting_is_one(cache: Path) -> None:
    said = reason("halving", {"training.schedule.every": 0.339}, cache)
    assert said.endswith("optimisers and blurs are set alike at each of 300 steps; in float32 too")


def test_a_setting_that_the_loop_reads_in_a_way_unknown_to_proofs_is_trained(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_op, "REARRANGED", ())
    monkeypatch.setattr(no_op, "SCHEDULED", ())
    monkeypatch.setattr(no_op, "READ_FROM_THE_START", ())
    for changes in ({"training.loss.real_and_fake": "joint"}, {"training.schedule.every": 0.9}):
        data: dict[str, Any] = settings_of("plain", None).model_dump()
        for path, value in changes.items():
            put(data, path, value)
        every = [Arm("baseline", {}, settings_of("plain", None)), Arm("arm", {}, TrialSettings.model_validate(data))]
        (plan,) = preflight(Study.model_validate(GROUPS["plain"][0]), every, cache=cache, measure_speed=False).arms[1:]
        assert plan.proof is None
        assert "no difference from the baseline seen" in (plan.reason or "")
