"""A PatchGAN and a ResNet generator as people write them in a file of their own, each with spectral norm as an option.

The PatchGAN is pix2pix's (Isola 2017, arXiv:1611.07004), the generator CycleGAN's (Zhu 2017, arXiv:1703.10593); where
spectral norm stands the norm layers go, and so every later layer has another number in its sequence.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils import spectral_norm as legacy_spectral_norm

from harness.models import Conditions, Generated, Judgement

Wrap = Callable[[nn.Module], nn.Module]


class Wrapped(nn.Module):
    """A layer within another module, as in files of one's own."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = parametrizations.spectral_norm(layer)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer."""
        result: Tensor = self.layer(x)
        return result


NORMS: dict[str, Wrap] = {
    "none": lambda layer: layer,
    "parametrized": parametrizations.spectral_norm,
    "legacy": legacy_spectral_norm,
    "wrapped": Wrapped,
}


def author_weights(layer: nn.Module) -> None:
    """pix2pix's initialisation."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and hasattr(layer, "weight"):
        nn.init.normal_(layer.weight.data, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight.data, 1.0, 0.02)


class PatchGan(nn.Module):
    """pix2pix's discriminator; with spectral norm it has no other norm."""

    def __init__(self, channels: int, width: int, layers: int, spectral: str) -> None:
        super().__init__()
        wrap = NORMS[spectral]
        stack: list[nn.Module] = [wrap(nn.Conv2d(channels, width, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
        inputs = width
        for index in range(1, layers + 1):
            outputs = width * min(2**index, 8)
            stride = 2 if index < layers else 1
            stack.append(wrap(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=spectral != "none")))
            if spectral == "none":
                stack.append(nn.BatchNorm2d(outputs))
            stack.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        stack.append(wrap(nn.Conv2d(inputs, 1, 4, 1, 1)))
        self.model = nn.Sequential(*stack)

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002 - the contract's signature
        """Judge each patch of (N, C, S, S)."""
        return Judgement(self.model(image).squeeze(1))


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int, wrap: Wrap, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        parts = [nn.ReflectionPad2d(1), wrap(nn.Conv2d(width, width, 3)), norm(width), nn.ReLU()]
        parts += [nn.ReflectionPad2d(1), wrap(nn.Conv2d(width, width, 3)), norm(width)]
        self.block = nn.Sequential(*(part for part in parts if not isinstance(part, nn.Identity)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        result: Tensor = x + self.block(x)
        return result


class ResNet(nn.Module):
    """CycleGAN's generator; with spectral norm it has no other norm."""

    def __init__(self, channels: int, width: int, blocks: int, spectral: str) -> None:
        super().__init__()
        wrap = NORMS[spectral]
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d if spectral == "none" else lambda _: nn.Identity()
        stack = [nn.ReflectionPad2d(3), wrap(nn.Conv2d(channels, width, 7)), norm(width), nn.ReLU(True)]
        for factor in (1, 2):
            down = nn.Conv2d(width * factor, width * factor * 2, 3, 2, 1)
            stack += [wrap(down), norm(width * factor * 2), nn.ReLU(True)]
        stack += [Block(width * 4, wrap, norm) for _ in range(blocks)]
        for factor in (4, 2):
            up = nn.ConvTranspose2d(width * factor, width * factor // 2, 3, 2, 1, 1)
            stack += [wrap(up), norm(width * factor // 2), nn.ReLU(True)]
        stack += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*(layer for layer in stack if not isinstance(layer, nn.Identity)))

    def forward(self, conditions: Conditions) -> Generated:
        """Redraw the sources."""
        assert conditions.source is not None
        return Generated(self.model(conditions.source))


def patchgan(
    *, image_size: int, channels: int, styles: int, layers: int = 3, spectral: str = "none", author: bool = True
) -> nn.Module:
    """Return it, with pix2pix's initial weights or torch's."""
    network = PatchGan(channels, 8, layers, spectral)
    return network.apply(author_weights) if author else network


def resnet(
    *, image_size: int, channels: int, styles: int, width: int = 8, blocks: int = 3, spectral: str = "none"
) -> nn.Module:
    """Return it, with torch's initial weights."""
    return ResNet(channels, width, blocks, spectral)


def orthogonal(*, image_size: int, channels: int, styles: int, first: bool = False) -> nn.Module:
    """Return a PatchGAN of orthogonal weights, that may draw something first."""
    if first:
        torch.randn(7)
    network = PatchGan(channels, 8, 2, "none")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.orthogonal_(layer.weight)
    return network
