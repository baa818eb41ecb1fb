from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factory
import pytest
import torch
from torch import Tensor, nn

from harness.errors import DataError, HarnessError
from harness.metrics import Evaluation, measure
from harness.metrics.evaluation import TrainedNetworks
from harness.metrics.networks import map_variation, shifted
from harness.metrics.spectrum import fine, grid_points, grid_ratio, power
from harness.models import Conditions, Generated, Judgement, build_pair
from harness.trial.evaluated_networks import trained_networks

SIDE, N = 16, 12


def smooth(count: int = N, side: int = SIDE) -> Tensor:
    """Return images without fine detail, in [0, 1]: one slow wave each, with a phase of its own."""
    place = torch.arange(side) / side * 2 * math.pi
    phases = torch.arange(count) / count * 2 * math.pi
    return (0.5 + 0.4 * torch.sin(place + phases[:, None])).view(count, 1, 1, side).expand(-1, 1, side, -1).contiguous()


def value(name: str, **fields: Any) -> float | None:
    return measure([name], Evaluation(**fields))[0].value


def wave(period: int, side: int = SIDE) -> Tensor:
    return torch.cos(torch.arange(side) * 2 * math.pi / period).expand(side, side)


@pytest.mark.parametrize("period", [2, 4])
def test_a_pattern_that_upsampling_leaves_has_all_its_power_on_the_grid(period: int) -> None:
    ratio, _ = grid_ratio(wave(period).view(1, 1, SIDE, SIDE))
    assert ratio == pytest.approx((SIDE**2 - 1) / 15)


def test_a_pattern_of_another_period_has_none_there() -> None:
    assert grid_ratio(wave(8).view(1, 1, SIDE, SIDE))[0] == pytest.approx(0.0, abs=1e-12)


def test_white_noise_has_its_share_there_within_its_standard_error() -> None:
    noise = torch.randn(400, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    ratio, error = grid_ratio(noise)
    assert ratio is not None
    assert error is not None
    assert abs(ratio - 1) < 3 * error < 0.1


def test_a_shade_that_is_off_everywhere_is_no_pattern() -> None:
    noise = torch.randn(4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert grid_ratio(noise + 7)[0] == pytest.approx(grid_ratio(noise)[0] or 0.0)
    assert grid_ratio(torch.zeros(4, 1, SIDE, SIDE)) == (None, None)


def test_power_adds_up_to_the_sum_of_squares() -> None:
    noise = torch.randn(3, 3, 8, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(power(noise).sum(dim=(1, 2)), noise.double().square().sum(dim=(1, 2, 3)))
    assert grid_points(8, 16).sum() == 15


def test_a_checkerboard_left_on_drawings_is_seen_in_the_error() -> None:
    real = smooth()
    noise = 0.02 * torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    plain = value("checkerboard", real=real, fake=(real + noise).clamp(0, 1), paired=True)
    marked = value("checkerboard", real=real, fake=(real + noise + 0.02 * wave(2)).clamp(0, 1), paired=True)
    assert plain is not None
    assert marked is not None
    assert marked > 3 * plain


def test_a_filter_takes_the_power_of_its_squared_response() -> None:
    """Averaging two neighbours passes cos(pi f)² of the power at f cycles per pixel; here f = 5/16 alone is fine."""
    real = 0.5 + 0.3 * (wave(16) + torch.cos(torch.arange(SIDE) * 2 * math.pi * 5 / 16)) / 2
    real = real.expand(N, 1, SIDE, SIDE).contiguous()
    fake = (real + real.roll(1, -1)) / 2
    ratio = value("high_frequency_ratio", real=real, fake=fake, paired=True)
    assert ratio == pytest.approx(math.cos(math.pi * 5 / 16) ** 2, rel=1e-4)
    assert value("high_frequency_ratio", real=real, fake=real) == pytest.approx(1.0)
    assert bool(fine(SIDE, SIDE)[0, 5])
    assert not bool(fine(SIDE, SIDE)[0, 4])


class Judge(nn.Module):
    """Judges by a function of the image."""

    def __init__(self, logits: Callable[[Tensor], Tensor], category: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.logits, self.category = logits, category

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002
        return Judgement(self.logits(image), None if self.category is None else self.category(image))


class Drawer(nn.Module):
    """Draws a function of the source."""

    def __init__(self, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, conditions: Conditions) -> Generated:
        assert conditions.source is not None
        return Generated(self.draw(conditions.source))


def networks(generator: nn.Module, discriminator: nn.Module, real: Tensor) -> TrainedNetworks:
    conditions = Conditions(real * 2 - 1, torch.arange(len(real)) % 3)
    return trained_networks(generator, discriminator, conditions, conditions, torch.device("cpu"))


def of(name: str, *, draw: Callable[[Tensor], Tensor] = lambda x: x, judge: nn.Module | None = None) -> float | None:
    real = smooth()
    pair = networks(Drawer(draw), judge or Judge(lambda x: x.flatten(1).mean(1)), real)
    return value(name, real=real, fake=real, paired=True, networks=pair)


def test_what_moves_along_has_no_shift_error_and_what_stays_where_it_is_has() -> None:
    assert of("shift_error_g") == pytest.approx(0.0, abs=1e-7)
    assert of("shift_error_g", draw=lambda x: -x) == pytest.approx(0.0, abs=1e-7)
    stripes = torch.where(torch.arange(SIDE) % 2 == 0, 1.0, -1.0).expand(SIDE, SIDE)
    # A pattern of period 2 that stays: it is wrong by its whole height of 1 after odd shifts, right after even ones.
    assert of("shift_error_g", draw=stripes.expand_as) == pytest.approx(0.5)


def test_shifting_repeats_the_border() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    assert shifted(image, 1)[0, 0].tolist() == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]


def test_a_logit_that_reads_one_pixel_moves_with_its_image_and_a_constant_has_no_scale() -> None:
    real = smooth() * 2 - 1
    logits = real[:, 0, 8, 8].double()
    moved = [(real[:, 0, 8, 8 - d].double() - logits).abs() for d in (1, 2, 3, 4)]
    expected = torch.stack(moved).mean() / logits.std()
    assert of("shift_error_d", judge=Judge(lambda x: x[:, 0, 8, 8])) == pytest.approx(expected.item(), rel=1e-5)
    assert of("shift_error_d", judge=Judge(lambda x: torch.zeros(len(x)))) is None


def test_the_variation_of_a_map_is_that_of_noise_of_a_checkerboard_and_of_a_ramp() -> None:
    noise = torch.randn(200, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert map_variation(noise).mean().item() == pytest.approx(2 / math.sqrt(math.pi), rel=0.02)
    rows, columns = torch.arange(8)[:, None], torch.arange(8)[None, :]
    board = ((rows + columns) % 2 * 2 - 1).double().view(1, 1, 8, 8)
    assert map_variation(board).item() == pytest.approx(2.0)
    assert map_variation(board * 7).item() == pytest.approx(2.0)
    assert of("logit_map_variation", judge=Judge(lambda x: x[:, 0])) is not None
    with pytest.raises(DataError, match="has no map of several positions"):
        of("logit_map_variation")


def test_the_style_head_is_right_as_often_as_it_is() -> None:
    def first(x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0, 0.0]]).expand(len(x), 3)

    assert of("d_category_accuracy", judge=Judge(lambda x: x.flatten(1).mean(1), first)) == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="has no head for styles"):
        of("d_category_accuracy")


def test_fine_noise_is_told_by_who_looks_at_neighbours_and_not_by_who_looks_at_sums() -> None:
    def rough(x: Tensor) -> Tensor:
        return -x.diff(dim=3).abs().flatten(1).mean(1)

    assert of("d_high_frequency_accuracy", judge=Judge(rough)) == 1.0
    assert of("d_high_frequency_accuracy", judge=Judge(lambda x: torch.zeros(len(x)))) == 0.5
    assert of("d_high_frequency_accuracy", judge=Judge(lambda x: -rough(x))) == 0.0


class Units(nn.Module):
    """Four channels before one activation, used twice: two of the first turn are never above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002
        size = image[:, :1].abs() + 1
        x = self.activation(torch.cat([size, -size, -size, size], dim=1))
        return Judgement(self.activation(x.abs()).flatten(1).mean(1))


def test_a_unit_is_dead_that_is_never_above_0() -> None:
    assert of("dead_units_d", judge=Units()) == pytest.approx(2 / 8)
    with pytest.raises(DataError, match="no activation layers"):
        of("dead_units_d")


NAMES = (
    "shift_error_g",
    "shift_error_d",
    "logit_map_variation",
    "d_category_accuracy",
    "d_high_frequency_accuracy",
    "dead_units_g",
    "dead_units_d",
)


def test_asking_the_networks_leaves_them_as_they_were() -> None:
    s = factory.settings(discriminator={"spectral_norm": "convs"})
    pair = build_pair(s, styles=factory.STYLES, block="0")
    real = smooth()
    asked = networks(pair.generator.train(), pair.discriminator.train(), real)
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in pair.networks().values()]
    found = measure(NAMES, Evaluation(real=real, fake=real, paired=True, networks=asked))
    assert all(m.value is not None for m in found)
    again = measure(NAMES, Evaluation(real=real, fake=real, paired=True, networks=asked))
    assert found == again
    for net, old in zip(pair.networks().values(), before, strict=True):
        assert net.training
        assert all(torch.equal(v, old[k]) for k, v in net.state_dict().items())
        assert not any(module._forward_pre_hooks for module in net.modules() if isinstance(module, nn.LeakyReLU))


@pytest.mark.parametrize("name", NAMES)
def test_images_alone_are_not_enough_for_measures_of_networks(name: str) -> None:
    with pytest.raises(HarnessError, match="asks the trained networks themselves"):
        value(name, real=smooth(), fake=smooth(), paired=True)


def letters(side: int = 16) -> tuple[Tensor, tuple[str, ...]]:
    """Return bars at four angles in three strengths, dark on white, and what they are."""
    rows, columns = torch.arange(side)[:, None] - 7.5, torch.arange(side)[None, :] - 7.5
    bars = [
        rows.abs().expand(side, side),
        columns.abs().expand(side, side),
        (rows - columns).abs(),
        (rows + columns).abs(),
    ]
    images = [1 - (bar < width).float() for bar in bars for width in (1.5, 2.0, 2.5)]
    return torch.stack(images)[:, None], tuple(c for c in "-|/\\" for _ in range(3))


@pytest.mark.slow
def test_a_classifier_of_the_studys_own_images_reads_them_under_grain_and_not_in_wrong_places(tmp_path: Path) -> None:
    real, characters = letters()
    grain = 0.05 * torch.randn(real.shape, generator=torch.Generator().manual_seed(1))

    def read(fake: Tensor) -> float | None:
        fields = {"paired": True, "characters": characters, "cache": tmp_path, "real_id": "bars"}
        found = measure(["recognisability"], Evaluation(real=real, fake=fake, **fields))[0]
        assert found.floor == 1.0
        assert found.feature_id is not None
        return found.value

    assert read((real + grain).clamp(0, 1)) == 1.0
    assert read(real.roll(3, 0)) == 0.0
    assert len(list(tmp_path.glob("*.npz"))) == 1
    assert read(real) == 1.0
