"""Multi-scale SSIM between each generated image and its target, by torchmetrics."""

from __future__ import annotations

import numpy as np

from harness.errors import DataError
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

SMALLEST = 161
"""The 11 x 11 window must fit after four halvings."""


def ms_ssim(task: MetricInput) -> Value:
    """Return the mean multi-scale SSIM over pairs, in [0, 1], higher is better.

    Raises:
        DataError: Images of 160 pixels or fewer.
    """
    real, fake = task.evaluation.real, task.evaluation.fake
    height, width = real.shape[-2:]
    if min(height, width) < SMALLEST:
        raise DataError(f"ms_ssim: images of {height} x {width} pixels; at least {SMALLEST} are needed, or take ssim")
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as similarity

    each = [
        float(similarity(fake[i : i + 1].double(), real[i : i + 1].double(), data_range=1.0)) for i in range(len(real))
    ]
    return averaged(np.array(each))
