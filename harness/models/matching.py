"""Matched initialisation: each parameter is filled from a stream named after it, so that arms share what they can."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from harness.randomness import seed_for, stream
from harness.study.settings import Init

WARM_UP = 15
"""Power iterations before the first step, as many as torch's parametrisation makes (pytorch/pytorch#59564)."""

CONVS = (nn.Conv2d, nn.ConvTranspose2d)


class SpectralNorm(nn.Module):
    """Divide a weight by its largest singular value (Miyato 2018, arXiv:1802.05957, eq. 8).

    Unlike torch's parametrisation, reading the weight never changes the state: the power iteration is made once per
    forward of the layer in training mode, and nowhere else, so that evaluation and logging leave a trial as it was.
    """

    def __init__(self, weight: Tensor, *, dim: int, block: str, name: str) -> None:
        super().__init__()
        self.dim = dim
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
    """Make the one power iteration of a training forward."""
    if layer.training and parametrize.is_parametrized(layer, "weight"):
        weights: Any = layer.get_submodule("parametrizations.weight")
        weights[0].iterate(weights.original)


def spectrally_normalise(network: nn.Module, which: str, *, net: str, block: str) -> None:
    """Put spectral norm on the layers that a level names.

    Args:
        network: Has the attribute `normalised`: names of convolutions whose scale a norm takes out again.
        which: `none`, `unnormalised` (convolutions without such a norm), `convs` or `convs+heads`; `scaled` divides all
            convolutions by their largest singular value once, and leaves them free: what the norm does before training.
        net: `generator` or `discriminator`, for the names of the streams.
        block: The block's key.
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
            norm = SpectralNorm(layer.weight.detach(), dim=dim, block=block, name=f"{net}.{name}")
            parametrize.register_parametrization(layer, "weight", norm)
            layer.register_forward_pre_hook(_iterate_before_forward)


@torch.no_grad()
def initialise(network: nn.Module, scheme: Init, *, net: str, block: str) -> None:
    """Fill every parameter of known layers from the stream ``init/<net>.<name>`` of the block.

    Args:
        network: Built, before any parametrisation.
        scheme: `normal` is DCGAN's and zi2zi's (convolutions and linear layers N(0, 0.02), norms N(1, 0.02), biases 0);
            `kaiming` is He's normal for the same layers (He 2015, arXiv:1502.01852); `default` is torch's.
        net: `generator` or `discriminator`.
        block: The block's key.
    """
    for path, layer in network.named_modules():
        for name, parameter in layer.named_parameters(recurse=False):
            draw = stream(block, f"init/{net}.{path}.{name}")
            value = torch.empty(parameter.shape)
            if isinstance(layer, nn.Embedding):
                value.normal_(generator=draw)
            elif isinstance(layer, (*CONVS, nn.Linear)):
                _fill(value, scheme, layer, name, draw)
            elif name == "weight" and scheme == "normal" and isinstance(layer, nn.BatchNorm2d):
                value.normal_(1.0, 0.02, generator=draw)
            elif isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm)):
                value.fill_(1.0 if name == "weight" else 0.0)
            else:
                continue
            parameter.copy_(value)


def _fill(value: Tensor, scheme: Init, layer: nn.Module, name: str, draw: torch.Generator) -> None:
    """Fill the weight or bias of a convolution or linear layer."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    fan_in = weight[0].numel()
    if scheme == "default":
        bound = 1 / math.sqrt(fan_in)
        value.uniform_(-bound, bound, generator=draw)
    elif name == "bias":
        value.zero_()
    elif scheme == "normal":
        value.normal_(0.0, 0.02, generator=draw)
    else:
        nn.init.kaiming_normal_(value, nonlinearity="relu", generator=draw)


def named_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield every parameter under its canonical name, whether or not a parametrisation stands before it."""
    for name, parameter in network.named_parameters():
        yield name.replace("parametrizations.", "").replace(".original", ""), parameter


def matched_fraction(arm: dict[str, nn.Module], baseline: dict[str, nn.Module]) -> float:
    """Return the share of the arm's numbers that are bit-equal to the baseline's parameter of the same name."""
    shared = {f"{net}.{name}": p for net, network in baseline.items() for name, p in named_weights(network)}
    equal = total = 0
    for net, network in arm.items():
        for name, parameter in named_weights(network):
            total += parameter.numel()
            other = shared.get(f"{net}.{name}")
            if other is not None and other.shape == parameter.shape and torch.equal(other, parameter):
                equal += parameter.numel()
    return equal / total if total else 1.0


def seeded_build(block: str, net: str) -> int:
    """Return the seed under which a network is built, so that users' layers with draws of their own match too."""
    return seed_for(block, f"build/{net}")
