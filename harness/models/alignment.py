"""Which parameter of one network stands where another has one: networks of a user's own have no common names.

First tensors of equal name, kind and shape whose name holds no position in a sequence; of the others, in the order of
the layers, the common sequence of (kind of layer, leaf, shape) that holds the most numbers, equal names preferred.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils import parametrize


class Part(NamedTuple):
    """One parameter or floating-point buffer of a network."""

    name: str
    """Dotted, as if no parametrisation stood before it."""
    layer: nn.Module
    """The layer whose it is."""
    leaf: str
    """Its name within the layer."""
    tensor: Tensor
    learnt: bool
    """It is a parameter."""

    @property
    def symbol(self) -> tuple[str, str, tuple[int, ...]]:
        """What two parts must have in common to stand in one place."""
        return _kind(self.layer), self.leaf, tuple(self.tensor.shape)

    @property
    def by_position(self) -> bool:
        """Whether its name says where in a sequence it stands."""
        return any(word.isdigit() for word in self.name.split("."))


def parts(network: nn.Module) -> list[Part]:
    """Return all parts, layer by layer, those of a layer by name: parametrisations do not change the order."""
    layers: dict[str, list[Part]] = {}
    modules = dict(network.named_modules())
    for path, module in modules.items():
        owner, leaf = _owner(path) if isinstance(module, parametrize.ParametrizationList) else (path, None)
        prefix = path.replace("parametrizations.", "")
        tensors = (
            *((name, tensor, True) for name, tensor in module.named_parameters(recurse=False)),
            *((name, tensor, False) for name, tensor in module.named_buffers(recurse=False)),
        )
        for name, tensor, learnt in tensors:
            if not tensor.is_floating_point():
                continue
            if leaf is not None:
                bare = leaf + name.removeprefix("original")
                part = Part(_joined(owner, bare), modules[owner], bare, tensor, learnt)
            else:
                bare = name.removesuffix("_orig")
                part = Part(_joined(prefix, bare), module, bare, tensor, learnt)
            layers.setdefault(owner, []).append(part)
    return [part for layer in layers.values() for part in sorted(layer, key=lambda part: part.leaf)]


def named_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield every parameter under its canonical name, whether or not a parametrisation stands before it."""
    for name, parameter in network.named_parameters():
        yield name.replace("parametrizations.", "").replace(".original", "").removesuffix("_orig"), parameter


def aligned(network: Sequence[Part], baseline: Sequence[Part]) -> dict[str, str]:
    """Return, by name, which part of the baseline stands where a part of the network does; each is taken once."""
    theirs = {part.name: part for part in baseline}
    pairs = {
        part.name: part.name
        for part in network
        if not part.by_position and part.name in theirs and part.symbol == theirs[part.name].symbol
    }
    mine = [part for part in network if part.name not in pairs]
    others = [part for part in baseline if part.name not in pairs]
    while mine and others and _same(mine[0], others[0]):
        pairs[mine.pop(0).name] = others.pop(0).name
    tail = []
    while mine and others and _same(mine[-1], others[-1]):
        tail.append((mine.pop().name, others.pop().name))
    return pairs | _common_sequence(mine, others) | dict(tail)


def _common_sequence(mine: Sequence[Part], others: Sequence[Part]) -> dict[str, str]:
    """Return the pairs of the common sequence of symbols with the most numbers, then the most equal names."""
    names = min(len(mine), len(others)) + 1
    a, b = ([part.symbol for part in side] for side in (mine, others))
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]

    def worth(i: int, j: int) -> int:
        return mine[i].tensor.numel() * names + (mine[i].name == others[j].name) if a[i] == b[j] else 0

    for i, j in itertools.product(reversed(range(len(a))), reversed(range(len(b)))):
        together = worth(i, j) + best[i + 1][j + 1] if a[i] == b[j] else 0
        best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    pairs, i, j = {}, 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j] and best[i][j] == worth(i, j) + best[i + 1][j + 1]:
            pairs[mine[i].name] = others[j].name
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _same(mine: Part, other: Part) -> bool:
    return mine.name == other.name and mine.symbol == other.symbol


def _owner(path: str) -> tuple[str, str]:
    """Return the layer and the leaf that a list of parametrisations belongs to."""
    before, _, leaf = path.rpartition("parametrizations.")
    return before.removesuffix("."), leaf


def _joined(path: str, leaf: str) -> str:
    return f"{path}.{leaf}" if path else leaf


def _kind(layer: nn.Module) -> str:
    """Return the kind of torch's that a layer is, or the name of its own class."""
    kinds = parametrize.type_before_parametrizations(layer).__mro__
    torchs = (k for k in kinds if k.__module__.startswith("torch.nn.modules.") and k is not nn.Module)
    return next(torchs, kinds[0]).__name__
