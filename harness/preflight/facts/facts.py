"""Facts that need no training: computed from the networks of a study, as far as its axes are concerned."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from harness.models import build_pair
from harness.models.cost import NetworkCost, conditions_for
from harness.preflight.facts.blur import blur_facts
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.facts.spectral import spectral_facts
from harness.preflight.function_probe import STREAMS, agreement, course
from harness.preflight.settings_read import changed_settings
from harness.study.settings import DcganGeneratorSettings, UNetSettings
from harness.trial.losses import ADVERSARIAL

Topic = Callable[[Sequence[Inspected]], Iterable[Fact]]


def facts(arms: Sequence[Inspected]) -> tuple[Fact, ...]:
    """Return what can be said before training about the settings in which the arms differ.

    Args:
        arms: Those that can be built, the baseline first.
    """
    touched = {path for arm in arms for path in changed_settings(arm.settings, arms[0].settings)}
    topics: list[tuple[tuple[str, ...], Topic]] = [
        (("",), cost_facts),
        (("discriminator.blur.",), blur_facts),
        (("discriminator.spectral_norm",), spectral_facts),
        (("generator.innermost.", "generator.levels", "generator.upsampling", "generator.refine"), stride_facts),
        (("training.loss.kind",), saturation_facts),
        (("training.loss.real_and_fake",), batch_facts),
    ]
    found = [fact for prefixes, topic in topics if any(p.startswith(prefixes) for p in touched) for fact in topic(arms)]
    if isinstance(arms[0].settings.generator, DcganGeneratorSettings):
        found += dcgan_facts(arms)
    return tuple(found)


def cost_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield how each arm's size and work differ from the baseline's."""
    base = arms[0].size
    for arm in arms[1:]:
        parts, figures = [], {}
        for name, what in COSTS.items():
            a, b = getattr(arm.size, name), getattr(base, name)
            if a != b:
                parts.append(f"{what} {a - b:+,} of {b:,} ({(a - b) / b:+.2%})")
                figures[name] = a - b
        if parts:
            yield Fact(arm.name, "; ".join(parts), figures)


COSTS = {
    "parameters_g": "parameters of G",
    "parameters_d": "parameters of D",
    "macs_g": "multiply-adds of G",
    "macs_d": "multiply-adds of D",
    "activation_bytes": "bytes of activations",
}
assert set(COSTS) == set(NetworkCost.__dataclass_fields__)


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


def saturation_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield each loss's value and gradient on a fake image that the discriminator is sure is real, at a logit of 20."""
    for kind in dict.fromkeys(arm.settings.training.loss.kind for arm in arms):
        logit = torch.tensor([20.0], requires_grad=True)
        loss = ADVERSARIAL[kind].fake(logit)
        (gradient,) = torch.autograd.grad(loss, logit)
        figures = {"loss": loss.item(), "gradient": gradient.item()}
        yield Fact(
            f"training.loss.kind {kind}",
            f"a fake image with logit 20 costs the discriminator {figures['loss']:.4g}, with gradient "
            f"{figures['gradient']:.4g} (float32)",
            figures,
        )


def batch_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield how far each way of passing real and fake images changes the discriminator's first gradient."""
    first = {}
    for arm in arms:
        kind = arm.settings.training.loss.real_and_fake
        if kind not in first:
            taken = course(arm.small, arm.shape, set(), [0])
            first[kind] = {k: x for k, x in taken.items() if k.startswith("0/discriminator/gradient")}
    (base_kind, base), *others = first.items()
    for kind, gradients in others:
        gap = agreement(gradients, base).worst
        how = "equals that of" if gap <= 1e-12 else f"differs by up to {gap:.1%} from that of"
        yield Fact(
            f"real_and_fake {kind}", f"the discriminator's first gradient {how} {base_kind}", {"difference": gap}
        )


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
