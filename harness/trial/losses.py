"""Losses of the generator and the discriminator, on logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Adversarial(NamedTuple):
    """One adversarial loss; each part maps (N,) logits to a scalar that its network minimises."""

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
