"""How a training is doing beside its metrics: looked at where a trial is measured, without touching its state."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.models import Conditions
from harness.models.alignment import named_weights

JUDGED = 64
"""Images of each kind that the discriminator judges for its signals."""


@torch.no_grad()
def layer_norms(network: nn.Module) -> dict[str, float]:
    """Return the largest singular value of each weight matrix of a network, as it is stored.

    Spectral norm divides by its own estimate of this number. Convolutions count as (outputs, everything else).
    """
    return {
        f"sigma_{name.removesuffix('.weight')}": torch.linalg.matrix_norm(weight.flatten(1).double(), 2).item()
        for name, weight in named_weights(network)
        if name.endswith("weight") and weight.ndim > 1
    }


@torch.no_grad()
def overfitting(
    discriminator: nn.Module, train: tuple[Conditions, Tensor], heldout: tuple[Conditions, Tensor], fake: Tensor
) -> dict[str, float]:
    """Return the mean logits on training, held-out and generated images, and how far the discriminator memorises.

    `overfitting` is (D(train) - D(held-out)) / (D(train) - D(fake)): 0 when unseen real images look as real as those it
    was trained on, 1 when they look as false as generated ones (Karras 2020, arXiv:2006.06676, eq. 1).

    Args:
        discriminator: Judges in evaluation mode; its mode is left as it was.
        train: Conditions and (N, C, S, S) real images of training items.
        heldout: The same of held-out items.
        fake: (M, C, S, S) generated for the held-out conditions.
    """
    was_training = discriminator.training
    discriminator.eval()
    kinds = {"d_train": (train[1], train[0]), "d_heldout": (heldout[1], heldout[0]), "d_generated": (fake, heldout[0])}
    logits = {}
    for name, (images, conditions) in kinds.items():
        first = slice(min(JUDGED, len(images), conditions.batch))
        logits[name] = discriminator(images[first], conditions.map(operator.itemgetter(first))).real.mean().item()
    discriminator.train(was_training)
    gap = logits["d_train"] - logits["d_generated"]
    share = (logits["d_train"] - logits["d_heldout"]) / gap if gap else math.nan
    return {**{f"{name}_logit": value for name, value in logits.items()}, "overfitting": share}


def diversity(images: Tensor, count: int = 32) -> float:
    """Return the mean absolute difference between pairs of the first images, on [-1, 1]; higher is more varied."""
    flat = images[:count].flatten(1).double()
    return torch.pdist(flat, p=1).mean().item() / flat.shape[1] if len(flat) > 1 else math.nan


def oscillation(losses: Sequence[float]) -> float | None:
    """Return how restless a loss is: the standard deviation of its changes over its mean size.

    Args:
        losses: Logged values, in order; fewer than three have no oscillation.
    """
    if len(losses) < 3:
        return None
    values = torch.tensor(losses, dtype=torch.float64)
    return (values.diff().std() / (values.abs().mean() + 1e-12)).item()
