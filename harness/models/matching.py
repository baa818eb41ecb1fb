"""Matched initialisation: each parameter is filled from a stream named after it, so that arms share what they can."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.models.alignment import aligned, named_weights, parts
from harness.randomness import stream
from harness.study.network_settings import OwnInit

WARM_UP = 15
"""Power iterations before the first step, as many as torch's parametrisation makes (pytorch/pytorch#59564)."""

CONVS = (nn.Conv2d, nn.ConvTranspose2d)


class SpectralNorm(nn.Module):
    """Divide a weight by its largest singular value (Miyato 2018, arXiv:1802.05957, eq. 8).

    Unlike torch's parametrisation, reading the weight never changes the state: the power iteration is made once per
    forward of the layer in training mode, and nowhere else, so that evaluation and logging leave a trial as it was.
    """

    def __init__(self, weight: Tensor, *, dim: int, block: str, name: str, iterations: int = 1) -> None:
        super().__init__()
        self.dim = dim
        self.iterations = iterations
        matrix = self._matrix(weight)
        self.left: Tensor
        self.right: Tensor
        self.register_buffer(
            "left", _unit(torch.randn(matrix.shape[0], generator=stream(block, f"spectral/{name}.left")))
        )
        self.register_buffer(
            "right", _unit(torch.randn(matrix.shape[1], generator=stream(block, f"spectral/{name}.right")))
        )
        for _ in range(WARM_UP):
            self.iterate(weight)

    def _matrix(self, weight: Tensor) -> Tensor:
        """Return the weight as (outputs, everything else)."""
        return weight.movedim(self.dim, 0).flatten(1)

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """Make one power iteration towards the leading singular vectors."""
        matrix = self._matrix(weight)
        with _without_autocast(weight):
            self.left.copy_(_unit(matrix @ self.right))
            self.right.copy_(_unit(matrix.T @ self.left))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight over the present estimate of its spectral norm; vectors are constants to the gradient."""
        left, right = self.left.clone(), self.right.clone()
        with _without_autocast(weight):
            sigma: Tensor = torch.dot(left, self._matrix(weight) @ right)
        normalised: Tensor = weight / sigma
        return normalised


def _without_autocast(weight: Tensor) -> AbstractContextManager[object]:
    """Keep half precision away from singular vectors; the meta device knows no autocast."""
    return nullcontext() if weight.is_meta else torch.autocast(weight.device.type, enabled=False)


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / vector.norm().clamp_min(1e-12)
    return unit


def _iterate_before_forward(layer: nn.Module, _inputs: object) -> None:
    """Make the power iterations of a training forward."""
    if layer.training and parametrize.is_parametrized(layer, "weight"):
        weights: Any = layer.get_submodule("parametrizations.weight")
        for _ in range(weights[0].iterations):
            weights[0].iterate(weights.original)


def spectrally_normalise(network: nn.Module, which: str, *, net: str, block: str, iterations: int = 1) -> None:
    """Put spectral norm on the layers that a level names.

    Args:
        network: Has the attribute `normalised`: names of convolutions whose scale a norm takes out again.
        which: `none`, `unnormalised` (convolutions without such a norm), `convs` or `convs+heads`; `scaled` divides all
            convolutions by their largest singular value once, and leaves them free: what the norm does before training.
        net: `generator` or `discriminator`, for the names of the streams.
        block: The block's key.
        iterations: Power iterations before each forward pass in training.
    """
    if which == "none":
        return
    skipped: frozenset[str] = getattr(network, "normalised", frozenset()) if which == "unnormalised" else frozenset()
    kinds = (*CONVS, nn.Linear) if which == "convs+heads" else CONVS
    for name, layer in list(network.named_modules()):
        if isinstance(layer, kinds) and name not in skipped:
            dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            if which == "scaled":
                weight = layer.weight.detach()
                weight /= torch.linalg.matrix_norm(weight.movedim(dim, 0).flatten(1), 2)
                continue
            norm = SpectralNorm(
                layer.weight.detach(), dim=dim, block=block, name=f"{net}.{name}", iterations=iterations
            )
            parametrize.register_parametrization(layer, "weight", norm)
            layer.register_forward_pre_hook(_iterate_before_forward)


@torch.no_grad()
def initialise(network: nn.Module, scheme: OwnInit, name_of: Callable[[str], str], *, block: str) -> None:
    """Fill every parameter of known layers from the stream ``init/<its name>`` of the block.

    Args:
        network: Built; a parametrisation's original is filled as the weight that it stands for.
        scheme: `normal` is DCGAN's and zi2zi's (convolutions and linear layers N(0, 0.02), norms N(1, 0.02), biases 0);
            `kaiming` is He's normal for the same layers (He 2015, arXiv:1502.01852); `default` is torch's; `own` leaves
            everything as it was built.
        name_of: Names the stream of a parameter, by its own name.
        block: The block's key.
    """
    if scheme == "own":
        return
    learnt = [part for part in parts(network) if part.learnt]
    fans = {part.layer: part.tensor[0].numel() for part in learnt if part.leaf == "weight" and part.tensor.ndim > 1}
    for part in learnt:
        draw = stream(block, f"init/{name_of(part.name)}")
        value = torch.empty(part.tensor.shape)
        if isinstance(part.layer, nn.Embedding):
            value.normal_(generator=draw)
        elif isinstance(part.layer, (*CONVS, nn.Linear)):
            _fill(value, scheme, part.leaf, fans[part.layer], draw)
        elif part.leaf == "weight" and scheme == "normal" and isinstance(part.layer, nn.BatchNorm2d):
            value.normal_(1.0, 0.02, generator=draw)
        elif isinstance(part.layer, (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm)):
            value.fill_(1.0 if part.leaf == "weight" else 0.0)
        else:
            continue
        part.tensor.copy_(value)


def _fill(value: Tensor, scheme: OwnInit, leaf: str, fan_in: int, draw: torch.Generator) -> None:
    """Fill the weight or bias of a convolution or linear layer."""
    if scheme == "default":
        bound = 1 / math.sqrt(fan_in)
        value.uniform_(-bound, bound, generator=draw)
    elif leaf == "bias":
        value.zero_()
    elif scheme == "normal":
        value.normal_(0.0, 0.02, generator=draw)
    else:
        nn.init.kaiming_normal_(value, nonlinearity="relu", generator=draw)


def stream_names(net: str, counterparts: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return what names the streams of a network's parts.

    Args:
        net: `generator` or `discriminator`.
        counterparts: Of each part that the baseline has too, the name it has there; None names all after themselves.

    Returns:
        From a part's name to that of its stream; what the baseline has not is never named as something that it has.
    """

    def name_of(part: str) -> str:
        if counterparts is None:
            return f"{net}.{part}"
        return f"{net}.{counterparts[part]}" if part in counterparts else f"{net}+{part}"

    return name_of


class Match(NamedTuple):
    """One parameter of an arm, and what it shares with the baseline."""

    net: str
    name: str
    shape: tuple[int, ...]
    numbers: int
    counterpart: str | None
    """The baseline's parameter in its place, whose stream it gets."""
    equal: bool
    """Both are bit-equal."""


def matches(
    arm: Mapping[str, nn.Module], baseline: Mapping[str, nn.Module], *, own: Collection[str] = ()
) -> list[Match]:
    """Return each parameter of an arm beside the baseline's.

    Args:
        arm: Both networks, by name.
        baseline: The same of the baseline.
        own: Which of them are a user's own, whose parts have their counterparts by alignment, not by name.
    """
    found = []
    for net, network in arm.items():
        weights, theirs = dict(named_weights(network)), dict(named_weights(baseline[net]))
        pairs = aligned(parts(network), parts(baseline[net])) if net in own else {name: name for name in weights}
        for name, parameter in weights.items():
            other = theirs.get(pairs.get(name, ""))
            if other is None or other.shape != parameter.shape:
                found.append(Match(net, name, tuple(parameter.shape), parameter.numel(), None, equal=False))
                continue
            equal = torch.equal(other, parameter)
            found.append(Match(net, name, tuple(parameter.shape), parameter.numel(), pairs[name], equal))
    return found


def matched_fraction(found: Iterable[Match], net: str | None = None) -> float:
    """Return the share of an arm's numbers, or of one of its networks', that are bit-equal to the baseline's."""
    of_net = [match for match in found if net in (None, match.net)]
    total = sum(match.numbers for match in of_net)
    return sum(match.numbers for match in of_net if match.equal) / total if total else 1.0
