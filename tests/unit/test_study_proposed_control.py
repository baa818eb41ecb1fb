from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import pytest
import yaml

from harness.preflight.plan import plan_document, render_plan
from harness.study.design import arms
from harness.study.pilot import pilot_of
from harness.study.proposed_control import proposed_control
from harness.study.reading import checked, read_study
from harness.study.study import Study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
DCGAN = {"data": {"kind": "faces"}, "generator": {"kind": "dcgan"}, "discriminator": {"kind": "dcgan"}}
TAKEN_AWAY = {"training.loss.adversarial": 0, "training.loss.category": 0}
NO_PAIRS = {"primary": "fid_efficientnet", "also": []}


def study(axis: str, levels: list[Any], **groups: Any) -> Study:
    return Study.model_validate({"study": "x", "axes": {axis: levels}, **groups})


@pytest.mark.parametrize(
    ("of", "positive"),
    [
        (study("discriminator.spectral_norm", ["none", "convs"]), TAKEN_AWAY),
        (study("training.optimizer.lr", [2e-4, 1e-3]), TAKEN_AWAY),
        (
            study("discriminator.norm", ["batch", "none"], discriminator={"kind": "zi2zi", "category_head": False}),
            {"training.loss.adversarial": 0},
        ),
        (study("discriminator.norm", ["batch", "none"], measure=NO_PAIRS, **DCGAN), "planted-harm"),
        (study("discriminator.norm", ["batch", "none"], training={"loss": {"l1": 0.0}}), "planted-harm"),
        (study("generator.upsampling", ["transposed", "resize"]), {"generator.channels": 32}),
        (study("data.augment", ["none", "zi2zi"]), {"data.limit": 50}),
        (study("data.limit", [64, 128]), {"data.limit": 32}),
        (study("generator.init", ["normal", "kaiming"], measure=NO_PAIRS, **DCGAN), {"generator.channels": 32}),
    ],
)  # fmt: skip
def test_the_control_is_near_what_is_asked_about_and_can_be_pasted(of: Study, positive: Any) -> None:
    proposed = proposed_control(of, training_items=100)
    assert proposed.positive == positive
    controls = yaml.safe_load(proposed.fragment)["controls"]
    with_it = checked(Study.model_validate({**of.model_dump(mode="json"), "controls": controls}))
    assert [arm.control for arm in arms(with_it)][-1] == "positive"
    assert pilot_of(with_it, 2).study.axes


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_takes_the_control_that_is_proposed_for_it(path: Path) -> None:
    of = read_study(path)
    controls = yaml.safe_load(proposed_control(of, training_items=60).fragment)["controls"]
    checked(Study.model_validate({**of.model_dump(mode="json"), "controls": controls}))


def test_plan_proposes_a_control_where_none_is_declared(tmp_path: Path) -> None:
    of = study("discriminator.spectral_norm", ["none", "convs"])
    without = plan_document(of, results=tmp_path, workers=1, build=False)
    assert "controls:\n  positive: {training.loss.adversarial: 0, training.loss.category: 0}" in render_plan(without)
    declared = study("discriminator.spectral_norm", ["none", "convs"], controls={"positive": {"training.ema": 0.5}})
    having = plan_document(declared, results=tmp_path, workers=1, build=False)
    assert having["positive_control"]["arm"] == "positive control"
    assert "positive control is declared" not in render_plan(having)


@pytest.mark.slow
def test_plan_says_that_a_control_which_changes_nothing_tells_nothing(tmp_path: Path) -> None:

    settings = {"training.loss.gradient_penalty": 3.0}  # of another loss: it is never read
    of = factory.study(controls={"positive": settings})
    document = plan_document(of, results=tmp_path, workers=1, build=True)
    assert "positive control' tells nothing and is not trained (no-op:" in render_plan(document)
    assert document["training_items"] > 0
