"""Training, readable top to bottom: tensors in, progress out; it touches no files and prints nothing."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from harness import plugins
from harness.errors import HarnessError
from harness.models import Conditions, Generated, Judgement
from harness.randomness import stream
from harness.study.training_settings import LossSettings
from harness.trial import losses
from harness.trial.adaptive_augment import AdaptiveAugment
from harness.trial.image_changes import shown
from harness.trial.trainer import Progress, Trainer


def train(trainer: Trainer, *, log_every: int = 1) -> Iterator[Progress]:
    """Train to the last step, from the step that the trainer is at, by the loop that its settings name.

    Args:
        trainer: Changed in place.
        log_every: Signals are computed on each step that this divides, and on the last.

    Yields:
        The progress of every step. The caller decides what to measure, and when to stop.

    Raises:
        ValueError: No part of the generator's loss has a weight.
        HarnessError: A loop of a user's own does not keep the contract.
    """
    trainer.log_every = log_every
    for network in trainer.pair.networks().values():
        network.train()
    kind = trainer.settings.kind
    return gan(trainer) if kind == "gan" else _own(kind, trainer)


def _own(door: str, trainer: Trainer) -> Iterator[Progress]:
    """Train by a loop of a user's own, looking that it keeps the contract."""
    steps = trainer.settings.steps
    loop: Iterable[object] = plugins.call(door, Iterator, trainer=trainer, **trainer.settings.options)  # type: ignore[type-abstract]
    for progress in loop:
        if not isinstance(progress, Progress):
            what = type(progress).__name__
            raise HarnessError(f"{door}: yielded a {what} at step {trainer.step}; yield trainer.done(loss_g=…)")
        yield progress
    if trainer.step < steps:
        raise HarnessError(f"{door}: ended after {trainer.step} of {steps} steps; loop over trainer.steps()")


def gan(trainer: Trainer) -> Iterator[Progress]:
    """Train a generator against a discriminator.

    A step is zi2zi's: the discriminator's updates, then the generator's, the first of which reuses the images that the
    discriminator saw. Each further discriminator step takes a batch of its own.

    Args:
        trainer: Changed in place.

    Yields:
        The progress of every step.

    Raises:
        ValueError: No part of the generator's loss has a weight.
    """
    s = trainer.settings
    generator, discriminator = trainer.pair.generator, trainer.pair.discriminator
    precision = trainer.precision()
    adaptive = None
    if s.adaptive_augment.policy != "none":
        adaptive = trainer.keep("adaptive_augment", AdaptiveAugment(s.adaptive_augment, s.loss, trainer.device))
    for step in trainer.steps():
        signals: dict[str, float] = {}
        for turn in range(s.discriminator_steps):
            conditions, real = trainer.next_batch(turn, s.discriminator_steps)
            last = turn + 1 == s.discriminator_steps
            with precision, contextlib.nullcontext() if last else torch.no_grad():
                generated: Generated = generator(conditions)
            trainer.optimizer_d.zero_grad()
            with precision:
                judged = _discriminator_update(
                    trainer, conditions, real, generated.image.detach(), f"{step}/{turn}", adaptive
                )
            if adaptive is not None:
                adaptive.see(judged.on_real.real)
            loss_d = _discriminator_backward(judged, s.loss, precision)
            clip(discriminator, s.gradient_clip)
            trainer.optimizer_d.step()
        if trainer.logging:
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
                            s.loss,
                            classifies=judged.on_real.category is not None,
                            aligned=trainer.split.aligned,
                            shown=_shown(trainer, f"{step}/generator/{turn}", adaptive),
                        ),
                        s.loss,
                    )
                if not parts:
                    raise ValueError(
                        "training.loss: no part of the generator's loss has a weight, so there is nothing to learn "
                        "from; give adversarial, l1, category, constant or feature_matching one"
                    )
                loss_g = torch.stack(list(parts.values())).sum()
                trainer.optimizer_g.zero_grad()
                loss_g.backward()
                clip(generator, s.gradient_clip)
                trainer.optimizer_g.step()
        if trainer.logging:
            signals |= {f"loss_{name}": value.item() for name, value in parts.items()}
            signals |= {
                "gradient_norm_g": _gradient_norm(generator),
                "gradient_norm_d": _gradient_norm(discriminator),
                "saturation": (generated.image.detach().abs() > 0.98).float().mean().item(),
            }
            if adaptive is not None:
                signals |= adaptive.signals()
        if adaptive is not None:
            adaptive.end_step()
        yield trainer.done(loss_g=loss_g, loss_d=loss_d, signals=signals)


def _shown(
    trainer: Trainer, turn: str, adaptive: AdaptiveAugment | None
) -> Callable[[Tensor, Conditions, str], tuple[Tensor, Conditions]]:
    """Return how the discriminator sees the images of one update."""
    share = trainer.step / trainer.settings.steps
    probability = None if adaptive is None else adaptive.probability

    def show(images: Tensor, conditions: Conditions, kind: str) -> tuple[Tensor, Conditions]:
        return shown(
            images,
            conditions,
            trainer.settings,
            share,
            kind,
            lambda purpose: stream(trainer.block, f"{purpose}/{turn}"),
            probability,
        )

    return show


def _discriminator_update(
    trainer: Trainer, conditions: Conditions, real: Tensor, fake: Tensor, turn: str, adaptive: AdaptiveAugment | None
) -> losses.DiscriminatorUpdate:
    """Ask the discriminator about real and generated images, apart or in one batch."""
    s, discriminator = trainer.settings, trainer.pair.discriminator
    show = _shown(trainer, turn, adaptive)
    fake, _ = show(fake, conditions, "fake")
    real, conditions = show(real, conditions, "real")
    if s.loss.real_and_fake == "concat":
        together: Judgement = discriminator(torch.cat([real, fake]), conditions.map(lambda x: torch.cat([x, x])))
        n = len(real)
        on_real, on_fake = together.map(lambda x: x[:n]), together.map(lambda x: x[n:])
    else:
        on_real, on_fake = discriminator(real, conditions), discriminator(fake, conditions)

    def uniform(purpose: str) -> Tensor:
        return torch.rand(len(real), generator=stream(trainer.block, f"{purpose}/{turn}")).to(real.device)

    return losses.DiscriminatorUpdate(
        discriminator, conditions, real, fake, on_real, on_fake, s.loss, trainer.step, uniform=uniform
    )


def _discriminator_backward(
    update: losses.DiscriminatorUpdate, settings: LossSettings, precision: torch.autocast
) -> Tensor:
    """Leave the gradients of the discriminator's loss on its parameters and return the loss, in float64."""
    with precision:
        loss_real, loss_fake = (
            functools.reduce(torch.add, losses.weighted(terms, update, settings).values())
            for terms in (losses.REAL_TERMS, losses.FAKE_TERMS)
        )
    # Relativistic losses are of one graph: each depends on real and generated images.
    if settings.real_and_fake == "separate" and not settings.relativistic:
        loss_real.backward()
        loss_fake.backward()
    else:
        (loss_real + loss_fake).backward()
    return loss_real.detach().double() + loss_fake.detach().double()


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


def clip(network: nn.Module, norm: float) -> None:
    """Scale all gradients of a network together down to a norm; 0 leaves them."""
    if norm:
        torch.nn.utils.clip_grad_norm_(network.parameters(), norm)


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
