"""What linear algebra settles: maps between the last hidden layer and linear heads that the heads can absorb."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.models import NetworkPair

ABSORBED = frozenset(
    {
        "discriminator.final_conv.kernel_size",
        "discriminator.final_conv.in_channels",
        "discriminator.head_channels",
        "discriminator.blur.position",
        "discriminator.blur.kernel_size",
        "discriminator.blur.sigma",
        "discriminator.blur.fade",
    }
)
"""Settings of what stands between the last hidden map and the heads."""


@dataclass(frozen=True)
class LinearMap:
    """A square linear map on the last map of the discriminator."""

    name: str
    size: int
    rank: int
    condition: float
    """Largest over smallest singular value."""

    def __str__(self) -> str:
        size = f"{self.size}x{self.size}"
        return f"{self.name} is a {size} matrix of rank {self.rank} (condition number {self.condition:.3g})"


def matrix_of(layer: nn.Module, channels: int, side: int) -> Tensor:
    """Return the (inputs, outputs) matrix of a linear layer on (channels, side, side) maps, bias left out."""
    layer = copy.deepcopy(layer).double()
    inputs = channels * side * side
    basis = torch.eye(inputs, dtype=torch.float64).view(inputs, channels, side, side)
    with torch.no_grad():
        outputs: Tensor = layer(basis) - layer(torch.zeros_like(basis[:1]))
    return outputs.flatten(1)


def linear_map(name: str, layer: nn.Module, channels: int, side: int) -> LinearMap:
    """Return size, rank and condition number of a layer that keeps the shape of its maps."""
    matrix = matrix_of(layer, channels, side)
    values = torch.linalg.svdvals(matrix)
    rank = int(torch.linalg.matrix_rank(matrix))
    return LinearMap(name, len(matrix), rank, (values[0] / values[-1]).item())


def same_function_class(
    changed: frozenset[str], arm: NetworkPair, baseline: NetworkPair, image_size: int
) -> str | None:
    """Return why two discriminators can compute exactly the same functions, or None where this algebra does not say.

    Both end in a chain of linear maps and then linear heads. A map of full rank from a space onto itself, next to the
    heads, can be absorbed by them; if what is left of both chains is the same, so is the set of functions.
    """
    if not changed or not changed <= ABSORBED:
        return None
    chains = [_chain(pair.discriminator) for pair in (arm, baseline)]
    if chains[0] is None or chains[1] is None:
        return None
    side = -(-image_size // 8)
    (rest, maps), (rest_of_baseline, maps_of_baseline) = (_absorb(chain, side) for chain in chains if chain is not None)
    if rest != rest_of_baseline or maps == maps_of_baseline:
        return None
    of = [f"the arm's {m}" for m in maps if m not in maps_of_baseline]
    of += [f"the baseline's {m}" for m in maps_of_baseline if m not in maps]
    return (
        "nothing but linear maps stands between the last hidden map and the linear heads, which can absorb them: "
        f"{'; '.join(of)}, at the initial weights. Each arm can compute every function of the other; "
        "only the way of learning it differs"
    )


def _chain(discriminator: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """Return what stands between the last hidden map and free linear heads, in order; None without such heads."""
    heads = [getattr(discriminator, name, None) for name in ("binary", "category")]
    if not all(isinstance(head, nn.Linear) and not parametrize.is_parametrized(head) for head in heads):
        return None
    blurs = getattr(discriminator, "blurs", nn.ModuleDict())
    inner = [getattr(discriminator, "blur_input", nn.Identity()), *blurs.values()]
    if not all(isinstance(layer, nn.Identity) for layer in inner):
        return None
    parts = {
        "the blur of the features": "blur_features",
        "the final conv": "final",
        "the blur of the output": "blur_output",
    }
    chain = [(name, getattr(discriminator, attribute)) for name, attribute in parts.items()]
    return [(name, layer) for name, layer in chain if not isinstance(layer, nn.Identity)]


def _absorb(chain: list[tuple[str, nn.Module]], side: int) -> tuple[list[str], list[LinearMap]]:
    """Return descriptions of the maps that the heads cannot absorb, and the maps that they can."""
    rest, absorbed = list(chain), []
    while rest:
        name, layer = rest[-1]
        if isinstance(layer, nn.Conv2d) and layer.in_channels != layer.out_channels:
            break
        channels = layer.in_channels if isinstance(layer, nn.Conv2d) else 1
        found = linear_map(name, layer, channels, side)
        if found.rank < found.size:
            break
        absorbed.append(found)
        rest.pop()
    return [f"{name}: {layer}" for name, layer in rest], absorbed
