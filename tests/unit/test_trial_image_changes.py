"""What the discriminator sees in training: noise that fades, augmentation that gradients pass, how groups differ."""

from __future__ import annotations

import math
from typing import Any

import factory
import pytest
import torch
from torch import Tensor, nn

from harness.models import Conditions, build_pair
from harness.models.layers import MinibatchStd
from harness.models.matching import SpectralNorm
from harness.randomness import stream
from harness.study.training_settings import InstanceNoiseSettings, TrainingSettings
from harness.trial.image_changes import diff_augment, instance_noise, shown
from harness.trial.trainer import Trainer
from harness.trial.training import train

POLICIES = ("color", "translation", "cutout", "all")


def draw(purpose: str) -> torch.Generator:
    return stream("0", purpose)


def pictures(count: int = 64, side: int = 16, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, side, side, generator=draw("pictures"), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize(
    ("share", "fade", "left"), [(0.0, 1.0, 1.0), (0.25, 0.5, 0.5), (0.5, 0.5, 0.0), (0.9, 0.0, 1.0)]
)
def test_noise_shrinks_along_a_line_to_nothing(share: float, fade: float, left: float) -> None:
    x = pictures()
    added = instance_noise(x, InstanceNoiseSettings(sigma=0.2, fade=fade), share, draw) - x
    assert added.std().item() == pytest.approx(0.2 * left, rel=0.02, abs=1e-12)


def test_real_and_generated_images_get_other_noise_and_the_same_augmentation() -> None:
    x, conditions = pictures(), Conditions()
    noisy = TrainingSettings(instance_noise=InstanceNoiseSettings(sigma=0.1))
    assert not torch.equal(*(shown(x, conditions, noisy, 0.0, kind, draw)[0] for kind in ("real", "fake")))
    moved = TrainingSettings(diff_augment="all")
    assert torch.equal(*(shown(x, conditions, moved, 0.0, kind, draw)[0] for kind in ("real", "fake")))


def test_without_noise_and_augmentation_images_are_seen_as_they_are() -> None:
    x, conditions = pictures(), Conditions(source=pictures())
    images, same = shown(x, conditions, TrainingSettings(), 0.5, "real", draw)
    assert images is x
    assert same is conditions


def test_images_are_moved_by_whole_pixels_up_to_an_eighth_and_nothing_comes_in() -> None:
    x = pictures()
    moved, _ = diff_augment(x, None, "translation", draw)
    padded = nn.functional.pad(x, (2, 2, 2, 2))
    shifts = []
    for before, after in zip(padded, moved, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if torch.equal(before[:, i : i + 16, j : j + 16], after)]
        assert len(found) == 1
        shifts += found
    assert {i for i, _ in shifts} == {j for _, j in shifts} == set(range(5))


def test_half_the_sides_are_cut_out_somewhere() -> None:
    cut, _ = diff_augment(torch.ones(256, 1, 16, 16), None, "cutout", draw)
    gone = [(picture == 0).nonzero() for picture in cut[:, 0]]
    areas = [len(places) for places in gone]
    assert max(areas) == 8 * 8
    for places, area in zip(gone, areas, strict=True):
        height, width = (int(places[:, i].max() - places[:, i].min() + 1) for i in range(2)) if area else (0, 0)
        assert area == height * width
    assert min(areas) <= 5 * 5


def test_colours_keep_the_order_of_pixels_of_a_grey_image_and_move_their_mean_by_half_at_most() -> None:
    x = pictures(channels=1)
    coloured, _ = diff_augment(x, None, "color", draw)
    assert ((coloured.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs() <= 0.5).all()
    ratio = coloured.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= ratio.min() < 0.6
    assert 1.4 < ratio.max() <= 1.5
    assert torch.equal(coloured.flatten(1).argsort(1), x.flatten(1).argsort(1))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_source_goes_along_with_its_image_and_gradients_pass(policy: str) -> None:
    x = pictures().requires_grad_(True)
    image, source = diff_augment(x, x.detach().clone(), policy, draw)
    assert source is not None
    if policy in ("translation", "cutout"):
        assert torch.equal(image, source)
    image.square().sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).any((1, 2, 3)).all()


def test_the_spread_of_a_group_is_its_mean_standard_deviation() -> None:
    x = torch.stack([torch.full((2, 3, 3), value) for value in (1.0, 3.0, 5.0, 5.0)])
    with_map = MinibatchStd(2)(x)
    assert with_map.shape == (4, 3, 3, 3)
    assert torch.equal(with_map[:, :2], x)
    assert with_map[:2, 2].flatten().tolist() == pytest.approx([1.0] * 18)
    assert with_map[2:, 2].flatten().tolist() == pytest.approx([1e-4] * 18)
    assert MinibatchStd(3)(x)[0, 2, 0, 0].item() == pytest.approx(
        x.var(0, unbiased=False).sqrt().mean().item(), rel=1e-4
    )


def test_more_power_iterations_come_nearer_to_the_largest_singular_value() -> None:
    weight = torch.randn(8, 6, generator=draw("weight"))
    gaps = []
    for iterations in (1, 8):
        norm = SpectralNorm(weight, dim=0, block="0", name="x", iterations=iterations)
        norm.right.copy_(nn.functional.normalize(torch.ones(6), dim=0))
        for _ in range(norm.iterations):
            norm.iterate(weight)
        gaps.append(abs(torch.linalg.matrix_norm(norm(weight), 2).item() - 1))
    assert gaps[1] < gaps[0] / 3


@pytest.mark.parametrize("base", [factory.settings, factory.dcgan])
def test_they_all_train_together(base: Any) -> None:
    s = base(
        discriminator={"minibatch_std": 2, "spectral_norm": "convs", "spectral_iterations": 2},
        training={"diff_augment": "all", "instance_noise": {"sigma": 0.1}, "loss": {"relativistic": True}},
    )
    pair = build_pair(s, styles=factory.STYLES, block="0")
    paired = s.generator.kind == "unet"
    progress = list(train(Trainer(pair, s, factory.split(paired=paired), block="0")))
    assert all(math.isfinite(step.loss_d) and math.isfinite(step.loss_g) for step in progress)
