"""Diversity of generated images: how alike two of them are."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from harness.errors import DataError
from harness.metrics.array_cache import kept
from harness.metrics.ssim import ssim_each
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value


def alikeness(images: Tensor, seed: int) -> np.ndarray[Any, Any]:
    """Return the SSIM (N // 2,) of disjoint random pairs of images (N, C, H, W) in [0, 1].

    Disjoint pairs are independent of each other, so the error of their mean is the plain one.
    """
    order = np.random.Generator(np.random.PCG64([seed, len(images)])).permutation(len(images))
    half = len(images) // 2
    return ssim_each(images[order[:half]], images[order[half : 2 * half]])


def ssim_diversity(task: MetricInput) -> Value:
    """Return the mean SSIM of pairs of generated images, in [-1, 1], lower is better down to the floor.

    The floor is the same of the real images. At 1 all images are one.

    Raises:
        DataError: Fewer than two images.
    """
    evaluation = task.evaluation
    if min(len(evaluation.fake), len(evaluation.real)) < 2:
        raise DataError(f"ssim_diversity: {len(evaluation.fake)} generated images; at least 2 are needed")
    key = ("ssim_diversity 1", task.real_id(), tuple(evaluation.real.shape), evaluation.seed)
    real = kept(evaluation.cache, key, lambda: {"each": alikeness(evaluation.real, evaluation.seed)})["each"]
    fake = averaged(alikeness(evaluation.fake, evaluation.seed))
    return Value(
        value=fake.value,
        floor=float(real.mean()),
        standard_error=fake.standard_error,
        evaluation_sd=fake.evaluation_sd,
    )
