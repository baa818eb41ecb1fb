"""Losses of the generator and the discriminator, on logits: a table of adversarial kinds, and tables of weighted terms.

A new term is an entry of `GENERATOR_TERMS`, or of `REAL_TERMS` or `FAKE_TERMS` for the discriminator, with its weight
in `LossSettings`; the training loop does not change.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models import Conditions, Generated, Judgement
from harness.models.layers import full_precision
from harness.study.settings import LossSettings


class Adversarial(NamedTuple):
    """One adversarial loss; each part maps logits of any shape to a scalar mean that its network minimises."""

    real: Callable[[Tensor], Tensor]
    """The discriminator's, on real images."""
    fake: Callable[[Tensor], Tensor]
    """The discriminator's, on generated images."""
    generator: Callable[[Tensor], Tensor]
    """The generator's, on generated images."""


def _bce(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _sigmoid_bce(target: float) -> Callable[[Tensor], Tensor]:
    """The posts' Sigmoid and BCELoss: in float32 its gradient is 0 once the sigmoid has rounded to 0 or 1."""
    return lambda logits: F.binary_cross_entropy(torch.sigmoid(logits), torch.full_like(logits, target))


def _mse(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: (logits - target).square().mean()


ADVERSARIAL: dict[str, Adversarial] = {
    # Goodfellow 2014, arXiv:1406.2661, section 3: the non-saturating form.
    "bce": Adversarial(_bce(1.0), _bce(0.0), _bce(1.0)),
    "sigmoid_bce": Adversarial(_sigmoid_bce(1.0), _sigmoid_bce(0.0), _sigmoid_bce(1.0)),
    # Lim 2017, arXiv:1705.02894.
    "hinge": Adversarial(lambda x: F.relu(1 - x).mean(), lambda x: F.relu(1 + x).mean(), lambda x: -x.mean()),
    # Mao 2016, arXiv:1611.04076.
    "lsgan": Adversarial(_mse(1.0), _mse(0.0), _mse(1.0)),
    # Arjovsky 2017, arXiv:1701.07875; the penalty is `gradient_penalty`.
    "wgan_gp": Adversarial(lambda x: -x.mean(), lambda x: x.mean(), lambda x: -x.mean()),
}


def category(logits: Tensor, style: Tensor) -> Tensor:
    """Return zi2zi's category loss: binary cross-entropy of (N, S) logits against one-hot styles, over all styles."""
    return F.binary_cross_entropy_with_logits(logits, F.one_hot(style, logits.shape[1]).to(logits.dtype))


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Return the mean squared distance of the critic's gradient norm from 1 (Gulrajani 2017, arXiv:1704.00028, eq. 3).

    Args:
        critic: Maps (N, C, H, W) images to (N,) scores.
        real: (N, C, H, W).
        fake: (N, C, H, W), detached.
        mix: (N,) shares of the real image in [0, 1].
    """
    share = mix.view(-1, 1, 1, 1).to(real.dtype)
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    distance: Tensor = gradient.flatten(1).norm(dim=1) - 1
    return distance.square().mean()


@dataclass(frozen=True, eq=False)
class DiscriminatorUpdate:
    """What the discriminator's loss is computed from."""

    discriminator: nn.Module
    conditions: Conditions
    real: Tensor
    """(N, C, S, S)"""
    fake: Tensor
    """(N, C, S, S), detached."""
    on_real: Judgement
    on_fake: Judgement
    kind: str
    """Of the adversarial loss."""
    uniform: Callable[[str], Tensor]
    """(N,) numbers in [0, 1) from the stream of this update and a purpose."""


@dataclass(frozen=True, eq=False)
class GeneratorUpdate:
    """What the generator's loss is computed from."""

    generator: nn.Module
    discriminator: nn.Module
    conditions: Conditions
    real: Tensor
    """(N, C, S, S)"""
    generated: Generated
    kind: str
    """Of the adversarial loss."""
    classifies: bool
    """The discriminator has a head for styles."""

    @functools.cached_property
    def judged(self) -> Judgement:
        """The discriminator's answer, asked for only where a term with a weight needs it."""
        judged: Judgement = self.discriminator(self.generated.image, self.conditions)
        return judged


class Term(NamedTuple):
    """One part of a loss."""

    weight: Callable[[LossSettings], float]
    value: Callable[[Any], Tensor]
    """From the update to a scalar; called only where the term applies and its weight is not 0."""
    applies: Callable[[Any], bool] = lambda _: True
    """Whether these networks and data have what the term needs."""


def weighted(terms: Mapping[str, Term], update: object, settings: LossSettings) -> dict[str, Tensor]:
    """Return each term that applies and has a weight, times its weight, by name."""
    return {
        name: weight * term.value(update)
        for name, term in terms.items()
        if term.applies(update) and (weight := term.weight(settings))
    }


def _constant(update: GeneratorUpdate) -> Tensor:
    """zi2zi's constant loss: the generated image has the source's code."""
    code = update.generator.encode(update.generated.image)  # type: ignore[operator]
    assert update.generated.code is not None
    return F.mse_loss(full_precision(code), full_precision(update.generated.code))


def _penalty(update: DiscriminatorUpdate) -> Tensor:
    def critic(images: Tensor) -> Tensor:
        judged: Judgement = update.discriminator(images, update.conditions)
        return judged.scores

    return gradient_penalty(critic, update.real, update.fake, update.uniform("penalty"))


def _classified(update: DiscriminatorUpdate) -> bool:
    return update.on_real.category is not None and update.conditions.style is not None


GENERATOR_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda s: s.adversarial, lambda u: ADVERSARIAL[u.kind].generator(u.judged.real)),
    "l1": Term(
        lambda s: s.l1,
        lambda u: F.l1_loss(u.generated.image, u.real),
        lambda u: u.conditions.source is not None,
    ),
    "category": Term(
        lambda s: s.category,
        lambda u: category(u.judged.category, u.conditions.style),
        lambda u: u.classifies and u.conditions.style is not None,
    ),
    "constant": Term(lambda s: s.constant, _constant, lambda u: u.generated.code is not None),
}
"""What the generator minimises the sum of."""

REAL_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda _: 1.0, lambda u: ADVERSARIAL[u.kind].real(u.on_real.real)),
    "category": Term(lambda s: s.category / 2, lambda u: category(u.on_real.category, u.conditions.style), _classified),
}
"""What the discriminator minimises the sum of, of real images; zi2zi halves its category loss."""

FAKE_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda _: 1.0, lambda u: ADVERSARIAL[u.kind].fake(u.on_fake.real)),
    "category": Term(lambda s: s.category / 2, lambda u: category(u.on_fake.category, u.conditions.style), _classified),
    "penalty": Term(lambda s: s.gradient_penalty, _penalty, lambda u: u.kind == "wgan_gp"),
}
"""The same, of generated images and of what lies between both."""
