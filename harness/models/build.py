"""Building both networks of a trial with the initial weights of its block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from harness.models.dcgan import DcganDiscriminator, DcganGenerator
from harness.models.matching import initialise, seeded_build, spectrally_normalise
from harness.models.unet import UNetGenerator
from harness.models.zi2zi import Zi2ziDiscriminator
from harness.plugins import call
from harness.study.settings import (
    DcganDiscriminatorSettings,
    DcganGeneratorSettings,
    TrialSettings,
    UNetSettings,
    Zi2ziDiscriminatorSettings,
)


@dataclass(frozen=True)
class NetworkPair:
    """A generator and the discriminator that it is trained against."""

    generator: nn.Module
    discriminator: nn.Module

    def networks(self) -> dict[str, nn.Module]:
        """Return both by name."""
        return {"generator": self.generator, "discriminator": self.discriminator}


def _generator(s: TrialSettings, styles: int) -> nn.Module:
    g = s.generator
    if isinstance(g, UNetSettings):
        return UNetGenerator(g, image_size=s.data.image_size, channels=s.data.channels, styles=styles)
    if isinstance(g, DcganGeneratorSettings):
        return DcganGenerator(g, image_size=s.data.image_size, channels=s.data.channels)
    return call(g.kind, nn.Module, image_size=s.data.image_size, channels=s.data.channels, styles=styles, **g.options)


def _discriminator(s: TrialSettings, styles: int) -> nn.Module:
    d = s.discriminator
    if isinstance(d, Zi2ziDiscriminatorSettings):
        return Zi2ziDiscriminator(d, image_size=s.data.image_size, channels=s.data.channels, styles=styles)
    if isinstance(d, DcganDiscriminatorSettings):
        return DcganDiscriminator(d, image_size=s.data.image_size, channels=s.data.channels)
    return call(d.kind, nn.Module, image_size=s.data.image_size, channels=s.data.channels, styles=styles, **d.options)


def build_network(net: str, settings: TrialSettings, *, styles: int, block: str) -> nn.Module:
    """Build the `generator` or the `discriminator` of a trial with the initial weights of the block.

    Raises:
        ValueError: The settings do not fit together, said with the shapes.
    """
    build = _generator if net == "generator" else _discriminator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded_build(block, net))
        network = build(settings, styles)
    initialise(network, getattr(settings, net).init, net=net, block=block)
    if net == "discriminator":
        which = getattr(settings.discriminator, "spectral_norm", "none")
        spectrally_normalise(network, which, net=net, block=block)
        _check_penalty(network, settings.training.loss.kind)
    return network


def build_pair(settings: TrialSettings, *, styles: int, block: str) -> NetworkPair:
    """Build both networks of a trial with the initial weights of the block.

    Args:
        settings: The arm's.
        styles: Number of styles in the data.
        block: The block's key; arms of one block share every parameter of equal name and shape, bit for bit.

    Raises:
        ValueError: The settings do not fit together, said with the shapes.
    """
    return NetworkPair(
        *(build_network(net, settings, styles=styles, block=block) for net in ("generator", "discriminator"))
    )


def _check_penalty(discriminator: nn.Module, loss: str) -> None:
    """Refuse WGAN-GP with BatchNorm in the critic (Gulrajani 2017, arXiv:1704.00028, section 4)."""
    if loss == "wgan_gp" and any(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules()):
        raise ValueError(
            "training.loss.kind wgan_gp does not go with discriminator.norm batch: the penalty is on the gradient of "
            "each image alone, and BatchNorm makes each score depend on the whole batch; use layer, instance or none"
        )


def place(
    network: nn.Module, *, channels_last: bool, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> nn.Module:
    """Move a network, and put its 4-d weights into a memory layout, in place; others, as a Conv3d's, have none."""
    network.to(device=device, dtype=dtype)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=layout)
    return network
