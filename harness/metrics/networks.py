"""Measures of trained networks themselves: what shifts, fine noise and styles do to them, and which units are dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import DataError
from harness.metrics.evaluation import TrainedNetworks
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

SHIFTS = (1, 2, 3, 4)
"""Pixels, down and to the right at once."""
NOISE = 8 / 255
"""Height of the checkerboard of one pixel that is laid over real images."""


def shifted(images: Tensor, pixels: int) -> Tensor:
    """Return images (N, C, H, W) moved down and right, with the border repeated; the size stays."""
    moved = F.pad(images, (pixels, 0, pixels, 0), mode="replicate")
    return moved[..., : images.shape[-2], : images.shape[-1]]


def _trained(task: MetricInput) -> TrainedNetworks:
    networks = task.evaluation.networks
    if networks is None:
        raise ValueError(f"{task.metric.name}: has no networks")
    return networks


def _real(task: MetricInput) -> Tensor:
    """Return the real images on [-1, 1]."""
    return task.evaluation.real * 2 - 1


def shift_error_g(task: MetricInput) -> Value:
    """Return how far a redrawn shifted source is from the shifted drawing, on [0, 1], lower is better (Zhang 2019).

    The mean absolute difference over shifts of 1 to 4 pixels, without the rim into which a border was shifted.

    Raises:
        DataError: The generator redraws nothing, or images of 8 pixels or less.
    """
    networks = _trained(task)
    if networks.redraw is None or networks.sources is None:
        raise DataError("shift_error_g: this generator redraws no source; leave it out")
    rim = max(SHIFTS)
    if min(networks.sources.shape[-2:]) <= 2 * rim:
        raise DataError(f"shift_error_g: images of {networks.sources.shape[-1]} pixels; more than {2 * rim} are needed")
    drawn = networks.redraw(networks.sources)
    each = [
        (networks.redraw(shifted(networks.sources, pixels)) - shifted(drawn, pixels))[..., rim:-rim, rim:-rim]
        .abs()
        .mean(dim=(1, 2, 3))
        for pixels in SHIFTS
    ]
    return averaged((torch.stack(each).mean(dim=0) / 2).double().numpy())


def shift_error_d(task: MetricInput) -> Value:
    """Return how far a shift of real images moves the discriminator's logit, in sd of its logits, lower is better.

    The mean over shifts of 1 to 4 pixels of the absolute difference, over the standard deviation of the logits of the
    unshifted images; source and image are shifted alike.

    Raises:
        DataError: Fewer than two images.
    """
    networks, real = _trained(task), _real(task)
    if len(real) < 2:
        raise DataError(f"shift_error_d: {len(real)} real image; at least 2 are needed")
    still = networks.judge(real, networks.sources).scores.double()
    spread = still.std()
    if not float(spread):
        return Value(value=None)
    each = []
    for pixels in SHIFTS:
        sources = None if networks.sources is None else shifted(networks.sources, pixels)
        each.append((networks.judge(shifted(real, pixels), sources).scores.double() - still).abs())
    return averaged((torch.stack(each).mean(dim=0) / spread).numpy())


def map_variation(maps: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours in each map (N, C, H, W), over the sd of all values: (N,).

    White noise has 2 / sqrt(pi) = 1.13; a checkerboard 2; a smooth map less.
    """
    x = maps.double()
    down, right = (x.diff(dim=side).abs().sum(dim=(1, 2, 3)) for side in (2, 3))
    pairs = x.shape[1] * ((x.shape[2] - 1) * x.shape[3] + x.shape[2] * (x.shape[3] - 1))
    return (down + right) / pairs / x.std(correction=0)


def logit_map_variation(task: MetricInput) -> Value:
    """Return how rough the discriminator's last map is on real images, lower is smoother; None for a constant map.

    Raises:
        DataError: The discriminator shows no map of more than one position.
    """
    networks = _trained(task)
    maps = networks.maps(_real(task), networks.sources)
    if maps is None or maps.shape[-2] * maps.shape[-1] < 2:
        raise DataError("logit_map_variation: this discriminator has no map of several positions; leave it out")
    if not float(maps.double().std()):
        return Value(value=None)
    return averaged(map_variation(maps).numpy())


def d_category_accuracy(task: MetricInput) -> Value:
    """Return the share of real held-out images whose style the discriminator's head tells, higher is better.

    The floor is the share of the commonest style.

    Raises:
        DataError: It has no head for styles, or the data no styles.
    """
    networks = _trained(task)
    logits = networks.judge(_real(task), networks.sources).category
    if logits is None or networks.styles is None:
        raise DataError("d_category_accuracy: this discriminator has no head for styles; leave it out")
    right = averaged((logits.argmax(dim=1) == networks.styles).double().numpy())
    commonest = float(networks.styles.bincount().max()) / len(networks.styles)
    return Value(
        value=right.value, floor=commonest, standard_error=right.standard_error, evaluation_sd=right.evaluation_sd
    )


def d_high_frequency_accuracy(task: MetricInput) -> Value:
    """Return the share of real images that are judged more real than themselves under a checkerboard of ±8/255.

    1 where the discriminator always tells fine noise from none, 0.5 where it does not see it; ties count half.
    """
    networks, real = _trained(task), _real(task)
    rows, columns = (torch.arange(side) for side in real.shape[-2:])
    pattern = ((rows[:, None] + columns[None, :]) % 2 * 2 - 1).to(real.dtype)
    noisy = (task.evaluation.real + NOISE * pattern).clamp(0, 1) * 2 - 1
    plain, disturbed = (networks.judge(images, networks.sources).scores.double() for images in (real, noisy))
    found = averaged(((plain > disturbed).double() + 0.5 * (plain == disturbed).double()).numpy())
    return Value(value=found.value, floor=0.5, standard_error=found.standard_error, evaluation_sd=found.evaluation_sd)


@contextmanager
def _active_units(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect whether each channel of each activation was ever above 0, over all calls; a forward pass is one turn."""
    ever: list[Tensor] = []
    turn = [0]

    def begin(*_: object) -> None:
        turn[0] = 0

    def see(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        above = (x > 0).flatten(2).any(dim=2).any(dim=0) if x.ndim > 2 else (x > 0).any(dim=0)
        if turn[0] == len(ever):
            ever.append(above)
        else:
            ever[turn[0]] = ever[turn[0]] | above
        turn[0] += 1

    hooks = [network.register_forward_pre_hook(begin)]
    hooks += [
        layer.register_forward_pre_hook(see)
        for layer in network.modules()
        if isinstance(layer, (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU))
    ]
    try:
        yield ever
    finally:
        for hook in hooks:
            hook.remove()


def _dead(name: str, ever: list[Tensor]) -> Value:
    if not ever:
        raise DataError(f"{name}: no activation layers are seen in this network; leave it out")
    units = torch.cat(ever)
    return Value(value=float((~units).double().mean()))


def dead_units_g(task: MetricInput) -> Value:
    """Return the share of the generator's channels whose activation is at or below 0 wherever, on all items.

    Raises:
        DataError: The generator has no activation layers.
    """
    networks = _trained(task)
    with _active_units(networks.generator) as ever:
        networks.draw()
    return _dead("dead_units_g", ever)


def dead_units_d(task: MetricInput) -> Value:
    """Return the same share of the discriminator, on real held-out images.

    Raises:
        DataError: The discriminator has no activation layers.
    """
    networks = _trained(task)
    with _active_units(networks.discriminator) as ever:
        networks.judge(_real(task), networks.sources)
    return _dead("dead_units_d", ever)
