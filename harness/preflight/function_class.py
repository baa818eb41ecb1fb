"""What linear algebra settles: maps between the last hidden layer and linear heads that the heads can absorb.

Proved is only what is known to be linear and seen to be passed through as it stands; anything else means no proof.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.models import Conditions, GaussianBlur, NetworkPair
from harness.models.contract import Judgement, Tail
from harness.preflight.structure import hooked, same_structure

LINEAR = (nn.Identity, nn.Conv2d, GaussianBlur)
"""Layers of a tail that are linear but for a bias; subclasses are not known to be."""


@dataclass(frozen=True)
class LinearMap:
    """A square linear map on the last map of the discriminator; of a blur, on one of its channels."""

    name: str
    size: int
    rank: int
    condition: float
    """Largest over smallest singular value."""

    def __str__(self) -> str:
        size = f"{self.size}x{self.size}"
        return f"{self.name} is a {size} matrix of rank {self.rank} (condition number {self.condition:.3g})"


@dataclass(frozen=True)
class LinearTail:
    """The layers that a discriminator's last hidden map passes, each of them linear, on its way to linear heads."""

    network: nn.Module
    layers: tuple[tuple[str, nn.Module, int], ...]
    """Name, layer, and side of the map that it gets, in pixels."""
    hidden: Tensor
    """The last hidden map, on the images that were asked about."""

    def modules(self) -> list[nn.Module]:
        """Return all layers and heads."""
        tail: Tail = self.network.tail  # type: ignore[assignment]
        return [*tail.layers.values(), *tail.heads.values()]


def matrix_of(layer: nn.Module, channels: int, side: int) -> Tensor:
    """Return the (inputs, outputs) matrix of a linear layer on (channels, side, side) maps, bias left out."""
    layer = copy.deepcopy(layer).double()
    inputs = channels * side * side
    basis = torch.eye(inputs, dtype=torch.float64).view(inputs, channels, side, side)
    with torch.no_grad():
        outputs: Tensor = layer(basis) - layer(torch.zeros_like(basis[:1]))
    return outputs.flatten(1)


def linear_map(name: str, layer: nn.Module, channels: int, side: int) -> LinearMap | None:
    """Return size, rank and condition number of a layer that maps a space onto one of its size, else None."""
    matrix = matrix_of(layer, channels, side)
    if matrix.shape[0] != matrix.shape[1]:
        return None
    values = torch.linalg.svdvals(matrix)
    rank = int(torch.linalg.matrix_rank(matrix))
    return LinearMap(name, len(matrix), rank, (values[0] / values[-1]).item())


def same_function_class(
    changed: frozenset[str], arm: NetworkPair, baseline: NetworkPair, images: Tensor, conditions: Conditions
) -> str | None:
    """Return why two discriminators can compute exactly the same functions, or None where this algebra does not say.

    Both must be made of the same parts up to the same last hidden map, pass it through nothing but linear layers to
    linear heads that are free, and return those heads' logits. A map of full rank from a space onto itself, next to the
    heads, can be absorbed by them; if what is left of both tails is the same, so is the set of functions.

    Args:
        changed: Dotted settings in which the two arms differ.
        arm: Networks with the initial weights of a block; they are copied.
        baseline: The same of the other arm.
        images: (N, C, S, S), to see what the discriminators really do with their tails.
        conditions: Of as many items.
    """
    if not changed or not all(path.startswith("discriminator.") for path in changed):
        return None
    tails = [_linear_tail(pair.discriminator, images, conditions) for pair in (arm, baseline)]
    if tails[0] is None or tails[1] is None:
        return None
    first, second = tails[0], tails[1]
    trunks_equal = torch.equal(first.hidden, second.hidden) and same_structure(
        first.network, second.network, leaving_out=[*first.modules(), *second.modules()]
    )
    if not trunks_equal:
        return None
    rest, maps = _absorb(first)
    rest_of_baseline, maps_of_baseline = _absorb(second)
    if rest != rest_of_baseline or maps == maps_of_baseline:
        return None
    of = [f"the arm's {m}" for m in maps if m not in maps_of_baseline]
    of += [f"the baseline's {m}" for m in maps_of_baseline if m not in maps]
    return (
        "nothing but linear maps stands between the last hidden map and the linear heads, which can absorb them: "
        f"{'; '.join(of)}, at the initial weights. Each arm can compute every function of the other; "
        "only the way of learning it differs"
    )


def _linear_tail(discriminator: nn.Module, images: Tensor, conditions: Conditions) -> LinearTail | None:
    """Return a discriminator's tail if all of it is known to be linear and it is seen to be all that is done."""
    network = copy.deepcopy(discriminator).train()
    tail = getattr(network, "tail", None)
    if not isinstance(tail, Tail) or hooked(network) or not tail.heads:
        return None
    layers, heads = list(tail.layers.values()), list(tail.heads.values())
    parameters = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    if len(parameters) != len(dict(network.named_parameters())) or any(map(hooked, (*layers, *heads))):
        return None
    steady = all(type(layer) in LINEAR and not getattr(layer, "fade", 0.0) for layer in layers)
    free = all(p.requires_grad for module in (*layers, *heads) for p in module.parameters())
    if not steady or not free or not all(type(head) in (nn.Linear, nn.Conv2d) for head in heads):
        return None
    shifted = any(getattr(layer, "bias", None) is not None for layer in layers)
    if shifted and any(head.bias is None for head in heads):
        return None
    passed = _passed(network, layers, heads, images, conditions)
    if passed is None or not all(_covers(head, passed[-1]) for head in heads):
        return None
    passes = ((name, layer, x.shape[-1]) for (name, layer), x in zip(tail.layers.items(), passed, strict=False))
    kept = tuple(part for part in passes if not isinstance(part[1], nn.Identity))
    return LinearTail(network, kept, passed[0])


def _covers(head: nn.Module, given: Tensor) -> bool:
    """Return whether a head is any linear function of its whole map, with a bias."""
    if isinstance(head, nn.Linear):
        return head.in_features == given[0].numel()
    assert isinstance(head, nn.Conv2d)
    plain = head.groups == 1 and set(head.padding) == {0} and head.in_channels == given.shape[1]
    return plain and head.kernel_size == tuple(given.shape[-2:])


@dataclass(frozen=True)
class _Call:
    """One call of a layer; the version counts changes made to a tensor where it lies."""

    layer: nn.Module
    given: Tensor
    given_version: int
    output: Tensor
    output_version: int


def _passed(
    network: nn.Module, layers: list[nn.Module], heads: list[nn.Module], images: Tensor, conditions: Conditions
) -> list[Tensor] | None:
    """Return what each layer gets, and last what the heads get, in a real forward pass.

    None unless each layer is called once, in order, on the very output of the one before, each head on the output of
    the last, and the network returns what the heads put out: all in the same memory, with no change between, and each
    output is what a layer of its kind makes of its input.
    """
    calls: list[_Call] = []
    versions: dict[int, int] = {}

    def before(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        versions[id(layer)] = given[0]._version

    def after(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append(_Call(layer, given[0], versions[id(layer)], output, output._version))

    for layer in (*layers, *heads):
        layer.register_forward_pre_hook(before)
        layer.register_forward_hook(after)
    with torch.no_grad():
        judged: Judgement = network(images.clone(), conditions)
    if [call.layer for call in calls] != [*layers, *heads]:
        return None
    tail, ends = calls[: len(layers)], calls[len(layers) :]
    links = [(a.output, a.output_version, b.given, b.given_version) for a, b in itertools.pairwise(tail)]
    if tail:
        links += [(tail[-1].output, tail[-1].output_version, end.given, end.given_version) for end in ends]
    logits = [x for x in judged if x is not None]
    links += [(end.output, end.output_version, x, x._version) for end, x in zip(ends, logits, strict=False)]
    with torch.no_grad():
        honest = all(torch.equal(type(call.layer).forward(call.layer, call.given), call.output) for call in calls)
    if len(logits) != len(ends) or not honest or not all(_untouched(*link) for link in links):
        return None
    return [*(call.given for call in tail), tail[-1].output if tail else ends[0].given]


def _untouched(output: Tensor, version: int, given: Tensor, version_then: int) -> bool:
    """Return whether a tensor is another one as it was put out, or a view of all of it."""
    same_memory = output.data_ptr() == given.data_ptr() and output.numel() == given.numel()
    return same_memory and version == version_then


def _absorb(tail: LinearTail) -> tuple[list[str], list[LinearMap]]:
    """Return descriptions of the maps that the heads cannot absorb, and the maps that they can."""
    absorbed: list[LinearMap] = []
    for name, layer, side in reversed(tail.layers):
        if isinstance(layer, nn.Conv2d) and layer.in_channels != layer.out_channels:
            break
        linear = linear_map(name, layer, layer.in_channels if isinstance(layer, nn.Conv2d) else 1, side)
        if linear is None or linear.rank < linear.size:
            break
        absorbed.append(linear)
    left = tail.layers[: len(tail.layers) - len(absorbed)]
    return [f"{name}: {layer}" for name, layer, _ in left], absorbed
