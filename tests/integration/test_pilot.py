"""A pilot: what it trains, what it reads off, and what it proposes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import factory
import pandas as pd
import pytest
import tiny
import yaml

from harness.errors import HarnessError
from harness.preflight.pilot import Reading, _reading, looks_for, proposed
from harness.study.pilot import pilot_of
from harness.study.study import Study

CONTROL = {"settings": {"training.loss.l1": 0.0, "training.loss.category": 0.0}, "expect": "worse"}


def reading(step: int, **changes: Any) -> Reading:
    given = {
        "metric": "ssim",
        "step": step,
        "average": 0.99,
        "pairs": 3,
        "difference": -0.1,
        "sd": 0.02,
        "p_value": 0.01,
        "margin": 0.05,
        "blocks": 8,
        "block_seconds": float(step),
    }
    return Reading(**{**given, **changes})


def test_a_pilot_varies_the_controls_settings_and_the_average_and_nothing_else() -> None:
    study = factory.study(controls={"positive": CONTROL}, training={"steps": 80, "batch_size": 4, "ema": 0.9})
    pilot = pilot_of(study, 3)
    assert pilot.study.axes == {
        "training.loss": {"as it is": {}, "control": {"l1": 0.0, "category": 0.0}},
        "training.ema": [0.9, 0.0],
    }
    assert pilot.study.measure.at == (5, 10, 20, 40, 80)
    assert pilot.study.study == "tiny.pilot"
    assert pilot.study.trial_settings({}) == study.trial_settings({})


def test_a_pilot_of_a_study_with_axes_takes_their_first_levels() -> None:
    study = factory.study(
        controls={"positive": CONTROL},
        axes={"discriminator.spectral_norm": ["none", "convs"], "training.ema": [0.5, 0.0]},
    )
    assert pilot_of(study, 2).study.training.ema == 0.5


def test_without_a_positive_control_there_is_no_pilot() -> None:
    with pytest.raises(HarnessError, match=r"needs controls\.positive"):
        pilot_of(factory.study(), 3)


def test_a_control_that_changes_several_groups_is_refused_by_name() -> None:
    control = {"settings": {"generator.channels": 2, "discriminator.channels": 2}}
    with pytest.raises(HarnessError, match=r"generator\.channels, discriminator\.channels"):
        pilot_of(factory.study(controls={"positive": control}), 3)


def test_the_cheapest_step_from_which_on_the_control_stays_told_apart_is_proposed() -> None:
    steps = [reading(100, p_value=0.3), reading(200), reading(400)]
    assert proposed(steps, "ssim").step == 200
    lost_again = [reading(100), reading(200, p_value=0.3), reading(400)]
    assert proposed(lost_again, "ssim").step == 400


def test_a_difference_below_the_margin_is_not_told_apart() -> None:
    assert proposed([reading(100, difference=-0.01)], "ssim") is None


@pytest.mark.parametrize("expect", ["worse", "better", "differs"])
@pytest.mark.parametrize(("control", "apart"), [(0.0, False), (0.5, True), (-0.5, True)])
def test_a_metric_that_is_the_same_in_every_block_tells_nothing_apart(
    expect: str, control: float, *, apart: bool
) -> None:
    pairs = pd.DataFrame({"value_baseline": [0.0, 0.0, 0.0], "value_control": [control] * 3})
    study = factory.study(measure={"primary": "ssim", "also": ["dead_units_g"]})
    seen = _reading(study, "dead_units_g", 10, 0.0, pairs, expect, 1, 1.0)
    assert seen is not None
    expected = apart and (expect == "differs" or (control > 0) == (expect == "worse"))
    assert seen.told_apart is expected


def test_a_metric_without_a_margin_is_proposed_only_where_no_other_tells() -> None:
    blind = reading(100, metric="l1", margin=None, blocks=None, sd=0.001)
    assert proposed([blind, reading(100)], "ssim").metric == "ssim"
    only = proposed([blind], "ssim")
    assert (only.metric, only.seconds, only.looks) == ("l1", None, (6, 9, 12))


@pytest.mark.parametrize(("blocks", "looks"), [(2, (6, 9, 12)), (10, (6, 9, 12)), (24, (14, 21, 28))])
def test_looks_begin_where_equivalent_can_be_said_and_end_beyond_the_blocks_that_are_needed(
    blocks: int, looks: tuple[int, ...]
) -> None:
    assert looks_for(blocks) == looks


@pytest.mark.slow
def test_the_command_trains_the_pilot_once_and_proposes_a_study_that_can_be_read(tmp_path: Path) -> None:
    asked = factory.asked(
        controls={"positive": CONTROL},
        training={"steps": 8, "batch_size": 4, "ema": 0.9},
        failures={"diversity_floor": 0.0},
    )
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(asked), encoding="utf-8")
    command = (
        "plan",
        file,
        "--pilot",
        "--pilot-blocks",
        2,
        "--results",
        tmp_path,
        "--executor",
        "in-process",
        "--json",
    )
    first = tiny.call(*command)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert document["statuses"] == {"complete": 8}
    assert {(r["metric"], r["average"]) for r in document["readings"]} == {
        (m, a) for m in ("l1", "ssim") for a in (0, 0.9)
    }
    assert document["proposal"]["fragment"] in first.stderr
    changed = yaml.safe_load(document["proposal"]["fragment"].replace("margin: ...", "margin: 1%"))
    proposal = Study.model_validate({**asked, **{k: {**asked[k], **v} for k, v in changed.items()}})
    assert proposal.training.steps <= 8
    assert proposal.design.goals[0] >= 6
    assert not (tmp_path / "tiny").exists()
    assert tiny.call(*command).stdout == first.stdout
