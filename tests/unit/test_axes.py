"""No axis is dead: each level of each setting changes what is computed, or is proved not to, and then why is said."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import factory
import pytest
import torch
from pydantic import TypeAdapter

from harness.models import build_pair
from harness.preflight.function_probe import Tensors, agreement, answers, course, sample_steps
from harness.preflight.small_networks import Shape
from harness.study.fields import Settings
from harness.study.network_settings import (
    DcganDiscriminatorSettings,
    DcganGeneratorSettings,
    UNetSettings,
    Zi2ziDiscriminatorSettings,
)
from harness.study.problems import setting_paths
from harness.study.settings import TrialSettings
from harness.study.study import put
from harness.study.training_settings import LossSettings, OptimizerSettings, ScheduleSettings, TrainingSettings
from harness.trial.trainer import Trainer
from harness.trial.training import train

CHANGED, UNCHANGED = 1e-6, 1e-9
"""Differences over the largest magnitude of a tensor, in float64."""
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A setting, the levels that are tried against its default, and the other settings under which it is read."""

    kind: str
    path: str
    levels: tuple[Any, ...]
    under: Changes = field(default_factory=dict)


BLURRED = {"discriminator.blur.position": "input"}
SMALL_BOTTLENECK = {"generator.levels": 3}
RESIZED = {**SMALL_BOTTLENECK, "generator.innermost.compensation": "interpolate"}
UNNORMALISED = {"discriminator.norm": "layer"}
ADAPTIVE = {
    "training.adaptive_augment.policy": "all",
    "training.adaptive_augment.target": -1.0,
    "training.adaptive_augment.every": 1,
    "training.adaptive_augment.images": 8,
}
AXES = (
    Axis("zi2zi", "generator.channels", (8,)),
    Axis("zi2zi", "generator.levels", (3,)),
    Axis("zi2zi", "generator.style_channels", (4,)),
    Axis("zi2zi", "generator.norm", ("instance", "layer", "none"), {"generator.levels": 3}),
    Axis("zi2zi", "generator.down_activation", ("relu",)),
    Axis("zi2zi", "generator.up_activation", ("leaky_relu",)),
    Axis("zi2zi", "generator.dropout", (0.1,), {"data.image_size": 64}),
    Axis("zi2zi", "generator.innermost.down_stride", (1,), RESIZED),
    Axis("zi2zi", "generator.innermost.up_stride", (1,), RESIZED),
    Axis("zi2zi", "generator.innermost.compensation", ("upsample",), SMALL_BOTTLENECK),
    Axis(
        "zi2zi",
        "generator.innermost.compensation",
        ("interpolate",),
        {**SMALL_BOTTLENECK, "generator.innermost.up_stride": 1, "generator.innermost.compensation": "upsample"},
    ),
    Axis("zi2zi", "generator.upsampling", ("resize", "pixel_shuffle")),
    Axis("zi2zi", "generator.refine", (True,)),
    Axis("zi2zi", "generator.skip_attention", (True,)),
    Axis("zi2zi", "generator.init", ("kaiming", "default")),
    Axis("dcgan", "generator.channels", (8,)),
    Axis("dcgan", "generator.latent", (3,)),
    Axis("dcgan", "generator.norm", ("instance", "layer", "none")),
    Axis("dcgan", "generator.activation", ("leaky_relu",)),
    Axis("dcgan", "generator.last_norm", (True,)),
    Axis("dcgan", "generator.init", ("kaiming", "default")),
    *(
        Axis(kind, f"discriminator.{name}", levels, under)
        for kind in ("zi2zi", "dcgan")
        for name, levels, under in (
            ("channels", (8,), {}),
            ("norm", ("instance", "layer", "none"), {}),
            ("activation", ("relu",), {}),
            ("spectral_norm", ("scaled", "unnormalised", "convs", "convs+heads"), {}),
            (
                "blur.position",
                ("input", "hidden", "features"),
                {"data.image_size": 32, "discriminator.blur.kernel_size": 3},
            ),
            ("blur.kernel_size", (1, 3, 7, 9), BLURRED),
            ("blur.sigma", (0.5,), BLURRED),
            ("blur.fade", (0.5,), BLURRED),
            ("minibatch_std", (2,), {}),
            ("spectral_iterations", (3,), {"discriminator.spectral_norm": "convs"}),
            ("init", ("kaiming", "default"), {}),
        )
    ),
    Axis("zi2zi", "discriminator.blur.position", ("output",), {"discriminator.blur.kernel_size": 3}),
    Axis("zi2zi", "discriminator.layers", (3,)),
    Axis("zi2zi", "discriminator.final_channels", (1, 8)),
    Axis("zi2zi", "discriminator.final_conv.kernel_size", (0, 1, 3)),
    Axis("zi2zi", "discriminator.head", ("mean", "patch")),
    Axis("zi2zi", "discriminator.category_head", (False,)),
    Axis("zi2zi", "training.discriminator_steps", (2,)),
    Axis("zi2zi", "training.generator_steps", (1,)),
    Axis("zi2zi", "training.batch_size", (6,)),
    Axis("zi2zi", "training.loss.kind", ("sigmoid_bce", "hinge", "lsgan")),
    Axis("zi2zi", "training.loss.kind", ("wgan_gp",), {"discriminator.norm": "layer"}),
    Axis("zi2zi", "training.loss.adversarial", (0.0, 0.3, 3.0)),
    Axis("zi2zi", "training.loss.l1", (10.0, 0.0)),
    Axis("zi2zi", "training.loss.category", (0.0,)),
    Axis("zi2zi", "training.loss.constant", (0.0,)),
    Axis(
        "zi2zi",
        "training.loss.gradient_penalty",
        (1.0,),
        {"training.loss.kind": "wgan_gp", "discriminator.norm": "layer"},
    ),
    Axis("zi2zi", "training.loss.real_and_fake", ("concat",)),
    Axis("zi2zi", "training.loss.r1", (10.0,), UNNORMALISED),
    Axis("zi2zi", "training.loss.r2", (10.0,), UNNORMALISED),
    Axis("zi2zi", "training.loss.penalty_every", (4,), {**UNNORMALISED, "training.loss.r1": 10.0}),
    Axis("zi2zi", "training.loss.smoothing", (0.1,)),
    Axis("zi2zi", "training.loss.relativistic", (True,)),
    Axis("zi2zi", "training.loss.feature_matching", (1.0,)),
    Axis("zi2zi", "training.gradient_clip", (1e-3,)),
    Axis("zi2zi", "training.instance_noise.sigma", (0.1,)),
    Axis("zi2zi", "training.instance_noise.fade", (0.0, 0.5), {"training.instance_noise.sigma": 0.1}),
    Axis("zi2zi", "training.diff_augment", ("color", "translation", "cutout", "all")),
    Axis("dcgan", "training.diff_augment", ("all",)),
    *(
        Axis("zi2zi", f"training.adaptive_augment.{name}", levels, {**ADAPTIVE, **under})
        for name, levels, under in (
            ("policy", ("translation", "all"), {"training.adaptive_augment.policy": "none"}),
            ("target", (1.0,), {}),
            ("every", (2,), {}),
            ("images", (64,), {}),
        )
    ),
    Axis("zi2zi", "training.optimizer.lr", (1e-3,)),
    Axis("zi2zi", "training.optimizer.lr_discriminator", (1e-3,)),
    Axis("zi2zi", "training.optimizer.betas", ((0.0, 0.999), (0.9, 0.999), (0.5, 0.9))),
    Axis("zi2zi", "training.optimizer.weight_decay", (0.1,)),
    Axis("zi2zi", "training.optimizer.kind", ("adamw",), {"training.optimizer.weight_decay": 0.1}),
    Axis("zi2zi", "training.optimizer.kind", ("sgd", "rmsprop")),
    Axis("zi2zi", "training.optimizer.momentum", (0.9,), {"training.optimizer.kind": "sgd"}),
    Axis("zi2zi", "training.optimizer.momentum", (0.9,), {"training.optimizer.kind": "rmsprop"}),
    Axis("zi2zi", "training.optimizer.smoothing", (0.9,), {"training.optimizer.kind": "rmsprop"}),
    Axis("zi2zi", "training.schedule.kind", ("linear", "cosine", "halving")),
    Axis("zi2zi", "training.schedule.every", (0.9,), {"training.schedule.kind": "halving"}),
    Axis("zi2zi", "training.schedule.floor", (0.5,), {"training.schedule.kind": "linear"}),
    Axis("zi2zi", "training.ema", (0.9,)),
    Axis("zi2zi", "training.precision", ("bfloat16",)),
    Axis("zi2zi", "data.augment", ("zi2zi",)),
    Axis("dcgan", "data.augment", ("flip",)),
)

PROVED = (
    Axis("zi2zi", "generator.innermost.compensation", ("interpolate",), SMALL_BOTTLENECK),
    Axis("zi2zi", "generator.innermost.down_stride", (1,)),
    Axis("zi2zi", "generator.innermost.up_stride", (1,)),
    Axis(
        "zi2zi",
        "discriminator.blur.position",
        ("input", "hidden", "features", "output"),
        {"discriminator.blur.kernel_size": 1},
    ),
    Axis("zi2zi", "training.optimizer.kind", ("adamw",)),
    Axis("zi2zi", "training.loss.real_and_fake", ("joint",)),
    Axis("zi2zi", "training.channels_last", (False,)),
    Axis("zi2zi", "training.loss.penalty_every", (4,)),
    Axis("zi2zi", "training.loss.smoothing", (0.1,), {"training.loss.kind": "hinge"}),
    Axis("dcgan", "training.loss.feature_matching", (1.0,)),
    Axis("zi2zi", "training.gradient_clip", (1e9,)),
    Axis("zi2zi", "training.instance_noise.fade", (0.5,)),
    Axis("zi2zi", "training.adaptive_augment.target", (-1.0,)),
    Axis("zi2zi", "training.adaptive_augment.every", (1,)),
    Axis("zi2zi", "training.adaptive_augment.images", (4,)),
    Axis("zi2zi", "discriminator.spectral_iterations", (3,)),
    Axis("dcgan", "discriminator.spectral_iterations", (3,)),
    Axis("zi2zi", "discriminator.final_conv.in_channels", (32,)),
    Axis("zi2zi", "discriminator.head_channels", (1,)),
)
"""Levels that change nothing, under the default of everything else: facts of algebra, and the posts' dead lines."""

ELSEWHERE = {"training.steps": "test_a_training_has_as_many_steps_as_its_settings_say"}


def settings(kind: str, changes: Changes) -> TrialSettings:
    data = (factory.settings() if kind == "zi2zi" else factory.dcgan()).model_dump()
    data["training"]["steps"] = 12
    for path, value in changes.items():
        put(data, path, value)
    return TrialSettings.model_validate(data)


def shape(kind: str) -> Shape:
    return Shape(factory.STYLES, paired=kind == "zi2zi")


@functools.cache
def computed(kind: str, changes: tuple[tuple[str, Any], ...], *, trained: bool) -> Tensors:
    s = settings(kind, dict(changes))
    if not trained:
        return answers(s, shape(kind), set())
    dtype = torch.float32 if any(path == "training.precision" for path, _ in changes) else torch.float64
    return course(s, shape(kind), set(), sample_steps(s.training.steps), dtype)


def cases(axes: tuple[Axis, ...]) -> list[Any]:
    return [pytest.param(a, level, id=f"{a.kind} {a.path}={level}") for a in axes for level in a.levels]


def default_of(kind: str, path: str) -> Any:
    value: Any = settings(kind, {})
    for name in path.split("."):
        value = getattr(value, name)
    return value


def gap(axis: Axis, level: Any) -> float:
    """Return how far the level is from the default, in answers, or else in a short training."""
    base = dict(axis.under)
    if axis.path == "training.precision":
        base["training.precision"] = "float32"
    worst = 0.0
    for trained in (False, True):
        if worst < CHANGED:
            there, here = {**base, axis.path: level}, base
            found = [computed(axis.kind, tuple(changes.items()), trained=trained) for changes in (there, here)]
            worst = max(worst, agreement(*found).worst)
    return worst


@pytest.mark.parametrize(("axis", "level"), cases(AXES))
def test_each_level_changes_what_is_computed(axis: Axis, level: Any) -> None:
    assert level != settings_value(axis), "a level that is the default proves nothing"
    assert gap(axis, level) > CHANGED


@pytest.mark.parametrize(("axis", "level"), cases(PROVED))
def test_each_level_that_changes_nothing_is_proved_to(axis: Axis, level: Any) -> None:
    assert level != settings_value(axis), "a level that is the default proves nothing"
    assert gap(axis, level) < UNCHANGED


def settings_value(axis: Axis) -> Any:
    value: Any = settings(axis.kind, axis.under)
    for name in axis.path.split("."):
        value = getattr(value, name)
    return value


def leaves(model: type[Settings], prefix: str) -> set[str]:
    paths = setting_paths(model)
    return {f"{prefix}.{p}" for p in paths if not any(q.startswith(f"{p}.") for q in paths)}


BUILT_IN = {
    "zi2zi": {
        *leaves(UNetSettings, "generator"),
        *leaves(Zi2ziDiscriminatorSettings, "discriminator"),
        *leaves(TrainingSettings, "training"),
    },
    "dcgan": {*leaves(DcganGeneratorSettings, "generator"), *leaves(DcganDiscriminatorSettings, "discriminator")},
}


@pytest.mark.parametrize("kind", ["zi2zi", "dcgan"])
def test_every_setting_of_networks_and_training_is_tried(kind: str) -> None:
    tried = {axis.path for axis in (*AXES, *PROVED) if axis.kind == kind}
    named = {"generator.kind", "discriminator.kind", "training.kind", "training.options"}
    assert BUILT_IN[kind] - tried - named - set(ELSEWHERE) == set()


@pytest.mark.parametrize(
    ("kind", "model", "prefix"),
    [
        ("zi2zi", UNetSettings, "generator"),
        ("zi2zi", Zi2ziDiscriminatorSettings, "discriminator"),
        ("zi2zi", LossSettings, "training.loss"),
        ("zi2zi", OptimizerSettings, "training.optimizer"),
        ("zi2zi", ScheduleSettings, "training.schedule"),
        ("dcgan", DcganGeneratorSettings, "generator"),
        ("dcgan", DcganDiscriminatorSettings, "discriminator"),
    ],
)
def test_every_named_level_is_tried(kind: str, model: type[Settings], prefix: str) -> None:
    for name, schema in TypeAdapter(model).json_schema()["properties"].items():
        path = f"{prefix}.{name}"
        levels = set(schema.get("enum", ())) - ({default_of(kind, path)} if "enum" in schema else set())
        tried = {level for axis in (*AXES, *PROVED) if (axis.kind, axis.path) == (kind, path) for level in axis.levels}
        assert levels <= tried, path


def test_a_training_has_as_many_steps_as_its_settings_say() -> None:
    for steps in (1, 3):
        s = factory.settings(training={"steps": steps})
        pair = build_pair(s, styles=factory.STYLES, block="0")
        assert [p.step for p in train(Trainer(pair, s, factory.split(), block="0"))] == list(range(1, steps + 1))
