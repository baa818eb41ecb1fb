"""SSIM between each generated image and its target, with scikit-image in the settings of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.metrics import structural_similarity
from torch import Tensor

from harness.errors import DataError
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

SETTINGS = {
    "data_range": 1.0,
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
    "channel_axis": 0,
}
"""Wang 2004, doi:10.1109/TIP.2003.819861, section III-C: K1 = 0.01 and K2 = 0.03 are scikit-image's own."""
WINDOW = 11


def require_window(name: str, images: Tensor) -> None:
    """Refuse images (N, C, H, W) that the 11 x 11 window does not fit into.

    Raises:
        DataError: Images smaller than the window.
    """
    height, width = images.shape[-2:]
    if min(height, width) < WINDOW:
        raise DataError(f"{name}: images of {height} x {width} pixels; at least {WINDOW} x {WINDOW} are needed")


def ssim_each(left: Tensor, right: Tensor) -> np.ndarray[Any, Any]:
    """Return the SSIM (N,) of image pairs (N, C, H, W) in [0, 1], averaged over channels; higher is better.

    SSIM changes when both images are shifted or scaled: a pair on [-1, 1] with ``data_range=2`` has another value.

    Raises:
        DataError: Images smaller than the 11 x 11 window.
    """
    require_window("ssim", left)
    a, b = left.double().cpu().numpy(), right.double().cpu().numpy()
    return np.array([structural_similarity(x, y, **SETTINGS) for x, y in zip(a, b, strict=True)])


def ssim(task: MetricInput) -> Value:
    """Return the mean SSIM over pairs, in [-1, 1], higher is better."""
    return averaged(ssim_each(task.evaluation.real, task.evaluation.fake))
