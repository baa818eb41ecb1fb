"""The networks of all arms, each built once, with what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from harness.models import NetworkPair, build_network
from harness.models.contract import Conditions, Generated
from harness.models.cost import NetworkCost, Work, conditions_for, cost_of, work
from harness.study.fields import Settings
from harness.study.network_settings import (
    DcganDiscriminatorSettings,
    DcganGeneratorSettings,
    UNetSettings,
    Zi2ziDiscriminatorSettings,
)
from harness.study.settings import TrialSettings


@dataclass(frozen=True)
class Shape:
    """What networks need to know of the data."""

    styles: int
    paired: bool
    """Whether there are sources to draw from."""
    aligned: bool = True
    """Whether a source is its target's own."""


class Networks:
    """Builds networks at their real size; arms that share one get the same object, which nobody may change."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, ...], nn.Module] = {}
        self._work_done: dict[tuple[int, tuple[tuple[int, ...], ...]], Work] = {}

    def pair(
        self, settings: TrialSettings, shape: Shape, streams: str, baseline: NetworkPair | None = None
    ) -> NetworkPair:
        """Return both networks of an arm with the initial weights of a block.

        Args:
            settings: The arm's.
            shape: Of the data.
            streams: Key of the block's streams.
            baseline: The baseline's networks, once they are built; the same ones at every call.

        Raises:
            ValueError: The settings do not fit together.
        """
        theirs = {} if baseline is None else baseline.networks()
        nets = ("generator", "discriminator")
        return NetworkPair(*(self._network(net, settings, shape, streams, theirs.get(net)) for net in nets))

    def _network(
        self, net: str, settings: TrialSettings, shape: Shape, streams: str, baseline: nn.Module | None
    ) -> nn.Module:
        group = cast("Settings", getattr(settings, net)).model_dump_json()
        data = (str(settings.data.image_size), str(settings.data.channels), str(shape.styles))
        key = (net, group, *data, streams, settings.training.loss.kind)
        if key not in self._built:
            self._built[key] = build_network(net, settings, styles=shape.styles, block=streams, baseline=baseline)
        return self._built[key]

    def cost(self, pair: NetworkPair, settings: TrialSettings, shape: Shape) -> NetworkCost:
        """Return the size and work of a pair, per image.

        Raises:
            ValueError: The networks do not fit together; the message names the layer and the shapes.
        """
        conditions = conditions_for(
            settings.data.channels,
            settings.data.image_size,
            paired=shape.paired,
            latent=settings.latent,
            styles=shape.styles,
        )
        generating = self._work("generator", pair.generator, conditions)
        image = Generated(*generating.output).image
        judging = self._work("discriminator", pair.discriminator, image, conditions)
        return cost_of(pair, generating, judging, count=len(image))

    def _work(self, net: str, network: nn.Module, *inputs: Tensor | Conditions) -> Work:
        shapes = tuple(
            tuple(x.shape) for part in inputs for x in (part if isinstance(part, tuple) else (part,)) if x is not None
        )
        key = (id(network), shapes)
        if key not in self._work_done:
            self._work_done[key] = work(net, network, *inputs)
        return self._work_done[key]


SMALL_MACS, SMALL_PARAMETERS = 4_000_000, 400_000
"""Multiply-adds per image and parameters of networks small enough to be compared within a second or so."""


def shrinking(size: NetworkCost) -> int:
    """Return the power of two by which widths are divided so that networks of this cost become small."""
    factor = 1
    while (
        max((size.macs_g + size.macs_d) / SMALL_MACS, (size.parameters_g + size.parameters_d) / SMALL_PARAMETERS)
        > factor**2
    ):
        factor *= 2
    return factor


def shrunk(settings: TrialSettings, factor: int) -> TrialSettings:
    """Return the same arm with widths divided: everything but the number of channels stays as it is.

    Widths that a study gives beside `channels` are divided along with it where that is possible, and kept otherwise.
    """
    g, d = settings.generator, settings.discriminator
    changes: dict[str, object] = {
        "training": settings.training.model_copy(
            update={"batch_size": min(settings.training.batch_size, 4), "precision": "float32"}
        )
    }
    if isinstance(g, UNetSettings):
        changes["generator"] = g.model_copy(
            update={"channels": max(1, g.channels // factor), "style_channels": _divided(g.style_channels, factor)}
        )
    elif isinstance(g, DcganGeneratorSettings):
        changes["generator"] = g.model_copy(update={"channels": max(1, g.channels // factor)})
    if isinstance(d, Zi2ziDiscriminatorSettings):
        final = d.final_conv.model_copy(update={"in_channels": _divided(d.final_conv.in_channels, factor)})
        update = {name: _divided(getattr(d, name), factor) for name in ("final_channels", "head_channels")}
        changes["discriminator"] = d.model_copy(
            update={"channels": max(1, d.channels // factor), "final_conv": final, **update}
        )
    elif isinstance(d, DcganDiscriminatorSettings):
        changes["discriminator"] = d.model_copy(update={"channels": max(1, d.channels // factor)})
    return settings.model_copy(update=changes)


def _divided(width: int | None, factor: int) -> int | None:
    return width // factor if width is not None and width % factor == 0 else width
