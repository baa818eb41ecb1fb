"""The training loop, readable top to bottom: tensors in, progress out; it touches no files and prints nothing."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.data import Split, augment
from harness.models import Conditions, GaussianBlur, Generated, MatchedDropout, NetworkPair
from harness.models.layers import full_precision
from harness.randomness import seed_for, stream
from harness.study.settings import OptimizerSettings, ScheduleSettings, TrainingSettings, TrialSettings
from harness.trial import losses


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
        start, parts, wanted = index * self.batch_size, [], self.batch_size
        while wanted:
            epoch, offset = divmod(start, self.items)
            part = self._epoch_order(epoch)[offset : offset + wanted]
            parts.append(part)
            start, wanted = start + len(part), wanted - len(part)
        return torch.cat(parts)


class Trainer:
    """The state of one trial's training: networks, optimisers, moving average, and the step they are at.

    Randomness is not part of the state: every draw is a function of block, purpose and step.
    """

    def __init__(self, pair: NetworkPair, settings: TrialSettings, split: Split, *, block: str) -> None:
        self.pair = pair
        self.settings = settings.training
        self.augmentation = settings.data.augment
        self.latent = getattr(settings.generator, "latent", None)
        self.block = block
        self.step = 0
        self.device = next(pair.generator.parameters()).device
        self.split = split
        self.order = BatchOrder(len(split), self.settings.batch_size, block)
        o = self.settings.optimizer
        self.optimizer_g = _optimizer(pair.generator, o, o.lr)
        self.optimizer_d = _optimizer(pair.discriminator, o, o.lr_discriminator or o.lr)
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
        target = _to_range(self.split.target[chosen])
        source = None if self.split.source is None else _to_range(self.split.source[chosen])
        if self.augmentation != "none":
            source, target = augment(
                source, target, mode=self.augmentation, generator=stream(self.block, f"augment/{purpose}")
            )
        latent = None
        if self.latent:
            latent = torch.randn(len(chosen), self.latent, generator=stream(self.block, f"latent/{purpose}"))
        conditions = Conditions(
            *(None if x is None else x.to(self.device) for x in (source, self.split.style[chosen], latent))
        )
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
    """
    s = trainer.settings
    generator, discriminator = trainer.pair.generator.train(), trainer.pair.discriminator.train()
    adversarial = losses.ADVERSARIAL[s.loss.kind]
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
            loss_d = _discriminator_pass(
                trainer,
                adversarial,
                conditions,
                real,
                generated.image.detach(),
                precision,
                signals if logging else None,
                mix_name=f"penalty/{step}/{turn}",
            )
            trainer.optimizer_d.step()

        with _frozen(trainer.parameters_d):
            for turn in range(s.generator_steps):
                with precision:
                    if turn > 0:
                        generated = generator(conditions)
                    parts = _generator_losses(generator, discriminator, adversarial, conditions, real, generated, s)
                loss_g = torch.stack(list(parts.values())).sum()
                trainer.optimizer_g.zero_grad()
                loss_g.backward()
                trainer.optimizer_g.step()
        if trainer.average is not None:
            _update_average(trainer.average, generator, s.ema)

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
    """Set everything that is a function of the step: streams, learning rates, the fading blur."""
    s = trainer.settings
    # Built-in parts never draw from the global stream; a user's part that does is kept in step by this.
    torch.manual_seed(seed_for(trainer.block, f"global/{step}"))
    for dropout in trainer.dropouts:
        dropout.begin(trainer.block, step)
    share = step / s.steps
    factor = rate_factor(s.schedule, share)
    o = s.optimizer
    for optimizer, lr in ((trainer.optimizer_g, o.lr), (trainer.optimizer_d, o.lr_discriminator or o.lr)):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor
    for blur in trainer.blurs:
        blur.begin(share)


def _discriminator_pass(
    trainer: Trainer,
    adversarial: losses.Adversarial,
    conditions: Conditions,
    real: Tensor,
    fake: Tensor,
    precision: torch.autocast,
    signals: dict[str, float] | None,
    *,
    mix_name: str,
) -> float:
    """Leave the gradients of the discriminator's loss on its parameters and return the loss."""
    s, discriminator = trainer.settings, trainer.pair.discriminator
    style = conditions.style
    with precision:
        if s.loss.real_and_fake == "concat":
            both = Conditions(*(None if x is None else torch.cat([x, x]) for x in conditions))
            judged = discriminator(torch.cat([real, fake]), both)
            n = len(real)
            on_real, on_fake = (
                type(judged)(*(None if x is None else x[part] for x in judged)) for part in (slice(n), slice(n, None))
            )
        else:
            on_real = discriminator(real, conditions)
            on_fake = discriminator(fake, conditions)
        loss_real, loss_fake = adversarial.real(on_real.real), adversarial.fake(on_fake.real)
        if on_real.category is not None and style is not None and s.loss.category:
            loss_real = loss_real + s.loss.category / 2 * losses.category(on_real.category, style)
            loss_fake = loss_fake + s.loss.category / 2 * losses.category(on_fake.category, style)
        if s.loss.kind == "wgan_gp" and s.loss.gradient_penalty:
            mix = torch.rand(len(real), generator=stream(trainer.block, mix_name)).to(real.device)
            penalty = losses.gradient_penalty(lambda x: discriminator(x, conditions).real, real, fake, mix)
            loss_fake = loss_fake + s.loss.gradient_penalty * penalty
    if s.loss.real_and_fake == "separate":
        loss_real.backward()
        loss_fake.backward()
    else:
        (loss_real + loss_fake).backward()
    if signals is not None:
        signals |= _judgement_signals(on_real.real.detach(), on_fake.real.detach())
    return loss_real.item() + loss_fake.item()


def _generator_losses(
    generator: nn.Module,
    discriminator: nn.Module,
    adversarial: losses.Adversarial,
    conditions: Conditions,
    real: Tensor,
    generated: Generated,
    s: TrainingSettings,
) -> dict[str, Tensor]:
    """Return the weighted parts of the generator's loss, by name."""
    judged = discriminator(generated.image, conditions)
    parts = {"adversarial": adversarial.generator(judged.real)}
    if conditions.source is not None and s.loss.l1:
        parts["l1"] = s.loss.l1 * F.l1_loss(generated.image, real)
    if judged.category is not None and conditions.style is not None and s.loss.category:
        parts["category"] = s.loss.category * losses.category(judged.category, conditions.style)
    if generated.code is not None and s.loss.constant:
        code = generator.encode(generated.image)  # type: ignore[operator]
        parts["constant"] = s.loss.constant * F.mse_loss(full_precision(code), full_precision(generated.code))
    return parts


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


def _optimizer(network: nn.Module, o: OptimizerSettings, lr: float) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if o.kind == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=lr, betas=o.betas, weight_decay=o.weight_decay, fused=True)


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network; buffers are copied."""
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for kept, buffer in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(buffer)


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


def _to_range(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 to float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1.0)
