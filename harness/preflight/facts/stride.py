"""Facts about the U-Net's innermost level: sizes of maps, dead taps, and the field that the bottleneck sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from harness.models import build_pair
from harness.models.cost import conditions_for
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.function_probe import STREAMS
from harness.study.network_settings import UNetSettings


def stride_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield the sizes of the innermost maps, dead taps, and the field that the bottleneck sees."""
    sides = set()
    seen = set()
    for arm in arms:
        g = arm.settings.generator
        if not isinstance(g, UNetSettings):
            continue
        key = (g.levels, g.innermost, g.upsampling, arm.settings.data.image_size)
        if key in seen:
            continue
        seen.add(key)
        levels = list(arm.pair.generator.levels.values())  # type: ignore[operator]
        down, up = levels[-1].down, levels[-1].up
        into = arm.settings.data.image_size >> (len(levels) - 1)
        inner = _side(down, into)
        outer = _side(up, inner)
        sides |= {into, inner}
        yield Fact(
            arm.name,
            f"innermost maps: {into}x{into} down to {inner}x{inner} (stride {down.stride[0]}), "
            f"up to {outer}x{outer} (stride {up.stride}); the skip is {into}x{into}; "
            f"a place of the bottleneck sees {_field(level.down for level in levels)} px",
            {"into": into, "bottleneck": inner, "out": outer},
        )
        dead = _dead_taps(arm)
        if any(dead.values()):
            shares = ", ".join(f"{name} {share:.0%}" for name, share in dead.items())
            yield Fact(arm.name, f"taps of the innermost kernels whose gradient is always zero: {shares}", dead)
    for side in sorted(sides):
        yield Fact(
            f"4x4 kernels with padding 1 on {side}x{side} maps",
            "; ".join(
                f"{what} of stride {stride}: {_side(kind(1, 1, 4, stride, 1), side)}"
                for what, kind in (("Conv2d", nn.Conv2d), ("ConvTranspose2d", nn.ConvTranspose2d))
                for stride in (1, 2)
                if kind is nn.ConvTranspose2d or side + 2 >= 4
            )
            + f"; a 3x3 convolution of stride 1 and padding 1: {_side(nn.Conv2d(1, 1, 3, 1, 1), side)}",
            {},
        )


def _side(layer: nn.Module, side: int) -> int:
    """Return the side of a layer's output for a square input, by building it and asking."""
    conv = next(m for m in layer.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)))
    with torch.no_grad():
        out = layer(torch.zeros(1, conv.in_channels, side, side))
    return int(out.shape[-1])


def _field(convs: Iterable[nn.Module]) -> int:
    """Return the receptive field of a chain of convolutions, in pixels."""
    field, jump = 1, 1
    for conv in convs:
        assert isinstance(conv, nn.Conv2d)
        field += (conv.kernel_size[0] - 1) * jump
        jump *= conv.stride[0]
    return field


def _dead_taps(arm: Inspected) -> dict[str, float]:
    """Return the share of the innermost kernels' taps that no gradient reaches, on random inputs."""
    pair = build_pair(arm.small, styles=arm.shape.styles, block=STREAMS)
    levels = list(pair.generator.levels.values())  # type: ignore[operator]
    s = arm.small.data
    conditions = conditions_for(s.channels, s.image_size, paired=True, latent=None, styles=arm.shape.styles)
    noise = torch.rand(2, s.channels, s.image_size, s.image_size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pair.generator(conditions._replace(source=noise)).image.square().sum().backward()
    convs = {"down": levels[-1].down, "up": levels[-1].up.conv}
    return {name: (conv.weight.grad.abs().sum((0, 1)) == 0).float().mean().item() for name, conv in convs.items()}
