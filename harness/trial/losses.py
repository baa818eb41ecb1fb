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
from harness.study.training_settings import LossSettings


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
    """The posts' Sigmoid and BCELoss: in float32 its gradient is 0 once the sigmoid has rounded to 0 or 1.

    Under autocast torch refuses it on CUDA, as half precision would round sooner; it is computed without.
    """

    def loss(logits: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            whole = full_precision(logits)
            return F.binary_cross_entropy(torch.sigmoid(whole), torch.full_like(whole, target))

    return loss


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

SMOOTHED = {"bce": _bce, "sigmoid_bce": _sigmoid_bce, "lsgan": _mse}
"""The discriminator's loss on real images that are to be judged less than 1, by kind of loss and then the target."""

# Jolicoeur-Martineau 2018, arXiv:1807.00734, appendix A: a difference of logits is to be large, or small.
RELATIVISTIC = {
    **{kind: (parts.real, parts.fake) for kind, parts in ADVERSARIAL.items()},
    "lsgan": (_mse(1.0), _mse(-1.0)),
}
"""Losses of a logit that is to be above the mean of the other kind, and of one that is to be below, by kind."""


def category(logits: Tensor, style: Tensor) -> Tensor:
    """Return zi2zi's category loss: binary cross-entropy of (N, S) logits against one-hot styles, over all styles."""
    styles = torch.arange(logits.shape[1], device=logits.device)  # F.one_hot looks at its values: a GPU is waited for
    return F.binary_cross_entropy_with_logits(logits, (style[:, None] == styles).to(logits.dtype))


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


def squared_gradient(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the mean squared norm of the critic's gradient at (N, C, H, W) images (Mescheder 2018, eq. 9 and 10)."""
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


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
    settings: LossSettings
    step: int
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
    settings: LossSettings
    classifies: bool
    """The discriminator has a head for styles."""
    aligned: bool = True
    """A source is that of the real image at its place."""
    shown: Callable[[Tensor, Conditions, str], tuple[Tensor, Conditions]] = lambda images, conditions, _: (
        images,
        conditions,
    )
    """How the discriminator sees images, `real` or `fake`."""

    @functools.cached_property
    def judged(self) -> Judgement:
        """The discriminator's answer, asked for only where a term with a weight needs it."""
        judged: Judgement = self.discriminator(*self.shown(self.generated.image, self.conditions, "fake"))
        return judged

    @functools.cached_property
    @torch.no_grad()
    def judged_real(self) -> Judgement:
        """The same about the real images."""
        judged: Judgement = self.discriminator(*self.shown(self.real, self.conditions, "real"))
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


def _critic(update: DiscriminatorUpdate) -> Callable[[Tensor], Tensor]:
    def critic(images: Tensor) -> Tensor:
        judged: Judgement = update.discriminator(images, update.conditions)
        return judged.scores

    return critic


def _penalty(update: DiscriminatorUpdate) -> Tensor:
    return gradient_penalty(_critic(update), update.real, update.fake, update.uniform("penalty"))


def _due(update: DiscriminatorUpdate, weight: float) -> bool:
    """Return whether a lazy penalty with a weight is taken at this step."""
    return weight > 0 and update.step % update.settings.penalty_every == 0


def _on_real(update: DiscriminatorUpdate) -> Tensor:
    s, logits = update.settings, update.on_real.real
    if s.relativistic:
        return RELATIVISTIC[s.kind][0](logits - update.on_fake.real.mean())
    if s.kind in SMOOTHED and s.smoothing:
        return SMOOTHED[s.kind](1 - s.smoothing)(logits)
    return ADVERSARIAL[s.kind].real(logits)


def _on_fake(update: DiscriminatorUpdate) -> Tensor:
    s, logits = update.settings, update.on_fake.real
    if s.relativistic:
        return RELATIVISTIC[s.kind][1](logits - update.on_real.real.mean())
    return ADVERSARIAL[s.kind].fake(logits)


def _of_generator(update: GeneratorUpdate) -> Tensor:
    s, logits = update.settings, update.judged.real
    if not s.relativistic:
        return ADVERSARIAL[s.kind].generator(logits)
    real = update.judged_real.real
    above, below = RELATIVISTIC[s.kind]
    return above(logits - real.mean()) + below(real - logits.mean())


def _matched_features(update: GeneratorUpdate) -> Tensor:
    """Salimans 2016, arXiv:1606.03498, section 3.1."""
    features: Callable[..., Tensor] = update.discriminator.features  # type: ignore[assignment]
    with torch.no_grad():
        wanted = full_precision(features(*update.shown(update.real, update.conditions, "real"))).mean(0)
    given = full_precision(features(*update.shown(update.generated.image, update.conditions, "fake"))).mean(0)
    return F.mse_loss(given, wanted)


def _classified(update: DiscriminatorUpdate) -> bool:
    return update.on_real.category is not None and update.conditions.style is not None


GENERATOR_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda s: s.adversarial, _of_generator),
    "l1": Term(
        lambda s: s.l1,
        lambda u: F.l1_loss(u.generated.image, u.real),
        lambda u: u.conditions.source is not None and u.aligned,
    ),
    "category": Term(
        lambda s: s.category,
        lambda u: category(u.judged.category, u.conditions.style),
        lambda u: u.classifies and u.conditions.style is not None,
    ),
    "constant": Term(lambda s: s.constant, _constant, lambda u: u.generated.code is not None),
    "features": Term(
        lambda s: s.feature_matching,
        _matched_features,
        lambda u: callable(getattr(u.discriminator, "features", None)),
    ),
}
"""What the generator minimises the sum of."""

REAL_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda _: 1.0, _on_real),
    "category": Term(lambda s: s.category / 2, lambda u: category(u.on_real.category, u.conditions.style), _classified),
    "r1": Term(
        lambda s: s.r1 / 2 * s.penalty_every,
        lambda u: squared_gradient(_critic(u), u.real),
        lambda u: _due(u, u.settings.r1),
    ),
}
"""What the discriminator minimises the sum of, of real images; zi2zi halves its category loss."""

FAKE_TERMS: dict[str, Term] = {
    "adversarial": Term(lambda _: 1.0, _on_fake),
    "category": Term(lambda s: s.category / 2, lambda u: category(u.on_fake.category, u.conditions.style), _classified),
    "penalty": Term(lambda s: s.gradient_penalty, _penalty, lambda u: u.settings.kind == "wgan_gp"),
    "r2": Term(
        lambda s: s.r2 / 2 * s.penalty_every,
        lambda u: squared_gradient(_critic(u), u.fake),
        lambda u: _due(u, u.settings.r2),
    ),
}
"""The same, of generated images and of what lies between both."""
