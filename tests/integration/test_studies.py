"""The studies that come with the harness: each can be read, planned and computed, and finds by itself what is known."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import HarnessError
from harness.study.design import arms
from harness.study.reading import read_study
from harness.study.study import BASELINE, Study

FOLDER = Path(__file__).parents[2] / "studies"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
NEEDS = {"hanzi": "pylopdf_fonts_zh_cn"}

PROOFS = {
    "final_conv": {
        "discriminator=one-channel-5x5": "same-function-class",
        "discriminator=one-channel-3x3": "same-function-class",
        "discriminator=eight-channels": "confounded",
        "discriminator=all-channels": "confounded",
        "discriminator=zi2zi": "confounded",
        "discriminator=as-written-four-channels": "invalid",
        "discriminator=as-written-eight-channels": "invalid",
    },
    "spectral_norm": {
        "spectral_norm=scaled": None,
        "spectral_norm=convs": None,
        "spectral_norm=convs+heads": None,
        "schedule=linear": None,
        "schedule=cosine": None,
        "optimizer=adamw-0": "no-op",
        "optimizer=adamw-0.1": None,
    },
    "blur_position": {
        "blur=input": None,
        "blur=input-fading": None,
        "blur=hidden": None,
        "blur=features": None,
        "blur=output": "same-function-class",
        "blur=features-k1": "no-op",
    },
    "innermost_stride": {
        "innermost=both-1": "confounded",
        "innermost=down-1": "invalid",
        "innermost=up-1": "invalid",
        "innermost=up-1-interpolate": None,
        "upsampling=resize": "confounded",
        "upsampling=pixel_shuffle": "confounded",
        "refine=true": "confounded",
    },
    "dcgan_faces": {
        "loss=sigmoid-bce": None,
        "real_and_fake=joint": "no-op",
        "real_and_fake=concat": None,
        "betas=0.9-0.999": None,
        "betas=0.0-0.999": None,
        "last_norm=true": None,
        "init=default": None,
        "activation=relu": None,
        "augment=flip": None,
    },
    "controls": {
        "innermost=up-1": "no-op",
        "innermost=down-1": "no-op",
        "blur=features-k1": "no-op",
        "dropout=0.2": "no-op",
        "a/a": None,
        "one-ulp": None,
        "no-op blur": "no-op",
        "no-op adamw": "no-op",
    },
}


def study(name: str) -> Study:
    return read_study(FOLDER / f"{name}.yaml")


def needed(name: str) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")


def harness(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )


def test_there_is_a_study_for_each_post() -> None:
    posts = {"final_conv", "spectral_norm", "blur_position", "innermost_stride", "dcgan_faces", "dcgan_celeba"}
    assert posts | {"quickstart", "factorial", "controls", "hanzi"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_study_is_read_asks_a_question_and_has_its_files_name(name: str) -> None:
    found = study(name)
    assert found.study == name
    assert found.question.endswith("?")
    assert arms(found)[0].name == BASELINE


@pytest.mark.parametrize("name", NAMES)
def test_each_claim_is_about_an_arm_of_its_study(name: str) -> None:
    found = study(name)
    names = {arm.name for arm in arms(found)}
    assert {claim.arm for claim in found.claims} <= {None, *names} - {BASELINE}
    assert {arm for claim in found.claims for arm in claim.order} <= names
    ids = [claim.id for claim in found.claims]
    assert len(set(ids)) == len(ids)
    assert {claim.metric for claim in found.claims} <= {None, *found.measure.metrics}


@pytest.mark.parametrize("name", sorted(PROOFS))
@pytest.mark.slow
def test_preflight_finds_what_is_known_of_each_arm(name: str, tmp_path: Path) -> None:
    from harness.preflight.preflight import preflight

    every = arms(study(name))
    found = preflight(study(name), every, cache=tmp_path, measure_speed=False)
    asked = {arm.name for arm in every if arm.control != "positive"}
    assert {arm.arm: arm.proof for arm in found.arms if arm.arm in asked} == {BASELINE: None, **PROOFS[name]}


def pictures(folder: Path) -> Path:
    """Write a small tree of pictures in the place of CelebA."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(60):
        Image.fromarray(draw.integers(0, 256, (80, 72, 3), dtype=np.uint8)).save(folder / f"{number:06d}.jpg")
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_each_study_cut_to_a_few_steps_ends_with_a_row_for_every_trial(name: str, tmp_path: Path) -> None:
    needed(name)
    cut = ["training.steps=20", "design.blocks=1", "measure.images=32", "failures.diversity_floor=0"]
    if name == "dcgan_celeba":
        cut += [f"data.path={pictures(tmp_path / 'pictures')}", "data.holdout=0.4", "training.batch_size=4"]
    options = [part for setting in cut for part in ("--set", setting)]
    done = harness("run", FOLDER / f"{name}.yaml", "--results", tmp_path / "results", "--json", *options)
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "results" / name / "plan.json").read_text(encoding="utf-8"))
    rows = list((tmp_path / "results" / name / "trials").glob("*.parquet"))
    assert len(rows) == plan["trials"] > 0
    assert json.loads(done.stdout)


def test_celeba_that_is_not_there_is_asked_for_by_its_path(tmp_path: Path) -> None:
    from harness.data import load

    missing = tmp_path / "celeba"
    settings = read_study(FOLDER / "dcgan_celeba.yaml", [f"data.path={missing}"]).data
    with pytest.raises(HarnessError, match=re.escape(str(missing))):
        load(settings)
