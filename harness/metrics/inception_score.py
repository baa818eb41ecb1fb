"""Inception Score of generated images: sharp and varied classes, by the published network alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.errors import DataError
from harness.metrics.extractors import inception
from harness.metrics.task import MetricInput
from harness.metrics.value import Value

SPLITS = 10
"""Parts whose scores are averaged (Salimans 2016, arXiv:1606.03498, uses 10 of 5,000)."""


def scores(logits: Tensor, splits: int = SPLITS) -> Tensor:
    """Return exp(E KL(p(y|x) || p(y))) of each part (splits,), from logits (M, classes) in their order."""
    found = []
    for part in torch.tensor_split(logits.to(torch.float64), splits):
        log_p = part.log_softmax(dim=1)
        log_mean = log_p.logsumexp(dim=0) - np.log(len(part))
        found.append((log_p.exp() * (log_p - log_mean)).sum(dim=1).mean().exp())
    return torch.stack(found)


def inception_score(task: MetricInput) -> Value:
    """Return the mean score over 10 random parts of the generated images, at least 1, higher is better.

    Raises:
        DataError: Fewer than 10 images.
    """
    features = task.fake_features()
    if len(features) < SPLITS:
        raise DataError(f"inception_score: {len(features)} generated images; at least {SPLITS} are needed")
    rng = np.random.Generator(np.random.PCG64([task.evaluation.seed, len(features)]))
    logits = inception.logits(features)[rng.permutation(len(features))]
    found = scores(logits)
    error = float(found.std() / SPLITS**0.5)
    return Value(value=float(found.mean()), standard_error=error, evaluation_sd=error)
