"""The laws of matching: what arms of one block share, and what nothing may depend on."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import factory
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.models import MatchedDropout, NetworkPair, build_pair, matched_fraction, matches
from harness.models.alignment import named_weights
from harness.study.measure_settings import MeasureSettings
from harness.study.settings import TrialSettings
from harness.trial.evaluated_networks import generate
from harness.trial.measured_items import measured_items
from harness.trial.trainer import BatchOrder, Trainer
from harness.trial.training import train

ARMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "spectral norm": {"discriminator": {"spectral_norm": "convs+heads"}},
    "no final conv": {"discriminator": {"final_conv": {"kernel_size": 0}}},
    "one channel": {"discriminator": {"final_channels": 1}},
    "blur": {"discriminator": {"blur": {"position": "input", "kernel_size": 3}}},
    "refined": {"generator": {"refine": True}},
    "attention": {"generator": {"skip_attention": True}},
    "pixel shuffle": {"generator": {"upsampling": "pixel_shuffle"}},
    "no norm": {"generator": {"norm": "none"}, "discriminator": {"norm": "none"}},
    "fewer levels": {"generator": {"levels": 3}},
}


def trainer(settings: TrialSettings, block: str = "0") -> Trainer:
    split = factory.split(paired=settings.generator.kind == "unet")
    return Trainer(build_pair(settings, styles=factory.STYLES, block=block), settings, split, block=block)


def weights(trained: Trainer) -> dict[str, torch.Tensor]:
    return {
        f"{net}.{name}": value.clone()
        for net, network in trained.pair.networks().items()
        for name, value in network.state_dict().items()
    }


def run(trained: Trainer, between: Callable[[int], object] = lambda _: None) -> dict[str, torch.Tensor]:
    for progress in train(trained):
        between(progress.step)
    return weights(trained)


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


@given(left=st.sampled_from(sorted(ARMS)), right=st.sampled_from(sorted(ARMS)), block=st.integers(0, 3))
def test_parameters_of_equal_name_and_shape_are_bit_equal_at_step_0_whatever_else_the_arms_have(
    left: str, right: str, block: int
) -> None:
    pairs = [
        build_pair(factory.settings(**ARMS[arm]), styles=factory.STYLES, block=str(block)) for arm in (left, right)
    ]
    shared = 0
    for net in ("generator", "discriminator"):
        first, second = (dict(named_weights(pair.networks()[net])) for pair in pairs)
        for name in first.keys() & second.keys():
            if first[name].shape == second[name].shape:
                shared += 1
                assert torch.equal(first[name], second[name]), f"{net}.{name}"
    assert shared > 10


def test_blocks_differ_in_every_drawn_weight() -> None:
    first, second = (build_pair(factory.settings(), styles=3, block=block) for block in ("0", "1"))
    weights = dict(named_weights(second.generator))
    assert all(not torch.equal(p, weights[n]) for n, p in named_weights(first.generator) if "down.weight" in n)


@pytest.mark.parametrize("arm", ARMS)
def test_building_a_pair_leaves_the_global_stream_alone(arm: str) -> None:
    before = torch.get_rng_state()
    build_pair(factory.settings(**ARMS[arm]), styles=3, block="0")
    assert torch.equal(before, torch.get_rng_state())


def test_the_matched_fraction_counts_equal_numbers() -> None:
    base = build_pair(factory.settings(), styles=3, block="0")
    other = build_pair(factory.settings(discriminator={"final_conv": {"kernel_size": 3}}), styles=3, block="0")
    total = sum(p.numel() for net in other.networks().values() for p in net.parameters())
    elsewhere = build_pair(factory.settings(), styles=3, block="1")

    def share(pair: NetworkPair, net: str | None = None) -> float:
        return matched_fraction(matches(pair.networks(), base.networks()), net)

    assert share(base) == 1.0
    assert share(other) == pytest.approx(1 - 32 * 9 / total, abs=1e-12)
    assert share(other, "generator") == 1.0
    assert share(other, "discriminator") < share(other)
    assert share(elsewhere) < 0.05


@pytest.mark.parametrize(
    "settings",
    [
        factory.settings(),
        factory.settings(discriminator={"spectral_norm": "convs+heads"}),
        factory.settings(data={"image_size": 16, "augment": "zi2zi"}),
        factory.settings(training={"precision": "bfloat16", "ema": 0.9, "discriminator_steps": 2}),
        factory.settings(discriminator={"norm": "layer"}, training={"loss": {"kind": "wgan_gp"}}),
        factory.dcgan(data={"augment": "flip"}),
    ],
    ids=["zi2zi", "spectral norm", "augmented", "bfloat16", "wgan-gp", "dcgan"],
)
def test_nothing_in_a_step_depends_on_the_global_stream(settings: TrialSettings) -> None:
    still = run(trainer(settings))

    def reseed(step: int) -> None:
        torch.manual_seed(random.randrange(2**60))
        torch.rand(step)

    torch.manual_seed(random.randrange(2**60))
    assert_equal(still, run(trainer(settings), reseed))


def test_a_users_layer_that_draws_from_the_global_stream_is_kept_in_step_too() -> None:
    def leaky() -> Trainer:
        trained = trainer(factory.settings())
        trained.pair.generator.levels["level2"].up_norm = torch.nn.Dropout(0.5)
        return trained

    torch.manual_seed(1)
    still = run(leaky())
    assert_equal(still, run(leaky(), lambda step: torch.manual_seed(7 * step)))


@pytest.mark.parametrize("arm", ["baseline", "spectral norm", "attention"])
def test_evaluation_and_sampling_leave_the_weights_bit_equal(arm: str) -> None:
    settings = factory.settings(**ARMS[arm])
    data = factory.dataset()
    items = measured_items(data, MeasureSettings(images=8), None)
    evaluated = trainer(settings)

    def look(_step: int) -> None:
        for network in (evaluated.measured, evaluated.pair.generator):
            generate(network, items.conditions, torch.device("cpu"))
        for layer in evaluated.pair.discriminator.modules():
            weight = getattr(layer, "weight", None)
            assert not isinstance(weight, torch.Tensor) or weight.isfinite().all()

    assert_equal(run(trainer(settings)), run(evaluated, look))


def test_logging_leaves_the_weights_bit_equal() -> None:
    silent, loud = trainer(factory.settings()), trainer(factory.settings())
    list(train(silent, log_every=1000))
    list(train(loud, log_every=1))
    assert_equal(weights(silent), weights(loud))


@given(order=st.permutations(range(6)), items=st.integers(3, 20), size=st.integers(2, 9))
def test_the_batch_of_a_step_is_a_function_of_the_step_alone(order: list[int], items: int, size: int) -> None:
    straight, jumping = BatchOrder(items, size, "0"), BatchOrder(items, size, "0")
    expected = [straight.batch(index) for index in range(6)]
    for index in order:
        assert torch.equal(jumping.batch(index), expected[index])


@given(items=st.integers(3, 20), small=st.integers(2, 5), large=st.integers(6, 9))
def test_arms_with_other_batch_sizes_see_the_same_items_in_the_same_order(items: int, small: int, large: int) -> None:
    few, many = BatchOrder(items, small, "0"), BatchOrder(items, large, "0")
    left = torch.cat([few.batch(i) for i in range(large)])
    right = torch.cat([many.batch(i) for i in range(small)])
    assert torch.equal(left, right)
    epochs = left[: len(left) // items * items].view(-1, items)
    assert all(sorted(epoch.tolist()) == list(range(items)) for epoch in epochs)


def test_arms_see_equal_data_styles_and_dropout_masks_at_every_step() -> None:
    size = {"data": {"image_size": 64}, "generator": {"dropout": 0.5}}
    plain = factory.settings(**size)
    other = factory.settings(**size, discriminator={"spectral_norm": "convs"}, training={"generator_steps": 1})
    split = factory.split(size=64)
    trainers = [Trainer(build_pair(s, styles=3, block="5"), s, split, block="5") for s in (plain, other)]
    masks: list[list[torch.Tensor]] = [[], []]
    for seen, trained in zip(masks, trainers, strict=True):
        (dropout,) = [d for d in trained.dropouts if d.probability]
        before = dropout.forward

        def watch(x: torch.Tensor, seen: list[torch.Tensor] = seen, before: Any = before) -> torch.Tensor:
            out = before(x)
            seen.append(out != 0)
            return out

        dropout.forward = watch  # type: ignore[method-assign]
    for step, _ in enumerate(zip(*(train(t) for t in trainers), strict=True)):
        left, right = (t.batch(step, f"{step}/0") for t in trainers)
        assert all(torch.equal(a, b) for a, b in zip((*left[0][:2], left[1]), (*right[0][:2], right[1]), strict=True))
    twice, once = masks
    assert len(twice) == 2 * len(once) == 6
    assert all(torch.equal(a, b) for a, b in zip(twice[::2], once, strict=True))
    assert not torch.equal(once[0], once[1])


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    layer = MatchedDropout(0.25, "x")
    layer.begin("0", 0)
    ones = torch.ones(200, 200)
    assert layer(ones).mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(layer.eval()(ones), ones)


def test_training_goes_on_from_a_state_as_if_it_had_never_stopped() -> None:
    settings = factory.settings(
        discriminator={"spectral_norm": "convs"}, training={"steps": 5, "ema": 0.5, "schedule": {"kind": "cosine"}}
    )
    whole = run(trainer(settings))
    first = trainer(settings)
    for progress in train(first):
        if progress.step == 2:
            break
    second = trainer(settings)
    second.load_state(first.state())
    assert_equal(whole, run(second))
