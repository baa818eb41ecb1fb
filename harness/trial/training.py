"""The training loop, readable top to bottom: tensors in, progress out; it touches no files and prints nothing."""

from __future__ import annotations

import contextlib
import copy
import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.data import Split, augment, to_range
from harness.models import Conditions, GaussianBlur, Generated, Judgement, MatchedDropout, NetworkPair
from harness.randomness import seed_for, stream
from harness.study.settings import LossSettings, TrialSettings
from harness.trial import losses
from harness.trial.optimizers import optimizer_of, rate_factor, update_average


@dataclass(frozen=True)
class Progress:
    """What one step came to."""

    step: int
    """Steps done, from 1."""
    loss_d: float
    loss_g: float
    signals: dict[str, float] = field(default_factory=dict)
    """What is logged, on the steps asked for; empty on the others."""


class BatchOrder:
    """Which items make up the batch of each step: a pure function of block and step.

    Permutations of the training items, one after another, each from its own stream, are cut into batches; so arms with
    other batch sizes still see the same order, and a trial can go on from any step.
    """

    def __init__(self, items: int, batch_size: int, block: str) -> None:
        self.items = items
        self.batch_size = batch_size
        self.block = block
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def _epoch_order(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            self._order = torch.randperm(self.items, generator=stream(self.block, f"data-order/{epoch}"))
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
        self.split = split
        self.order = BatchOrder(len(split), self.settings.batch_size, block)
        o = self.settings.optimizer
        self.optimizer_g = optimizer_of(pair.generator, o, o.lr)
        self.optimizer_d = optimizer_of(pair.discriminator, o, o.lr_discriminator or o.lr)
        self.average = copy.deepcopy(pair.generator).requires_grad_(False) if self.settings.ema else None
        self.parameters_d = list(pair.discriminator.parameters())
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

    def batch(self, index: int, purpose: str) -> tuple[Conditions, Tensor]:
        """Return what to generate from and the (N, C, S, S) real images in [-1, 1] of one batch."""
        chosen = self.order.batch(index)
        target = to_range(self.split.target[chosen])
        source = None if self.split.source is None else to_range(self.split.source[chosen])
        if self.augmentation != "none":
            source, target = augment(
                source, target, mode=self.augmentation, generator=stream(self.block, f"augment/{purpose}")
            )
        latent = None
        if self.latent:
            latent = torch.randn(len(chosen), self.latent, generator=stream(self.block, f"latent/{purpose}"))
        conditions = Conditions(source, self.split.style[chosen], latent).map(lambda x: x.to(self.device))
        return conditions, target.to(self.device)


def train(trainer: Trainer, *, log_every: int = 1) -> Iterator[Progress]:
    """Train to the last step, from the step that the trainer is at.

    A step is zi2zi's: the discriminator's updates, then the generator's, the first of which reuses the images that the
    discriminator saw. Each further discriminator step takes a batch of its own.

    Args:
        trainer: Changed in place.
        log_every: Signals are computed on each step that this divides, and on the last.

    Yields:
        The progress of every step. The caller decides what to measure, and when to stop.

    Raises:
        ValueError: No part of the generator's loss has a weight.
    """
    s = trainer.settings
    generator, discriminator = trainer.pair.generator.train(), trainer.pair.discriminator.train()
    precision = torch.autocast(trainer.device.type, torch.bfloat16, enabled=s.precision == "bfloat16")
    while trainer.step < s.steps:
        step = trainer.step
        logging = (step + 1) % log_every == 0 or step + 1 == s.steps
        signals: dict[str, float] = {}
        _begin_step(trainer, step)

        for turn in range(s.discriminator_steps):
            conditions, real = trainer.batch(step * s.discriminator_steps + turn, f"{step}/{turn}")
            last = turn + 1 == s.discriminator_steps
            with precision, contextlib.nullcontext() if last else torch.no_grad():
                generated: Generated = generator(conditions)
            trainer.optimizer_d.zero_grad()
            with precision:
                judged = _discriminator_update(trainer, conditions, real, generated.image.detach(), f"{step}/{turn}")
            loss_d = _discriminator_backward(judged, s.loss, precision)
            trainer.optimizer_d.step()
        if logging:
            signals |= _judgement_signals(judged.on_real.real.detach(), judged.on_fake.real.detach())

        with _frozen(trainer.parameters_d):
            for turn in range(s.generator_steps):
                with precision:
                    if turn > 0:
                        generated = generator(conditions)
                    parts = losses.weighted(
                        losses.GENERATOR_TERMS,
                        losses.GeneratorUpdate(
                            generator,
                            discriminator,
                            conditions,
                            real,
                            generated,
                            s.loss.kind,
                            classifies=judged.on_real.category is not None,
                        ),
                        s.loss,
                    )
                if not parts:
                    raise ValueError(
                        "training.loss: no part of the generator's loss has a weight, so there is nothing to learn "
                        "from; give adversarial, l1, category or constant one"
                    )
                loss_g = torch.stack(list(parts.values())).sum()
                trainer.optimizer_g.zero_grad()
                loss_g.backward()
                trainer.optimizer_g.step()
        if trainer.average is not None:
            update_average(trainer.average, generator, s.ema)

        trainer.step = step + 1
        if logging:
            signals |= {f"loss_{name}": value.item() for name, value in parts.items()}
            signals |= {
                "gradient_norm_g": _gradient_norm(generator),
                "gradient_norm_d": _gradient_norm(discriminator),
                "saturation": (generated.image.detach().abs() > 0.98).float().mean().item(),
                "learning_rate": trainer.optimizer_g.param_groups[0]["lr"],
            }
        yield Progress(trainer.step, loss_d, loss_g.item(), signals)


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


def _discriminator_update(
    trainer: Trainer, conditions: Conditions, real: Tensor, fake: Tensor, turn: str
) -> losses.DiscriminatorUpdate:
    """Ask the discriminator about real and generated images, apart or in one batch."""
    s, discriminator = trainer.settings, trainer.pair.discriminator
    if s.loss.real_and_fake == "concat":
        together: Judgement = discriminator(torch.cat([real, fake]), conditions.map(lambda x: torch.cat([x, x])))
        n = len(real)
        on_real, on_fake = together.map(lambda x: x[:n]), together.map(lambda x: x[n:])
    else:
        on_real, on_fake = discriminator(real, conditions), discriminator(fake, conditions)

    def uniform(purpose: str) -> Tensor:
        return torch.rand(len(real), generator=stream(trainer.block, f"{purpose}/{turn}")).to(real.device)

    return losses.DiscriminatorUpdate(
        discriminator, conditions, real, fake, on_real, on_fake, s.loss.kind, uniform=uniform
    )


def _discriminator_backward(
    update: losses.DiscriminatorUpdate, settings: LossSettings, precision: torch.autocast
) -> float:
    """Leave the gradients of the discriminator's loss on its parameters and return the loss."""
    with precision:
        loss_real, loss_fake = (
            functools.reduce(torch.add, losses.weighted(terms, update, settings).values())
            for terms in (losses.REAL_TERMS, losses.FAKE_TERMS)
        )
    if settings.real_and_fake == "separate":
        loss_real.backward()
        loss_fake.backward()
    else:
        (loss_real + loss_fake).backward()
    return loss_real.item() + loss_fake.item()


def _judgement_signals(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Return how the discriminator judges: mean logits and probabilities, and the shares that it gets right."""
    return {
        "d_real_logit": real.mean().item(),
        "d_fake_logit": fake.mean().item(),
        "d_real": real.sigmoid().mean().item(),
        "d_fake": fake.sigmoid().mean().item(),
        "d_accuracy_real": (real > 0).float().mean().item(),
        "d_accuracy_fake": (fake < 0).float().mean().item(),
    }


def _gradient_norm(network: nn.Module) -> float:
    """Return the Euclidean norm of all gradients together."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item() if gradients else 0.0


@contextlib.contextmanager
def _frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Spare the gradients of parameters that are not updated."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
