"""ADA's rule: by its closed form, off where it is nought, and part of what a training goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import pytest
import torch

from harness.models import Conditions, build_pair
from harness.preflight.no_op import ProbedArm, likeness
from harness.preflight.small_networks import Networks, Shape
from harness.randomness import stream
from harness.study.settings import TrialSettings
from harness.study.training_settings import AdaptiveAugmentSettings, LossSettings, TrainingSettings
from harness.trial import checkpoints
from harness.trial.adaptive_augment import AdaptiveAugment
from harness.trial.image_changes import shown
from harness.trial.trainer import Trainer
from harness.trial.training import train

CPU = torch.device("cpu")
QUICK = {"policy": "all", "target": -1.0, "every": 2, "images": 64}


def rule(loss: str = "bce", **settings: Any) -> AdaptiveAugment:
    return AdaptiveAugment(AdaptiveAugmentSettings(policy="all", **settings), LossSettings(kind=loss), CPU)


def trainer(**adaptive: Any) -> Trainer:
    settings = factory.dcgan(training={"steps": 7, "adaptive_augment": {**QUICK, **adaptive}})
    return Trainer(build_pair(settings, styles=1, block="0"), settings, factory.split(paired=False), block="0")


@pytest.mark.parametrize(("loss", "boundary"), [("bce", 0.0), ("hinge", 0.0), ("lsgan", 0.5)])
@pytest.mark.parametrize(("right", "direction"), [(8, 1), (7, 1), (6, -1), (0, -1)])
def test_the_probability_moves_by_images_seen_over_images_towards_the_target(
    loss: str, boundary: float, right: int, direction: int
) -> None:
    follows = rule(loss, target=0.6, every=3, images=240)
    follows.probability.fill_(0.5)
    logits = boundary + torch.tensor([0.1] * right + [-0.1] * (8 - right))
    for step in range(3):
        follows.see(logits)
        assert follows.probability.item() == 0.5, step
        follows.end_step()
    assert follows.probability.item() == pytest.approx(0.5 + direction * 3 * 8 / 240)
    assert follows.trust.item() == pytest.approx((right - (8 - right)) / 8)


def test_the_probability_stays_between_0_and_1_and_patches_count_for_their_image() -> None:
    follows = rule(target=0.0, every=1, images=10)
    for sign, end in ((1.0, 1.0), (-1.0, 0.0)):
        for _ in range(3):
            follows.see(torch.full((4, 3, 3), sign))
            follows.end_step()
        assert follows.probability.item() == end
    mixed = torch.ones(2, 2, 2)
    mixed[0] = -1
    follows.see(mixed)
    follows.end_step()
    assert follows.trust.item() == 0


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "all"])
def test_images_are_changed_in_the_share_that_the_probability_says_and_sources_along(policy: str) -> None:
    x = torch.rand(256, 1, 16, 16, generator=stream("0", "x")) * 1.8 - 0.9
    settings = TrainingSettings(adaptive_augment=AdaptiveAugmentSettings(policy=policy))  # type: ignore[arg-type]
    always = TrainingSettings(diff_augment=policy)  # type: ignore[arg-type]

    def draw(purpose: str) -> torch.Generator:
        return stream("0", purpose.removeprefix("adaptive/"))

    def seen(probability: float) -> tuple[torch.Tensor, Conditions]:
        given = torch.tensor(probability, dtype=torch.float64)
        return shown(x, Conditions(source=x), settings, 0.0, "real", draw, given)

    image, conditions = seen(0.0)
    assert torch.equal(image, x)
    assert conditions.source is not None
    assert torch.equal(conditions.source, x)
    image, conditions = seen(1.0)
    whole, along = shown(x, Conditions(source=x), always, 0.0, "real", draw)
    assert torch.equal(image, whole)
    assert conditions.source is not None
    assert along.source is not None
    assert torch.equal(conditions.source, along.source)
    image, _ = seen(0.5)
    share = (image != x).flatten(1).any(1).double().mean().item()
    assert share == pytest.approx(0.875 if policy == "all" else 0.5, abs=0.1)


def test_a_training_whose_probability_stays_at_nought_is_the_one_without_bit_for_bit() -> None:
    never, without = trainer(target=1.0), trainer(policy="none")
    for each in (never, without):
        list(train(each))
    for a, b in zip(never.pair.networks().values(), without.pair.networks().values(), strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    moved = trainer()
    list(train(moved))
    assert any(
        not torch.equal(p, q)
        for p, q in zip(moved.pair.discriminator.parameters(), without.pair.discriminator.parameters(), strict=True)
    )


def test_a_training_goes_on_from_its_checkpoint_with_the_same_probability(tmp_path: Path) -> None:
    whole, first, second = trainer(), trainer(), trainer()
    wanted = [(p.loss_d, p.loss_g, p.signals["augment_probability"], p.signals["real_sign"]) for p in train(whole)]
    steps = train(first)
    for _ in range(3):  # in the middle of an adjustment
        next(steps)
    checkpoints.save(tmp_path / "a.pt", "key", {"trainer": first.state()})
    saved = checkpoints.load(tmp_path / "a.pt", "key", "cpu")
    assert saved is not None
    second.load_state(saved["trainer"])
    rest = [(p.loss_d, p.loss_g, p.signals["augment_probability"], p.signals["real_sign"]) for p in train(second)]
    assert rest == wanted[3:]
    assert wanted[-1][2] > 0
    for a, b in zip(whole.pair.networks().values(), second.pair.networks().values(), strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("loss", [{"kind": "wgan_gp"}, {"relativistic": True}])
def test_losses_without_a_boundary_are_refused(loss: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"training\.adaptive_augment does not go with training\.loss"):
        AdaptiveAugment(AdaptiveAugmentSettings(policy="all"), LossSettings(**loss), CPU)


def test_without_a_policy_the_rest_is_proved_to_change_nothing_and_a_policy_is_trained() -> None:
    shape = Shape(1, paired=False)

    def probed(**adaptive: Any) -> ProbedArm:
        s: TrialSettings = factory.dcgan(training={"adaptive_augment": adaptive})
        return ProbedArm(s, s, shape, Networks().pair(s, shape, "0"), width=1)

    plain = probed()
    proof = likeness(probed(target=0.1, every=1, images=7), plain, "the baseline").proof
    assert proof is not None
    assert "never read" in proof
    slow = likeness(probed(policy="all"), plain, "the baseline")
    assert slow.proof is None
    assert slow.note is not None
