"""Facts about DCGAN: its layers, what a fully connected one would cost, and whether training repeats bit for bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from harness.models.cost import conditions_for
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.function_probe import agreement, course


def _layer_shapes(network: nn.Module, inputs: tuple[object, ...]) -> list[tuple[int, ...]]:
    """Return the shapes that go into and come out of each convolution: (C, H, W, C', H', W')."""
    shapes: list[tuple[int, ...]] = []
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(lambda _m, i, o: shapes.append((*i[0].shape[1:], *o.shape[1:])))
    with torch.no_grad():
        network(*inputs)
    return shapes


def dcgan_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield DCGAN's layers, what a fully connected one would cost, and whether training repeats bit for bit."""
    arm = arms[0]
    s = arm.settings.data
    latent = arm.settings.latent
    conditions = conditions_for(s.channels, s.image_size, paired=False, latent=latent, styles=arm.shape.styles)
    for net, network in arm.pair.networks().items():
        inputs = (
            (conditions,)
            if net == "generator"
            else (torch.zeros(2, s.channels, s.image_size, s.image_size), conditions)
        )
        shapes = _layer_shapes(network, inputs)
        chain = " -> ".join(f"{shape[3]}x{shape[4]}x{shape[5]}" for shape in shapes)
        first = shapes[0]
        yield Fact(
            net,
            f"{first[0]}x{first[1]}x{first[2]} -> {chain}",
            {"parameters": sum(p.numel() for p in network.parameters())},
        )
        if net == "discriminator":
            dense = math.prod(first)
            whole = sum(p.numel() for p in network.parameters())
            yield Fact(
                "discriminator",
                f"one fully connected layer in the place of the first convolution would have {dense:,} weights; "
                f"the whole discriminator has {whole:,} parameters",
                {"dense": dense, "parameters": whole},
            )
    once, again = (course(arm.small, arm.shape, set(), [0, 1]) for _ in range(2))
    same = agreement(once, again).bitwise
    yield Fact(
        "training",
        f"two computations of the first steps are {'equal bit for bit' if same else 'NOT equal'}",
        {"equal": same},
    )
