"""Facts about spectral normalisation: what it bounds, how well, and where a norm takes the bound out again."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.models import build_pair
from harness.models.contract import Conditions
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.function_probe import STREAMS
from harness.randomness import stream
from harness.study.network_settings import CommonDiscriminatorSettings, Zi2ziDiscriminatorSettings
from harness.study.settings import TrialSettings

ITERATIONS = 60
"""Power iterations for the norm of a convolution."""
NO_EPSILON = 1e-300
"""A norm's epsilon that changes nothing in float64; torch refuses 0."""
MORE = 20
"""Training forwards after which the estimate is looked at again."""


def spectral_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield what spectral norm bounds at each of its levels, in the first arm that has it."""
    seen = {"none", "scaled"}
    for arm in arms:
        which = getattr(arm.settings.discriminator, "spectral_norm", "none")
        if which in seen:
            continue
        seen.add(which)
        pair = build_pair(arm.small, styles=arm.shape.styles, block=STREAMS)
        layers = {name: m for name, m in pair.discriminator.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
        bound = {name: m for name, m in layers.items() if parametrize.is_parametrized(m, "weight")}
        sides = _input_sides(pair.discriminator, arm.small, arm)
        yield Fact(arm.name, _sigmas(bound), {})
        yield Fact(arm.name, *_norms({n: m for n, m in bound.items() if isinstance(m, nn.Conv2d)}, sides))
        free = {name: _sigma(m.weight.detach()) for name, m in layers.items() if name not in bound}
        if free:
            said = ", ".join(f"{name} {value:.3g}" for name, value in free.items())
            yield Fact(arm.name, f"left free, with a largest singular value of: {said}", free)
        yield _cancelled(arm, list(bound))
    zi2zi = [arm for arm in arms if isinstance(arm.settings.discriminator, Zi2ziDiscriminatorSettings)]
    if zi2zi:
        yield _feature_count(zi2zi[0])
        yield _ways_to_import()


def _sigma(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.flatten(1).double(), 2))


def _sigmas(bound: Mapping[str, nn.Conv2d | nn.Linear]) -> str:
    """Return the true largest singular values at the start and after further power iterations."""
    parts = []
    for name, given in bound.items():
        layer = copy.deepcopy(given)
        start = _sigma(layer.weight.detach())
        parametrization = getattr(layer, "parametrizations").weight  # noqa: B009 - put there by torch
        for _ in range(MORE):
            parametrization[0].iterate(parametrization.original)
        parts.append(f"{name} {start:.4f} ({_sigma(layer.weight.detach()):.4f})")
    when = f"at the first step (after {MORE} forwards)"
    return f"largest singular value of the weights, 1 if exact, {when}: {', '.join(parts)}"


def _norms(convs: dict[str, nn.Conv2d], sides: dict[str, int]) -> tuple[str, dict[str, float]]:
    """Return the true norms of convolutions on their maps, beside the bound that a weight of norm 1 gives."""
    parts, figures = [], {}
    for name, conv in convs.items():
        norm = _operator_norm(conv, sides[name])
        limit = math.ceil(conv.kernel_size[0] / conv.stride[0])
        parts.append(f"{name} {norm:.2f} (bound {limit})")
        figures[name] = norm
    return f"norm of the convolution itself, on its own maps: {', '.join(parts)}", figures


def _operator_norm(conv: nn.Conv2d, side: int) -> float:
    """Return the largest factor by which a convolution, without its bias, enlarges a map, by power iteration."""
    weight = conv.weight.detach().double()
    x = torch.randn(1, conv.in_channels, side, side, generator=stream(STREAMS, "facts/norm"), dtype=torch.float64)
    norm = 0.0
    for _ in range(ITERATIONS):
        x = (x / x.norm()).requires_grad_(True)
        y = nn.functional.conv2d(x, weight, None, conv.stride, conv.padding)
        norm = y.norm().item()
        (x,) = torch.autograd.grad(y.square().sum() / 2, x)
    return norm


def _input_sides(discriminator: nn.Module, settings: TrialSettings, arm: Inspected) -> dict[str, int]:
    sides: dict[str, int] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _m, inputs, name=name: sides.__setitem__(name, inputs[0].shape[-1]))
        for name, module in discriminator.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        copy_of = discriminator.eval()
        copy_of(*_images(settings, arm, torch.float32))
    for hook in hooks:
        hook.remove()
    return sides


def _images(settings: TrialSettings, arm: Inspected, dtype: torch.dtype) -> tuple[Tensor, Conditions]:
    s = settings.data
    size = (4, s.channels, s.image_size, s.image_size)
    image, source = (torch.rand(size, generator=stream(STREAMS, f"facts/{name}"), dtype=dtype) * 2 - 1 for name in "ab")
    return image, Conditions(source if arm.shape.paired else None, torch.arange(4) % arm.shape.styles)


def _cancelled(arm: Inspected, bound: Sequence[str]) -> Fact:
    """Divide one layer's weights at a time by their singular value, and see whether the outputs notice.

    Without the norms' epsilon, a layer whose scale is taken out again makes no difference beyond rounding.
    """
    d = arm.small.discriminator
    assert isinstance(d, CommonDiscriminatorSettings)
    plain = arm.small.model_copy(update={"discriminator": d.model_copy(update={"spectral_norm": "none"})})
    network = build_pair(plain, styles=arm.shape.styles, block=STREAMS).discriminator.double().train()
    inputs = _images(plain, arm, torch.float64)
    _fill_biases(network)
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm))]
    epsilons = [norm.eps for norm in norms]
    layers = dict(network.named_modules())
    void, with_epsilon = [], 0.0
    for name in bound:
        weight = layers[name].get_parameter("weight")
        changes = []
        for epsilon in (NO_EPSILON, None):
            for norm, own in zip(norms, epsilons, strict=True):
                norm.eps = own if epsilon is None else epsilon
            kept = weight.detach().clone()
            with torch.no_grad():
                before = network(*inputs)
                weight.div_(_sigma(weight))
                after = network(*inputs)
                weight.copy_(kept)
            gaps = [
                ((a - b).abs().max() / b.abs().max()).item()
                for a, b in zip(after, before, strict=True)
                if b is not None
            ]
            changes.append(max(gaps))
        if changes[0] < 1e-9:
            void.append(name)
            with_epsilon = max(with_epsilon, changes[1])
    bites = [name for name in bound if name not in void]
    figures = {"void": len(void), "bites": len(bites)}
    if not void:
        return Fact(arm.name, f"no norm takes the scale out again: it bites on {', '.join(bites)}", figures)
    return Fact(
        arm.name,
        f"a norm behind takes the scale out again on {', '.join(void)} (outputs move by {with_epsilon:.1g} at most, "
        f"through the norm's epsilon); there it only rescales gradients. It bites on {', '.join(bites) or 'nothing'}",
        figures,
    )


@torch.no_grad()
def _fill_biases(network: nn.Module) -> None:
    """Give biases values: with those of the start, which are 0, every scale would be taken out by a later norm."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.copy_(torch.randn(parameter.shape, generator=stream(STREAMS, f"facts/{name}")) * 0.1)


def _feature_count(arm: Inspected) -> Fact:
    """Compare post 001's `image_size // 8 * image_size // 8` with the map that its discriminator really has."""
    convs = [m for m in arm.pair.discriminator.modules() if isinstance(m, nn.Conv2d)]
    figures = {}
    for size in (256, 250):
        side = size
        for conv in convs:
            side = (side + 2 * conv.padding[0] - conv.kernel_size[0]) // conv.stride[0] + 1  # type: ignore[operator]
        figures[f"map at {size}"], figures[f"expression at {size}"] = float(side * side), float(size // 8 * size // 8)
    said = "; ".join(
        f"at {size} px {figures[f'expression at {size}']:,.0f} against {figures[f'map at {size}']:,.0f} places"
        for size in (256, 250)
    )
    return Fact("`image_size // 8 * image_size // 8`", said, figures)


def _ways_to_import() -> Fact:
    """Try both of post 001's imports of torch's own spectral norm."""
    ways: dict[str, object] = {
        "from torch.nn.utils.spectral_norm import spectral_norm": getattr(
            importlib.import_module("torch.nn.utils.spectral_norm"), "spectral_norm", None
        ),
        "import torch.nn.utils.spectral_norm as spectral_norm": torch.nn.utils.spectral_norm,
    }
    works = {way: float(callable(imported)) for way, imported in ways.items()}
    return Fact(
        "torch's spectral_norm", "; ".join(f"`{w}` {'works' if ok else 'fails'}" for w, ok in works.items()), works
    )
