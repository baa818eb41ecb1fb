"""My networks: a small ResNet that redraws letters, and a PatchGAN that judges each patch of them."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, cat, nn
from torch.nn.utils.parametrizations import spectral_norm

from harness.models import Conditions, Generated, Judgement


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + self.layers(x)


class Redrawer(nn.Module):
    """Draws each source image anew."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.ReLU(),
            *(Residual(width) for _ in range(blocks)),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, conditions: Conditions) -> Generated:
        """Images in [-1, 1], of the size of the sources."""
        return Generated(self.layers(conditions.source))


class PatchGan(nn.Module):
    """Judges source and image together; each logit is about one patch."""

    def __init__(self, channels: int, width: int, norm: Literal["batch", "spectral"]) -> None:
        super().__init__()
        wrap = spectral_norm if norm == "spectral" else lambda layer: layer
        layers: list[nn.Module] = [wrap(nn.Conv2d(2 * channels, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        layers.append(wrap(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(2 * width))
        layers += [nn.LeakyReLU(0.2), wrap(nn.Conv2d(2 * width, 1, 3, padding=1))]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:
        """One logit per patch, (N, H, W): never a probability."""
        return Judgement(self.layers(cat([conditions.source, image], 1)).squeeze(1))


def redrawer(*, image_size: int, channels: int, styles: int, width: int = 16, blocks: int = 2) -> nn.Module:
    """What `generator.kind` names; everything after `styles` is mine, and can be an axis: `generator.options.width`."""
    return Redrawer(channels, width, blocks)


def patchgan(*, image_size: int, channels: int, styles: int, width: int = 16, norm: str = "batch") -> nn.Module:
    """What `discriminator.kind` names."""
    return PatchGan(channels, width, norm)
