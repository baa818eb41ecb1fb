"""Optimisers, schedules of the learning rate, and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from harness.study.training_settings import OptimizerSettings, ScheduleSettings

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], OptimizerSettings, float], torch.optim.Optimizer]] = {
    "adam": lambda p, o, lr: torch.optim.Adam(p, lr=lr, betas=o.betas, weight_decay=o.weight_decay, fused=True),
    "adamw": lambda p, o, lr: torch.optim.AdamW(p, lr=lr, betas=o.betas, weight_decay=o.weight_decay, fused=True),
    "sgd": lambda p, o, lr: torch.optim.SGD(p, lr=lr, momentum=o.momentum, weight_decay=o.weight_decay, fused=True),
    "rmsprop": lambda p, o, lr: torch.optim.RMSprop(
        p, lr=lr, alpha=o.smoothing, momentum=o.momentum, weight_decay=o.weight_decay
    ),
}
"""An optimiser of some parameters, by its kind."""


def optimizer_of(network: nn.Module, settings: OptimizerSettings, lr: float) -> torch.optim.Optimizer:
    """Return the optimiser of a network's parameters at a first learning rate."""
    return OPTIMIZERS[settings.kind](network.parameters(), settings, lr)


def rate_factor(schedule: ScheduleSettings, share: float) -> float:
    """Return the learning rate at a share of the training, in [0, 1), as a multiple of the first rate."""
    match schedule.kind:
        case "constant":
            return 1.0
        case "linear":
            return max(schedule.floor, 1 - share)
        case "cosine":
            return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * share))
        case "halving":
            return max(schedule.floor, 0.5 ** math.floor(share / schedule.every + 1e-9))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network; buffers are copied."""
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for kept, buffer in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(buffer)
