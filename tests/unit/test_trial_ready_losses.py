"""Losses and penalties that people ablate: closed forms, laws, and that at zero nothing is changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import factory
import pytest
import torch
from torch import Tensor, nn

from harness.models import Generated, Judgement, build_pair
from harness.models.contract import Conditions
from harness.study.training_settings import LossSettings
from harness.trial.losses import (
    ADVERSARIAL,
    FAKE_TERMS,
    GENERATOR_TERMS,
    REAL_TERMS,
    DiscriminatorUpdate,
    GeneratorUpdate,
    squared_gradient,
    weighted,
)
from harness.trial.trainer import Trainer
from harness.trial.training import clip, train

NOTHING = Conditions()


class Linear(nn.Module):
    """Judges by a weighted sum of pixels."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002 - the contract's signature
        """(N, C, H, W) to (N,)."""
        return Judgement((image.flatten(1) * self.weight).sum(1))

    def features(self, image: Tensor, conditions: Conditions) -> Tensor:  # noqa: ARG002
        """(N, C, H, W) to the same, weighted."""
        return image.flatten(1) * self.weight


def images(seed: int) -> Tensor:
    return torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


WEIGHT = torch.tensor([0.5, -1.0, 2.0, 0.25], dtype=torch.float64)


def of_discriminator(step: int = 0, shift: float = 0.0, **loss: Any) -> dict[str, Tensor]:
    network = Linear(WEIGHT)
    settings = LossSettings.model_validate(loss)
    real, fake = (Judgement(network(images(seed), NOTHING).real + shift) for seed in (0, 1))
    update = DiscriminatorUpdate(
        network, NOTHING, images(0), images(1), real, fake, settings, step, uniform=lambda _: torch.full((4,), 0.5)
    )
    of_real, of_fake = (weighted(terms, update, settings) for terms in (REAL_TERMS, FAKE_TERMS))
    return {**{f"real/{k}": x for k, x in of_real.items()}, **{f"fake/{k}": x for k, x in of_fake.items()}}


def of_generator(generated: Tensor, **loss: Any) -> dict[str, Tensor]:
    settings = LossSettings.model_validate(loss)
    update = GeneratorUpdate(
        nn.Identity(), Linear(WEIGHT), NOTHING, images(0), Generated(generated), settings, classifies=False
    )
    return weighted(GENERATOR_TERMS, update, settings)


def test_the_penalty_of_a_linear_critic_is_the_squared_norm_of_its_weights() -> None:
    of_both = of_discriminator(r1=6.0, r2=2.0)
    squared = float(WEIGHT.square().sum())
    assert of_both["real/r1"].item() == pytest.approx(3 * squared, rel=1e-12)
    assert of_both["fake/r2"].item() == pytest.approx(squared, rel=1e-12)
    assert squared_gradient(lambda x: x.square().sum((1, 2, 3)), images(0)).item() == pytest.approx(
        4 * images(0).flatten(1).square().sum(1).mean().item()
    )


def test_a_lazy_penalty_comes_seldom_and_weighs_as_much_altogether() -> None:
    always = [of_discriminator(step, r1=1.0)["real/r1"].item() for step in range(8)]
    lazy = [
        x["real/r1"].item() if "real/r1" in (x := of_discriminator(s, r1=1.0, penalty_every=4)) else 0.0
        for s in range(8)
    ]
    assert lazy[1:4] == [0.0] * 3
    assert sum(lazy) == pytest.approx(sum(always))


@pytest.mark.parametrize("kind", ["bce", "sigmoid_bce", "lsgan"])
def test_smoothing_moves_the_target_of_real_images_alone(kind: str) -> None:
    plain, smooth = of_discriminator(kind=kind), of_discriminator(kind=kind, smoothing=0.1)
    logits = Linear(WEIGHT)(images(0), NOTHING).real
    chance = logits.sigmoid()
    wanted: dict[str, Callable[[], Tensor]] = {
        "lsgan": lambda: (logits - 0.9).square().mean(),
        "bce": lambda: -(0.9 * chance.log() + 0.1 * (1 - chance).log()).mean(),
    }
    expected = wanted.get(kind, wanted["bce"])().item()
    assert smooth["real/adversarial"].item() == pytest.approx(expected, rel=1e-9)
    assert torch.equal(smooth["fake/adversarial"], plain["fake/adversarial"])


@pytest.mark.parametrize("kind", ["hinge", "wgan_gp"])
def test_smoothing_is_not_of_losses_without_a_target(kind: str) -> None:
    assert torch.equal(
        of_discriminator(kind=kind, smoothing=0.1)["real/adversarial"], of_discriminator(kind=kind)["real/adversarial"]
    )


@pytest.mark.parametrize("kind", sorted(ADVERSARIAL))
def test_a_relativistic_loss_does_not_change_where_all_logits_are_moved(kind: str) -> None:
    here, moved = (of_discriminator(shift=shift, kind=kind, relativistic=True) for shift in (0.0, 3.0))
    for part in ("real/adversarial", "fake/adversarial"):
        assert here[part].item() == pytest.approx(moved[part].item(), rel=1e-9)
    assert of_discriminator(kind=kind)["real/adversarial"] != of_discriminator(shift=3.0, kind=kind)["real/adversarial"]


def test_the_relativistic_loss_is_the_papers() -> None:
    real, fake = (Linear(WEIGHT)(images(seed), NOTHING).real for seed in (0, 1))
    above, below = (real - fake.mean()).sigmoid(), (fake - real.mean()).sigmoid()
    found = of_discriminator(relativistic=True)
    assert found["real/adversarial"].item() == pytest.approx(-above.log().mean().item())
    assert found["fake/adversarial"].item() == pytest.approx(-(1 - below).log().mean().item())
    of_g = of_generator(images(1), relativistic=True)["adversarial"].item()
    assert of_g == pytest.approx((-below.log().mean() - (1 - above).log().mean()).item())


def test_matched_features_are_those_of_equal_means() -> None:
    assert of_generator(images(0).flip(0), feature_matching=1.0)["features"].item() == pytest.approx(0, abs=1e-24)
    apart = of_generator(images(0) + 1, feature_matching=2.0)["features"].item()
    assert apart == pytest.approx(2 * float(WEIGHT.square().mean()))


def test_gradients_are_scaled_down_together_and_never_up() -> None:
    network = nn.Linear(3, 2)
    for norm, expected in ((0.0, 5.0), (10.0, 5.0), (1.0, 1.0)):
        network.weight.grad, network.bias.grad = torch.zeros(2, 3), torch.zeros(2)
        network.weight.grad[0, 0], network.bias.grad[1] = 3.0, 4.0
        clip(network, norm)
        total = math.hypot(network.weight.grad.norm().item(), network.bias.grad.norm().item())
        assert total == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_the_posts_is_float32_under_autocast() -> None:
    logits = torch.linspace(-9, 9, 19, requires_grad=True)
    plain = ADVERSARIAL["sigmoid_bce"].real(logits)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = ADVERSARIAL["sigmoid_bce"].real(logits)
        half = ADVERSARIAL["sigmoid_bce"].real(logits.bfloat16())
    assert mixed.dtype == half.dtype == torch.float32
    assert torch.equal(plain, mixed)


@pytest.mark.parametrize("penalty", ["r1", "r2"])
def test_penalties_on_each_images_gradient_are_refused_with_batch_norm(penalty: str) -> None:
    with pytest.raises(ValueError, match=rf"training.loss.{penalty} does not go with discriminator.norm batch"):
        build_pair(factory.settings(training={"loss": {penalty: 1.0}}), styles=factory.STYLES, block="0")


@pytest.mark.parametrize(
    "training",
    [
        {"loss": {"r1": 1.0, "penalty_every": 2}},
        {"loss": {"r2": 1.0, "kind": "hinge"}},
        {"loss": {"relativistic": True, "real_and_fake": "concat"}},
        {"loss": {"relativistic": True, "kind": "lsgan"}, "discriminator_steps": 2},
        {"loss": {"feature_matching": 1.0, "smoothing": 0.1}, "gradient_clip": 1.0, "precision": "bfloat16"},
    ],
)
def test_they_train_with_each_other_and_with_everything_else(training: dict[str, Any]) -> None:
    s = factory.settings(discriminator={"norm": "layer"}, training=training)
    pair = build_pair(s, styles=factory.STYLES, block="0")
    progress = list(train(Trainer(pair, s, factory.split(), block="0")))
    assert all(math.isfinite(step.loss_d) and math.isfinite(step.loss_g) for step in progress)
    assert all(p.isfinite().all() for net in pair.networks().values() for p in net.parameters())
