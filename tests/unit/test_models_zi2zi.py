"""zi2zi's networks: published counts, and the same outputs as the original's own, nested form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.models import Conditions, NetworkPair, build_pair
from harness.models.cost import conditions_for, cost
from harness.models.unet import UNetGenerator
from harness.models.zi2zi import Zi2ziDiscriminator
from harness.study.data_settings import GlyphSettings
from harness.study.network_settings import FinalConvSettings, UNetSettings, Zi2ziDiscriminatorSettings
from harness.study.settings import TrialSettings

STYLES = 40


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def generator(colours: int, image_size: int = 256, **settings: object) -> UNetGenerator:
    with torch.device("meta"):
        return UNetGenerator(UNetSettings(**settings), image_size=image_size, channels=colours, styles=STYLES)


def discriminator(channels: int, image_size: int = 256, **settings: object) -> Zi2ziDiscriminator:
    with torch.device("meta"):
        return Zi2ziDiscriminator(
            Zi2ziDiscriminatorSettings(**settings), image_size=image_size, channels=channels, styles=STYLES
        )


@pytest.mark.parametrize(("channels", "count"), [(3, 55_467_651), (1, 55_461_505)])
def test_the_generator_has_the_published_number_of_parameters(channels: int, count: int) -> None:
    assert parameters(generator(channels)) == count


@pytest.mark.parametrize(
    ("channels", "image_size", "settings", "count"),
    [
        (3, 256, {}, 4_367_082),
        (3, 256, {"final_conv": FinalConvSettings(kernel_size=0)}, 25_808_105),
        (3, 256, {"final_channels": 1}, 1_082_885),
        (3, 256, {"final_channels": 1, "final_conv": FinalConvSettings(kernel_size=0)}, 1_082_859),
        (1, 64, {}, 4_321_322),
        (1, 64, {"final_conv": FinalConvSettings(kernel_size=0)}, 5_649_385),
    ],
)
def test_the_discriminator_has_the_published_number_of_parameters_in_every_variant(
    channels: int, image_size: int, settings: dict[str, object], count: int
) -> None:
    assert parameters(discriminator(channels, image_size, **settings)) == count


def test_dropping_the_last_conv_saves_a_hundred_thousandth_of_the_work_and_narrowing_saves_two_thirds() -> None:
    """Statements 000-2 and 000-13: 5,098.7 M, 1,736.7 M, and 25,600 more with the last conv, one channel at 256 px."""
    with torch.device("meta"):
        conditions = conditions_for(1, 256, paired=True, latent=None, styles=STYLES)
    macs = {}
    for name, settings in {
        "zi2zi": {},
        "one channel": {"final_channels": 1, "final_conv": FinalConvSettings(kernel_size=0)},
        "one channel and 5x5": {"final_channels": 1},
    }.items():
        macs[name] = cost(NetworkPair(generator(1, channels=1), discriminator(1, **settings)), conditions).macs_d
    assert macs["one channel and 5x5"] - macs["one channel"] == 25_600
    assert macs["zi2zi"] / 1e6 == pytest.approx(5_098.7, abs=0.05)
    assert macs["one channel"] / 1e6 == pytest.approx(1_736.7, abs=0.05)
    assert 25_600 / macs["one channel and 5x5"] == pytest.approx(1.47e-5, rel=0.005)


def test_dropout_stands_on_the_three_levels_before_the_innermost_at_256_pixels_and_on_one_at_64() -> None:
    def levels(image_size: int) -> list[str]:
        found = generator(1, image_size).levels.items()
        return [name for name, level in found if level.dropout.probability > 0]  # type: ignore[union-attr, operator]

    assert levels(256) == ["level5", "level6", "level7"]
    assert levels(64) == ["level5"]
    assert levels(32) == []


class NestedLevel(nn.Module):
    """One level of zi2zi-pytorch's U-Net as the original builds it, each holding the next (docs/zi2zi.md)."""

    def __init__(self, outer: int, inner: int, style: int, within: NestedLevel | None, *, outermost: bool) -> None:
        super().__init__()
        self.within, self.outermost = within, outermost
        innermost = within is None
        self.leaky = nn.LeakyReLU(0.2, inplace=True)
        self.down = nn.Conv2d(outer, inner, 4, 2, 1, bias=False)
        self.down_norm = None if outermost or innermost else nn.BatchNorm2d(inner)
        up_inputs = inner + style if innermost else 2 * inner
        self.up = nn.ConvTranspose2d(up_inputs, outer, 4, 2, 1, bias=outermost)
        self.up_norm = None if outermost else nn.BatchNorm2d(outer)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.down(x if self.outermost else self.leaky(x))
        if self.down_norm is not None:
            encoded = self.down_norm(encoded)
        if self.within is None:
            code = encoded.flatten(1)
            inside = torch.cat([style[:, :, None, None], encoded], 1)
        else:
            inside, code = self.within(encoded, style)
        decoded = self.up(torch.relu(inside))
        if self.outermost:
            return torch.tanh(decoded), code
        assert self.up_norm is not None
        # LeakyReLU has changed x in place by now: the skip carries the activated map.
        return torch.cat([x, self.up_norm(decoded)], 1), code


def nested_generator(levels: int, channels: int, width: int, style: int) -> NestedLevel:
    widths = [channels, *(width * min(2**i, 8) for i in range(levels))]
    within = None
    for index in range(levels, 0, -1):
        within = NestedLevel(widths[index - 1], widths[index], style, within, outermost=index == 1)
    assert within is not None
    return within


def copy_weights(ours: UNetGenerator, theirs: NestedLevel) -> None:
    nested: NestedLevel | None = theirs
    for level in ours.levels.values():
        assert nested is not None
        nested.down.load_state_dict(level.down.state_dict())  # type: ignore[union-attr]
        nested.up.load_state_dict(level.up.conv.state_dict())  # type: ignore[union-attr]
        for name in ("down_norm", "up_norm"):
            layer = getattr(nested, name)
            if layer is not None:
                layer.load_state_dict(getattr(level, name).state_dict())
        nested = nested.within
    assert nested is None


class FlatDiscriminator(nn.Module):
    """zi2zi-pytorch's discriminator, layer after layer (docs/zi2zi.md)."""

    def __init__(self, channels: int, width: int, side: int, styles: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2 * channels, width, 5, 2, 2), nn.LeakyReLU(0.2, inplace=True)]
        for factor, stride in ((1, 2), (2, 2), (4, 1)):
            conv = nn.Conv2d(width * factor, width * factor * 2, 5, stride, 2, bias=False)
            layers += [conv, nn.BatchNorm2d(width * factor * 2), nn.LeakyReLU(0.2, inplace=True)]
        self.model = nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 5, 1, 2))
        self.binary = nn.Linear(side * side, 1)
        self.category = nn.Linear(side * side, styles)

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.model(pair).flatten(1)
        return self.binary(flat), self.category(flat)


def settings(image_size: int, channels: int) -> TrialSettings:
    return TrialSettings(
        data=GlyphSettings(image_size=image_size, channels=channels),
        generator=UNetSettings(channels=4, style_channels=6, dropout=0.0, init="kaiming"),
        discriminator=Zi2ziDiscriminatorSettings(channels=4, init="kaiming"),
    )


def inputs(image_size: int, channels: int) -> tuple[Tensor, Conditions]:
    draw = torch.Generator().manual_seed(0)
    image, source = (torch.rand(5, channels, image_size, image_size, generator=draw) * 2 - 1 for _ in range(2))
    return image, Conditions(source, torch.tensor([0, 2, 1, 1, 0]))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [32, 64])
def test_images_and_codes_equal_those_of_the_nested_original(image_size: int, channels: int, training: bool) -> None:
    ours = build_pair(settings(image_size, channels), styles=3, block="0").generator
    assert isinstance(ours, UNetGenerator)
    theirs = nested_generator(image_size.bit_length() - 1, channels, 4, 6)
    image, conditions = inputs(image_size, channels)
    with torch.no_grad():
        ours.train()(conditions._replace(source=image))  # running statistics other than those of the start
        copy_weights(ours, theirs)
        found = ours.train(training)(conditions)
        expected, code = theirs.train(training)(conditions.source, ours.style(conditions.style))
    assert expected.std() > 0.01
    torch.testing.assert_close(found.image, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.code, code, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [32, 64])
def test_judgements_equal_those_of_the_original(image_size: int, channels: int, training: bool) -> None:
    ours = build_pair(settings(image_size, channels), styles=3, block="0").discriminator
    assert isinstance(ours, Zi2ziDiscriminator)
    theirs = FlatDiscriminator(channels, 4, image_size // 8, 3)
    image, conditions = inputs(image_size, channels)
    with torch.no_grad():
        ours.train()(image, conditions)
        convs = [m for m in theirs.model if isinstance(m, nn.Conv2d)]
        norms = [m for m in theirs.model if isinstance(m, nn.BatchNorm2d)]
        for theirs_conv, ours_conv in zip(convs, [*ours.convs.values(), ours.final], strict=True):
            theirs_conv.load_state_dict(ours_conv.state_dict())
        for theirs_norm, ours_norm in zip(norms, list(ours.norms.values())[1:], strict=True):
            theirs_norm.load_state_dict(ours_norm.state_dict())
        theirs.binary.load_state_dict(ours.binary.state_dict())
        theirs.category.load_state_dict(ours.category.state_dict())
        found = ours.train(training)(image, conditions)
        real, category = theirs.train(training)(torch.cat([conditions.source, image], 1))  # type: ignore[list-item]
    torch.testing.assert_close(found.real, real.squeeze(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.category, category, rtol=0, atol=1e-5)
