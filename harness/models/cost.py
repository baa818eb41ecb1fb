"""What a pair of networks costs, counted on the meta device, where nothing is computed and no memory is taken."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.models import Conditions, NetworkPair
from harness.models.contract import Generated, Judgement


@dataclass(frozen=True)
class NetworkCost:
    """Size and work of both networks, per image."""

    parameters_g: int
    parameters_d: int
    macs_g: int
    """Multiply-adds of a forward pass."""
    macs_d: int
    activation_bytes: int
    """Outputs of all layers of one forward pass through both, as float32."""


def conditions_for(
    channels: int, image_size: int, *, paired: bool, latent: int | None, styles: int, count: int = 2
) -> Conditions:
    """Return `count` conditions of the right shapes, with nothing random about them: black sources, styles in turn."""
    source = torch.zeros(count, channels, image_size, image_size) if paired else None
    return Conditions(source, torch.arange(count) % styles, torch.zeros(count, latent) if latent else None)


@dataclass(frozen=True)
class Work:
    """One forward pass of one network."""

    output: Generated | Judgement
    """Only its shapes count: it may be on the meta device, without numbers."""
    macs: int
    activation_bytes: int


def cost(pair: NetworkPair, conditions: Conditions) -> NetworkCost:
    """Count both networks on one image.

    Args:
        pair: On any device; it is copied to the meta device.
        conditions: Of any one batch size; counts are divided by it.

    Raises:
        ValueError: The networks do not fit together; the message names the layer and the shapes.
    """
    generating = work("generator", pair.generator, conditions)
    judging = work("discriminator", pair.discriminator, Generated(*generating.output).image, conditions)
    return cost_of(pair, generating, judging, count=conditions.batch)


def cost_of(pair: NetworkPair, generating: Work, judging: Work, *, count: int) -> NetworkCost:
    """Return the cost per image of two passes over `count` images."""
    return NetworkCost(
        parameters_g=sum(p.numel() for p in pair.generator.parameters()),
        parameters_d=sum(p.numel() for p in pair.discriminator.parameters()),
        macs_g=generating.macs // count,
        macs_d=judging.macs // count,
        activation_bytes=(generating.activation_bytes + judging.activation_bytes) // count,
    )


def work(name: str, network: nn.Module, *inputs: Tensor | Conditions) -> Work:
    """Return the output of a forward pass, its multiply-adds, and the bytes of all layers' outputs.

    On the meta device; networks of users' own that need numbers, as for `.item()`, are counted on real ones.

    Raises:
        ValueError: The network does not take these inputs; the message names the layer and the shapes.
    """
    try:
        return _work(name, network, inputs, "meta")
    except Exception:  # noqa: BLE001 - whatever a user's code may raise on tensors without numbers
        return _work(name, network, inputs, "cpu")


def _work(name: str, network: nn.Module, inputs: Sequence[Tensor | Conditions], device: str) -> Work:
    outputs = 0

    def add(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal outputs
        if isinstance(output, Tensor):
            outputs += output.numel() * 4

    network = copy.deepcopy(network).to(device).eval()
    for path, layer in network.named_modules():
        leaf = not any(layer.children()) and not isinstance(layer, nn.Identity) and "parametrizations" not in path
        if leaf or hasattr(layer, "parametrizations"):
            layer.register_forward_hook(add)
    moved = [_moved(x, device) for x in inputs]
    with torch.no_grad(), words_for_shapes(name, network), FlopCounterMode(display=False) as counter:
        result = network(*moved)
    return Work(result, counter.get_total_flops() // 2, outputs)


def _moved(x: Tensor | Conditions, device: str) -> Tensor | Conditions:
    """Return inputs on a device; those that come from the meta device are zeros elsewhere."""

    def move(part: Tensor) -> Tensor:
        return torch.zeros_like(part, device=device) if part.is_meta and device != "meta" else part.to(device)

    return move(x) if isinstance(x, Tensor) else x.map(move)


@contextlib.contextmanager
def words_for_shapes(name: str, network: nn.Module) -> Iterator[None]:
    """Turn torch's errors about shapes into a ValueError that names the layer, what it takes and what it gets."""
    last: list[tuple[str, nn.Module, Tensor | None]] = [(name, network, None)]

    def enter(path: str, layer: nn.Module, inputs: tuple[object, ...]) -> None:
        last[0] = (f"{name}.{path}", layer, next((x for x in inputs if isinstance(x, Tensor)), None))

    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs, path=path: enter(path, layer, inputs))
        for path, layer in network.named_modules()
        if path and "parametrizations" not in path
    ]
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError) as error:
        raise ValueError(_in_words(*last[0], str(error).splitlines()[0])) from error
    finally:
        for hook in hooks:
            hook.remove()


def _in_words(where: str, layer: nn.Module, given: Tensor | None, message: str) -> str:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and given is not None and given.shape[1] != layer.in_channels:
        shape = "x".join(map(str, given.shape[1:]))
        return f"{where}: is built for maps of {layer.in_channels} channels and gets {given.shape[1]} ({shape})"
    if isinstance(layer, nn.Linear) and given is not None and given.shape[-1] != layer.in_features:
        return f"{where}: is built for {layer.in_features} numbers per image and gets {given.shape[-1]}"
    return message if message.startswith(where.partition(".")[0]) else f"{where}: {message}"
