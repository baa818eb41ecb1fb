"""DCGAN: the layers and the counts of post 004."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.models import Conditions
from harness.models.dcgan import DcganDiscriminator, DcganGenerator
from harness.study.network_settings import DcganDiscriminatorSettings, DcganGeneratorSettings

Layer = tuple[str, int, int, int, int, int, int, int]


def layers(network: nn.Module, *inputs: object) -> list[Layer]:
    """Return kind, channels in and out, kernel, stride, padding, side of the input and of the output of each layer."""
    found: list[Layer] = []

    def note(m: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        assert isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
        kind, padding = type(m).__name__, m.padding[0]
        sides = (given[0].shape[-1], out.shape[-1])
        found.append((kind, m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], int(padding), *sides))

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(*inputs)
    return found


@pytest.fixture
def pair_at_64() -> tuple[DcganGenerator, DcganDiscriminator]:
    return (
        DcganGenerator(DcganGeneratorSettings(), image_size=64, channels=3),
        DcganDiscriminator(DcganDiscriminatorSettings(), image_size=64, channels=3),
    )


Networks = tuple[DcganGenerator, DcganDiscriminator]


def test_both_networks_have_the_layers_of_the_post_at_64_pixels(pair_at_64: Networks) -> None:
    generator, discriminator = pair_at_64
    conditions = Conditions(latent=torch.zeros(1, 100))
    assert layers(generator, conditions) == [
        ("ConvTranspose2d", 100, 512, 4, 1, 0, 1, 4),
        ("ConvTranspose2d", 512, 256, 4, 2, 1, 4, 8),
        ("ConvTranspose2d", 256, 128, 4, 2, 1, 8, 16),
        ("ConvTranspose2d", 128, 64, 4, 2, 1, 16, 32),
        ("ConvTranspose2d", 64, 3, 4, 2, 1, 32, 64),
    ]
    assert layers(discriminator, torch.zeros(1, 3, 64, 64), conditions) == [
        ("Conv2d", 3, 64, 4, 2, 1, 64, 32),
        ("Conv2d", 64, 128, 4, 2, 1, 32, 16),
        ("Conv2d", 128, 256, 4, 2, 1, 16, 8),
        ("Conv2d", 256, 512, 4, 2, 1, 8, 4),
        ("Conv2d", 512, 1, 4, 1, 0, 4, 1),
    ]


def test_both_networks_have_the_parameters_of_the_post_at_64_pixels(pair_at_64: Networks) -> None:
    assert [sum(p.numel() for p in network.parameters()) for network in pair_at_64] == [3_576_704, 2_765_568]


def test_norms_stand_everywhere_but_on_the_generators_last_and_the_discriminators_outer_layers(
    pair_at_64: Networks,
) -> None:
    generator, discriminator = pair_at_64
    kinds = [[type(norm).__name__ for norm in network.norms.values()] for network in (generator, discriminator)]
    assert kinds == [["BatchNorm2d"] * 4 + ["Identity"], ["Identity"] + ["BatchNorm2d"] * 3]


@pytest.mark.parametrize(("image_size", "layer_count"), [(8, 2), (16, 3), (32, 4)])
def test_smaller_images_have_fewer_layers(image_size: int, layer_count: int) -> None:
    generator = DcganGenerator(DcganGeneratorSettings(channels=4), image_size=image_size, channels=1)
    image = generator(Conditions(latent=torch.zeros(2, 100))).image
    assert image.shape == (2, 1, image_size, image_size)
    assert len(generator.convs) == layer_count


def test_images_too_small_for_dcgan_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="images of 4 px are too small"):
        DcganGenerator(DcganGeneratorSettings(), image_size=4, channels=1)
    with pytest.raises(ValueError, match="images of 4 px are too small"):
        DcganDiscriminator(DcganDiscriminatorSettings(), image_size=4, channels=1)
