from __future__ import annotations

import math
from typing import Any

import factory
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.models import build_pair, check_networks
from harness.models.contract import Judgement, example_conditions
from harness.study.training_settings import LossSettings, OptimizerSettings
from harness.trial.losses import ADVERSARIAL
from harness.trial.optimizers import optimizer_of
from harness.trial.trainer import Trainer
from harness.trial.training import train

NO_ADVERSARY: dict[str, Any] = {"adversarial": 0.0, "category": 0.0}


def trained(**groups: Any) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    s = factory.settings(**groups)
    pair = build_pair(s, styles=factory.STYLES, block="0")
    steps = list(train(Trainer(pair, s, factory.split(), block="0")))
    weights = {name: weight.clone() for name, weight in pair.generator.state_dict().items()}
    return weights, [{"loss_d": step.loss_d, **step.signals} for step in steps]


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


def test_without_an_adversarial_and_a_category_part_the_generator_does_not_depend_on_the_discriminator() -> None:
    alone, signals = trained(training={"loss": NO_ADVERSARY})
    other, _ = trained(
        training={"loss": {**NO_ADVERSARY, "kind": "hinge"}},
        discriminator={"channels": 8, "norm": "none", "spectral_norm": "convs", "init": "kaiming"},
    )
    assert equal(alone, other)
    assert "loss_adversarial" not in signals[-1]
    assert not equal(alone, trained()[0])


def test_without_an_adversarial_part_the_discriminator_still_learns_to_tell() -> None:
    _, signals = trained(training={"loss": NO_ADVERSARY, "steps": 30, "optimizer": {"lr": 2e-3}})
    assert signals[-1]["loss_d"] < 0.5 * signals[0]["loss_d"]
    assert signals[-1]["d_real_logit"] > signals[-1]["d_fake_logit"]


def test_the_style_head_teaches_on_when_only_the_adversarial_part_is_taken_away() -> None:
    with_head, _ = trained(training={"loss": {"adversarial": 0.0}})
    without_head, _ = trained(training={"loss": {"adversarial": 0.0}}, discriminator={"category_head": False})
    without_weight, _ = trained(training={"loss": NO_ADVERSARY})
    assert equal(without_head, without_weight)
    assert not equal(with_head, without_head)


def test_the_adversarial_part_is_logged_with_its_weight() -> None:
    whole, double = (
        trained(training={"steps": 1, "generator_steps": 1, "loss": {"adversarial": w}})[1] for w in (1, 2)
    )
    assert double[0]["loss_adversarial"] == 2 * whole[0]["loss_adversarial"]


def test_a_generator_without_any_loss_is_refused_with_the_way_out() -> None:
    s = factory.dcgan(training={"loss": {"adversarial": 0.0}})
    pair = build_pair(s, styles=factory.STYLES, block="0")
    with pytest.raises(
        ValueError, match="nothing to learn from; give adversarial, l1, category, constant or feature_matching"
    ):
        next(train(Trainer(pair, s, factory.split(paired=False), block="0")))


@pytest.mark.parametrize("kind", sorted(ADVERSARIAL))
def test_the_loss_of_a_map_is_the_mean_of_the_losses_of_its_positions(kind: str) -> None:
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for part in ADVERSARIAL[kind]:
        each = torch.stack([part(logit[None]) for logit in logits.flatten()])
        torch.testing.assert_close(part(logits), each.mean(), rtol=1e-12, atol=0)


def test_judging_each_position_differs_from_judging_their_mean_by_jensens_gap() -> None:
    """Softplus is convex: the mean of the losses is at least the loss of the mean, and equal on a constant map."""
    logits = torch.tensor([[[-3.0, 3.0]]])
    map_loss, mean_loss = (ADVERSARIAL["bce"].real(x) for x in (logits, Judgement(logits).scores))
    assert map_loss.item() == pytest.approx((math.log1p(math.exp(3)) + math.log1p(math.exp(-3))) / 2)
    assert mean_loss.item() == pytest.approx(math.log(2))
    assert ADVERSARIAL["bce"].real(torch.ones(2, 3, 3)) == pytest.approx(F.softplus(torch.tensor(-1.0)).item())


@pytest.mark.parametrize("kind", ["bce", "hinge", "lsgan", "wgan_gp"])
def test_a_discriminator_that_judges_each_position_keeps_the_contract_and_trains(kind: str) -> None:
    s = factory.settings(discriminator={"head": "patch", "norm": "layer"}, training={"loss": {"kind": kind}})
    pair = build_pair(s, styles=factory.STYLES, block="0")
    conditions = example_conditions(4, image_size=factory.SIZE, channels=1, styles=factory.STYLES, latent=None)
    assert pair.discriminator(torch.zeros(4, 1, 16, 16), conditions).real.shape == (4, 2, 2)
    check_networks(pair.generator, pair.discriminator, conditions, image_size=factory.SIZE, channels=1)
    before = pair.discriminator.convs["conv1"].weight.clone()
    progress = list(train(Trainer(pair, s, factory.split(), block="0")))
    assert all(math.isfinite(step.loss_d) and math.isfinite(step.loss_g) for step in progress)
    assert not torch.equal(before, pair.discriminator.convs["conv1"].weight)


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        (OptimizerSettings(kind="sgd"), -0.1 * 3),
        (OptimizerSettings(kind="sgd", weight_decay=0.5), -0.1 * (3 + 0.5 * 2)),
        (OptimizerSettings(kind="rmsprop"), -0.1 * 3 / (math.sqrt(0.01 * 9) + 1e-8)),
        (OptimizerSettings(kind="rmsprop", smoothing=0.75), -0.1 * 3 / (math.sqrt(0.25 * 9) + 1e-8)),
        (OptimizerSettings(kind="adam"), -0.1),
    ],
)
def test_a_first_step_of_each_optimiser_is_its_closed_form(settings: OptimizerSettings, step: float) -> None:
    network = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(network.weight, 2.0)
    optimizer = optimizer_of(network, settings, 0.1)
    (3 * network.weight.sum()).backward()
    optimizer.step()
    assert network.weight.item() == pytest.approx(2.0 + step, rel=1e-7)


def test_momentum_carries_the_last_step_on() -> None:
    network = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(network.weight, 0.0)
    optimizer = optimizer_of(network, OptimizerSettings(kind="sgd", momentum=0.5), 1.0)
    for _ in range(2):
        optimizer.zero_grad()
        network.weight.sum().backward()
        optimizer.step()
    assert network.weight.item() == pytest.approx(-(1 + 1.5))


def test_the_default_weight_of_the_adversarial_part_is_that_of_old() -> None:
    assert LossSettings().adversarial == 1.0
