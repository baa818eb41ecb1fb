"""What preflight says of arms whose nature is known, and what it leaves as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import pytest
import torch

from harness.preflight.preflight import Preflight, preflight
from harness.results.schema import PROOFS, ArmPlan
from harness.study.design import arms
from harness.study.study import Study

TINY = factory.asked(
    data={"kind": "glyphs", "characters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "image_size": 16},
    discriminator={"kind": "zi2zi", "channels": 4, "final_channels": 1},
    training={"steps": 40, "batch_size": 4},
    measure={"primary": "l1", "also": []},
    design={"blocks": 3},
    axes={},
)
KINDS: dict[str, Any] = {
    "axes": {
        "discriminator.blur": {
            "none": {"position": "none"},
            "k1": {"position": "hidden", "kernel_size": 1},
            "k5": {"position": "input"},
            "hidden": {"position": "hidden"},
        },
        "generator.innermost": {"s2": {"up_stride": 2}, "up": {"up_stride": 1}, "down": {"down_stride": 1}},
        "generator.dropout": [0.5, 0.1],
        "training.optimizer": {
            "adam": {"kind": "adam"},
            "adamw": {"kind": "adamw"},
            "decay": {"kind": "adamw", "weight_decay": 0.1},
        },
        "training.loss.kind": ["bce", "sigmoid_bce", "wgan_gp"],
        "training.loss.gradient_penalty": [10.0, 1.0],
        "training.schedule": {"constant": {"kind": "constant"}, "late": {"kind": "halving", "every": 0.9}},
        "training.precision": ["float32", "bfloat16"],
        "training.channels_last": [True, False],
        "discriminator.final_conv.kernel_size": [5, 0, 3],
        "discriminator.final_conv.in_channels": [1, 4],
        "discriminator.head": ["linear", "mean"],
        "discriminator.spectral_norm": ["none", "convs+heads"],
        "generator.channels": [4, 8],
    },
    "confounded_above": 0.5,
    "design": {"blocks": 3},
    "controls": {"positive": "planted-harm", "negative": ["a/a", "one-ulp", "no-ops"]},
}


def study(**groups: Any) -> Study:
    return Study.model_validate({**TINY, **groups})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def plan(asked: Study, cache: Path, **options: Any) -> Preflight:
    return preflight(asked, arms(asked), cache=cache, measure_speed=False, **options)


def by_name(found: Preflight) -> dict[str, ArmPlan]:
    return {arm.arm: arm for arm in found.arms}


@pytest.fixture(scope="module")
def kinds(cache: Path) -> dict[str, ArmPlan]:
    return by_name(plan(study(**KINDS), cache))


EXPECTED = {
    "baseline": None,
    "blur=k1": "no-op",
    "blur=k5": None,
    "blur=hidden": "invalid",
    "innermost=up": "no-op",
    "innermost=down": "no-op",
    "dropout=0.1": "no-op",
    "optimizer=adamw": "no-op",
    "optimizer=decay": None,
    "kind=sigmoid_bce": None,
    "kind=wgan_gp": "invalid",
    "gradient_penalty=1.0": "no-op",
    "schedule=late": None,
    "precision=bfloat16": None,
    "channels_last=false": "no-op",
    "kernel_size=0": "same-function-class",
    "kernel_size=3": "same-function-class",
    "in_channels=4": "invalid",
    "head=mean": None,
    "spectral_norm=convs+heads": None,
    "channels=8": "confounded",
    "a/a": None,
    "one-ulp": None,
    "no-op blur": "no-op",
    "no-op adamw": "no-op",
    "planted-harm": None,
}


def test_each_arm_gets_the_proof_that_its_nature_calls_for(kinds: dict[str, ArmPlan]) -> None:
    assert {name: arm.proof for name, arm in kinds.items()} == EXPECTED
    assert {arm.proof for arm in kinds.values()} <= {*PROOFS, None}


def test_a_setting_that_nothing_reads_is_called_so_and_one_that_is_read_is_not(kinds: dict[str, ArmPlan]) -> None:
    dead = {name for name, arm in kinds.items() if "never read" in (arm.reason or "")}
    assert dead == {"dropout=0.1", "gradient_penalty=1.0"}
    assert "bit for bit in float64" in (kinds["innermost=up"].reason or "")


def test_reasons_name_the_layer_and_both_numbers_of_a_shape_that_does_not_fit(kinds: dict[str, ArmPlan]) -> None:
    assert kinds["in_channels=4"].reason == "discriminator.final: is built for maps of 4 channels and gets 1 (1x2x2)"
    assert "needs maps of at least 3x3, got 2x2" in (kinds["blur=hidden"].reason or "")
    assert "BatchNorm makes each score depend on the whole batch" in (kinds["kind=wgan_gp"].reason or "")


def test_the_same_function_class_comes_with_the_rank_of_the_map_in_question(kinds: dict[str, ArmPlan]) -> None:
    assert "4x4 matrix of rank 4" in (kinds["kernel_size=0"].reason or "")


def test_confounding_is_said_with_its_figures(kinds: dict[str, ArmPlan]) -> None:
    arm, base = kinds["channels=8"], kinds["baseline"]
    assert f"{base.parameters_g:,} -> {arm.parameters_g:,}" in (arm.reason or "")
    assert arm.parameters_d == base.parameters_d


def test_arms_share_all_initial_weights_but_for_layers_of_their_own(kinds: dict[str, ArmPlan]) -> None:
    assert kinds["baseline"].matched_fraction == 1.0
    assert kinds["spectral_norm=convs+heads"].matched_fraction == 1.0
    assert 0.9 < (kinds["kernel_size=3"].matched_fraction or 0) < 1.0
    assert (kinds["a/a"].matched_fraction or 1) < 0.05


def test_nothing_is_said_of_time_where_nothing_is_timed(cache: Path) -> None:
    found = plan(study(axes={"generator.refine": [False, True]}), cache)
    assert found.estimated_seconds is None
    assert all(arm.seconds_per_step is None for arm in found.arms)


def test_random_streams_threads_and_files_are_left_as_they_were(cache: Path, tmp_path: Path) -> None:
    asked = study(
        axes={"discriminator.blur.position": ["none", "input"], "discriminator.spectral_norm": ["none", "convs"]}
    )
    plan(asked, cache)
    before = torch.get_rng_state(), torch.get_num_threads(), sorted(cache.rglob("*"))
    plan(asked, cache)
    after = torch.get_rng_state(), torch.get_num_threads(), sorted(cache.rglob("*"))
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_trials_are_counted_without_arms_that_are_settled_and_up_to_the_first_look(cache: Path) -> None:
    axes = {"discriminator.blur": {"none": {"position": "none"}, "k1": {"position": "input", "kernel_size": 1}}}
    looked = study(axes={**axes, "generator.refine": [False, True]}, design={"blocks": {"looks": [2, 5]}})
    planned = plan(looked, cache)
    assert (planned.trials, planned.trials_at_most) == (4, 10)
    assert plan(study(axes=axes, train_no_ops=True), cache).trials == 6


def test_two_arms_that_are_one_function_are_pointed_out(cache: Path) -> None:
    levels = {"a": {"levels": 3}, "b": {"levels": 4}, "c": {"levels": 4, "innermost": {"up_stride": 1}}}
    found = by_name(plan(study(axes={"generator": levels}), cache))
    assert (found["generator=c"].reason or "").endswith("the same as arm generator=b, bit for bit")
    assert "the same" not in (found["generator=b"].reason or "")


def test_an_output_blur_before_heads_under_spectral_norm_is_not_called_the_same_function_class(cache: Path) -> None:
    axes = {"discriminator.blur": {"none": {"position": "none"}, "out": {"position": "output", "kernel_size": 3}}}
    larger = {"data": {**TINY["data"], "image_size": 32}}
    free = by_name(plan(study(**larger, axes=axes), cache))
    bound = {**TINY["discriminator"], "spectral_norm": "convs+heads"}
    held = by_name(plan(study(**larger, axes=axes, discriminator=bound), cache))
    assert (free["blur=out"].proof, held["blur=out"].proof) == ("same-function-class", None)


def test_a_baseline_that_cannot_be_built_is_invalid_and_so_said(cache: Path) -> None:
    found = plan(study(generator={**TINY["generator"], "levels": 7}), cache)
    assert found.arms[0].proof == "invalid"
    assert found.arms[0].reason == "generator.levels: 7 do not fit images of 16 px; from 2 to 4 do"


@pytest.mark.slow
def test_arms_beyond_the_budget_are_too_costly_and_say_by_how_much(cache: Path) -> None:
    axes = {"discriminator.spectral_norm": ["none", "convs"]}
    asked = study(axes=axes, budget={"trial_minutes": 1e-4})
    found = preflight(asked, arms(asked), cache=cache)
    assert {arm.proof for arm in found.arms} == {"too-costly"}
    assert "s a step, measured on this machine" in (found.arms[1].reason or "")
    assert found.trials == 0
    roomy = preflight(study(axes=axes, budget={"hours": 1.0}), arms(asked), cache=cache)
    assert {arm.proof for arm in roomy.arms} == {None}
    assert roomy.estimated_seconds is not None
    assert all(arm.seconds_per_step is not None and arm.seconds_per_step > 0 for arm in roomy.arms)


ONLY_FLOAT32 = """
import torch
from harness.models import Generated

class Network(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, conditions):
        return Generated(torch.tanh(self.conv(conditions.source.float())))

def generator(*, image_size, channels, styles, wrong=False):
    return Network(channels + wrong)
"""


def test_a_users_network_that_knows_no_float64_is_not_compared_but_not_called_invalid_either(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_float32.py").write_text(ONLY_FLOAT32)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"kind": "only_float32:generator"}
    found = by_name(
        plan(study(generator=own, axes={"generator.options": {"right": {}, "wrong": {"wrong": True}}}), cache)
    )
    assert found["baseline"].proof is None
    assert "not compared, because it does not work in float64" in (found["baseline"].reason or "")
    assert found["options=wrong"].proof == "invalid"
    said = found["options=wrong"].reason or ""
    assert said.startswith("only_float32:generator, called with Conditions(source (3, 1, 16, 16)")
    assert "generator.conv: is built for maps of 2 channels and gets 1 (1x16x16) (only_float32.py, line 11)" in said
