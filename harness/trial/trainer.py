"""The state of one trial's training, and what a training loop needs of it: batches, draws, precision and steps."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.data import Split, augment, to_range
from harness.models import Conditions, GaussianBlur, MatchedDropout, NetworkPair
from harness.randomness import seed_for, stream
from harness.study.settings import TrialSettings
from harness.trial.optimizers import optimizer_of, rate_factor, update_average

Kept = TypeVar("Kept", bound=Any)


@dataclass(frozen=True)
class Progress:
    """What one step came to; a loop gets it from `Trainer.done`."""

    step: int
    """Steps done, from 1."""
    loss_d: float | Tensor
    """A tensor of one number where nobody has waited for the device to compute it; `float` does."""
    loss_g: float | Tensor
    signals: dict[str, float] = field(default_factory=dict)
    """What is logged, on the steps asked for; empty on the others."""


class BatchOrder:
    """Which items make up the batch of each step: a pure function of block and step.

    Permutations of the training items, one after another, each from its own stream, are cut into batches; so arms with
    other batch sizes still see the same order, and a trial can go on from any step.
    """

    def __init__(self, items: int, batch_size: int, block: str, name: str = "data-order") -> None:
        self.items, self.name = items, name
        self.batch_size = batch_size
        self.block = block
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def _epoch_order(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            self._order = torch.randperm(self.items, generator=stream(self.block, f"{self.name}/{epoch}"))
            self._epoch = epoch
        return self._order

    def batch(self, index: int) -> Tensor:
        """Return the item numbers of one batch, (batch_size,) int64."""
        start, parts, missing = index * self.batch_size, [], self.batch_size
        while missing:
            epoch, offset = divmod(start, self.items)
            part = self._epoch_order(epoch)[offset : offset + missing]
            parts.append(part)
            start, missing = start + len(part), missing - len(part)
        return torch.cat(parts)


class Trainer:
    """The state of one trial's training: networks, optimisers, moving average, and the step they are at.

    Randomness is not part of the state: every draw is a function of block, purpose and step.
    """

    def __init__(self, pair: NetworkPair, settings: TrialSettings, split: Split, *, block: str) -> None:
        self.pair = pair
        self.settings = settings.training
        self.augmentation = settings.data.augment
        self.latent = settings.latent
        self.block = block
        self.step = 0
        self.device = next(pair.generator.parameters()).device
        self.asynchronous = self.device.type != "cpu"
        """The device computes while the next steps are prepared; whoever reads a number of it waits."""
        self.split = split
        self.order = BatchOrder(len(split), self.settings.batch_size, block)
        self.source_order = (
            self.order if split.aligned else BatchOrder(len(split), self.settings.batch_size, block, "source-order")
        )
        o = self.settings.optimizer
        self.optimizer_g = optimizer_of(pair.generator, o, o.lr)
        self.optimizer_d = optimizer_of(pair.discriminator, o, o.lr_discriminator or o.lr)
        self.average = copy.deepcopy(pair.generator).requires_grad_(False) if self.settings.ema else None
        self.parameters_d = list(pair.discriminator.parameters())
        self.log_every = 1
        """Signals are computed on each step that this divides, and on the last."""
        self._kept: dict[str, Any] = {}
        self._saved: dict[str, Any] = {}
        """State of what a loop has not yet said that it keeps."""
        self.dropouts = [m for net in pair.networks().values() for m in net.modules() if isinstance(m, MatchedDropout)]
        self.blurs = [m for m in pair.discriminator.modules() if isinstance(m, GaussianBlur)]

    @property
    def measured(self) -> nn.Module:
        """The generator that is measured: the moving average where the study asks for one."""
        return self.average if self.average is not None else self.pair.generator

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "step": self.step,
            "generator": self.pair.generator.state_dict(),
            "discriminator": self.pair.discriminator.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "kept": {name: part.state_dict() for name, part in self._kept.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step = state["step"]
        self.pair.generator.load_state_dict(state["generator"])
        self.pair.discriminator.load_state_dict(state["discriminator"])
        self.optimizer_g.load_state_dict(state["optimizer_g"])
        self.optimizer_d.load_state_dict(state["optimizer_d"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._saved = dict(state.get("kept", {}))

    def keep(self, name: str, part: Kept) -> Kept:
        """Make something that a loop of one's own trains part of the state: another network, another optimiser.

        Args:
            name: Its name among what is kept.
            part: Has `state_dict` and `load_state_dict`. If the training goes on from a checkpoint, it gets its state.

        Returns:
            The same.
        """
        self._kept[name] = part
        if name in self._saved:
            part.load_state_dict(self._saved.pop(name))
        return part

    def steps(self) -> Iterator[int]:
        """Yield each step that is left, from 0, with its streams begun and its schedules set.

        Raises:
            ValueError: A step was left without `done`.
        """
        while self.step < self.settings.steps:
            step = self.step
            _begin_step(self, step)
            yield step
            if self.step == step:
                raise ValueError(f"step {step + 1} was left without trainer.done(...)")

    @property
    def logging(self) -> bool:
        """Whether signals are asked for in this step."""
        return (self.step + 1) % self.log_every == 0 or self.step + 1 == self.settings.steps

    def precision(self) -> torch.autocast:
        """Return the context of forward passes: the arithmetic that the study asks for."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def stream(self, purpose: str) -> torch.Generator:
        """Return a CPU generator for draws of this step: the same in every arm of the block, whatever else is drawn."""
        return stream(self.block, f"{purpose}/{self.step}")

    def next_batch(self, turn: int = 0, turns: int = 1) -> tuple[Conditions, Tensor]:
        """Return the batch of this step, or of one of several turns that each step has: as `batch`."""
        return self.batch(self.step * turns + turn, f"{self.step}/{turn}")

    def done(
        self, *, loss_g: float | Tensor, loss_d: float | Tensor = 0.0, signals: Mapping[str, float] | None = None
    ) -> Progress:
        """End a step: move the average, count, and return what to yield.

        Args:
            loss_g: What the generator minimised; a trial whose loss is not finite, or too large, has diverged. Give the
                tensor itself: `.item()` waits for a GPU at every step.
            loss_d: The same of the discriminator.
            signals: Further numbers to store, if `logging`.
        """
        logged: dict[str, float] = {}
        if self.logging:
            logged = {**(signals or {}), "learning_rate": self.optimizer_g.param_groups[0]["lr"]}
        if self.average is not None:
            update_average(self.average, self.pair.generator, self.settings.ema)
        self.step += 1
        loss_d, loss_g = (x.detach() if isinstance(x, Tensor) else x for x in (loss_d, loss_g))
        return Progress(self.step, loss_d, loss_g, logged)

    def batch(self, index: int, purpose: str) -> tuple[Conditions, Tensor]:
        """Return what to generate from and the (N, C, S, S) real images in [-1, 1] of one batch."""
        chosen = self.order.batch(index)
        target = to_range(self.split.target[chosen])
        sources = chosen if self.split.aligned else self.source_order.batch(index)
        source = None if self.split.source is None else to_range(self.split.source[sources])
        if self.augmentation != "none":
            source, target = augment(
                source, target, mode=self.augmentation, generator=stream(self.block, f"augment/{purpose}")
            )
        latent = None
        if self.latent:
            latent = torch.randn(len(chosen), self.latent, generator=stream(self.block, f"latent/{purpose}"))
        conditions = Conditions(source, self.split.style[chosen], latent).map(lambda x: x.to(self.device))
        return conditions, target.to(self.device)


def _begin_step(trainer: Trainer, step: int) -> None:
    """Set everything that is a function of the step: streams and schedules."""
    # Built-in parts never draw from the global streams; a user's part that does is kept in step by this.
    seed = seed_for(trainer.block, f"global/{step}")
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global stream is meant
    random.seed(seed)
    for dropout in trainer.dropouts:
        dropout.begin(trainer.block, step)
    set_schedules(trainer, step)


def set_schedules(trainer: Trainer, step: int) -> None:
    """Set what changes along the training, from 0: learning rates and fading blurs, and nothing else."""
    s = trainer.settings
    share = step / s.steps
    factor = rate_factor(s.schedule, share)
    o = s.optimizer
    for optimizer, lr in ((trainer.optimizer_g, o.lr), (trainer.optimizer_d, o.lr_discriminator or o.lr)):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor
    for blur in trainer.blurs:
        blur.begin(share)
