"""Building both networks of a trial with the initial weights of its block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from harness.models.alignment import aligned, parts
from harness.models.constructor_draws import build_with_named_draws
from harness.models.dcgan import DcganDiscriminator, DcganGenerator
from harness.models.matching import initialise, spectrally_normalise, stream_names
from harness.models.unet import UNetGenerator
from harness.models.zi2zi import Zi2ziDiscriminator
from harness.plugins import call
from harness.randomness import seed_for
from harness.study.network_settings import (
    CustomNetworkSettings,
    DcganDiscriminatorSettings,
    DcganGeneratorSettings,
    UNetSettings,
    Zi2ziDiscriminatorSettings,
)
from harness.study.settings import TrialSettings
from harness.study.training_settings import LossSettings


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
    assert isinstance(g, DcganGeneratorSettings)
    return DcganGenerator(g, image_size=s.data.image_size, channels=s.data.channels)


def _discriminator(s: TrialSettings, styles: int) -> nn.Module:
    d = s.discriminator
    if isinstance(d, Zi2ziDiscriminatorSettings):
        return Zi2ziDiscriminator(d, image_size=s.data.image_size, channels=s.data.channels, styles=styles)
    assert isinstance(d, DcganDiscriminatorSettings)
    return DcganDiscriminator(d, image_size=s.data.image_size, channels=s.data.channels)


def own_networks(settings: TrialSettings) -> frozenset[str]:
    """Return which of `generator` and `discriminator` are a user's own."""
    nets = ("generator", "discriminator")
    return frozenset(net for net in nets if isinstance(getattr(settings, net), CustomNetworkSettings))


def build_network(
    net: str, settings: TrialSettings, *, styles: int, block: str, baseline: nn.Module | None = None
) -> nn.Module:
    """Build the `generator` or the `discriminator` of a trial with the initial weights of the block.

    Args:
        net: Which.
        settings: The arm's.
        styles: Number of styles in the data.
        block: The block's key.
        baseline: The baseline's network; one of a user's own gets the streams of those parts of it that it has too.

    Raises:
        ValueError: The settings do not fit together, said with the shapes.
        HarnessError: A user's own function cannot build it.
    """
    group = getattr(settings, net)
    if isinstance(group, CustomNetworkSettings):
        network = _own(net, settings, styles=styles, block=block, baseline=baseline)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(block, f"build/{net}"))
            network = (_generator if net == "generator" else _discriminator)(settings, styles)
        initialise(network, group.init, stream_names(net), block=block)
    if net == "discriminator":
        which = getattr(group, "spectral_norm", "none")
        if which != "none":
            spectrally_normalise(network, which, net=net, block=block, iterations=group.spectral_iterations)
        _check_penalty(network, settings.training.loss)
    return network


def _own(net: str, settings: TrialSettings, *, styles: int, block: str, baseline: nn.Module | None) -> nn.Module:
    group: CustomNetworkSettings = getattr(settings, net)
    size = {"image_size": settings.data.image_size, "channels": settings.data.channels, "styles": styles}

    def names(network: nn.Module) -> Callable[[str], str]:
        return stream_names(net, None if baseline is None else aligned(parts(network), parts(baseline)))

    def build() -> nn.Module:
        return call(group.kind, nn.Module, **size, **group.options)

    network = build_with_named_draws(build, names, net=net, block=block)
    initialise(network, group.init, names(network), block=block)
    return network


def build_pair(settings: TrialSettings, *, styles: int, block: str, baseline: NetworkPair | None = None) -> NetworkPair:
    """Build both networks of a trial with the initial weights of the block.

    Args:
        settings: The arm's.
        styles: Number of styles in the data.
        block: The block's key; arms of one block share every parameter of equal name and shape, bit for bit.
        baseline: The baseline's, built before: networks of a user's own share with it what they have in common.

    Raises:
        ValueError: The settings do not fit together, said with the shapes.
        HarnessError: A user's own function cannot build its network.
    """

    def built(net: str) -> nn.Module:
        theirs = None if baseline is None else baseline.networks()[net]
        return build_network(net, settings, styles=styles, block=block, baseline=theirs)

    return NetworkPair(built("generator"), built("discriminator"))


def _check_penalty(discriminator: nn.Module, loss: LossSettings) -> None:
    """Refuse penalties on gradients with BatchNorm (Gulrajani 2017, arXiv:1704.00028, section 4)."""
    penalties = {"kind wgan_gp": loss.kind == "wgan_gp", "r1": loss.r1 > 0, "r2": loss.r2 > 0}
    penalty = next((name for name, wanted in penalties.items() if wanted), None)
    if penalty is not None and any(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules()):
        raise ValueError(
            f"training.loss.{penalty} does not go with discriminator.norm batch: the penalty is on the gradient of "
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
