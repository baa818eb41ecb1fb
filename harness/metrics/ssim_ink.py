"""SSIM within the strokes: white background, equal in all images, cannot hide a wrong glyph."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity
from torch import Tensor

from harness.metrics.ssim import SETTINGS, require_window
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

CONTRAST = 0.25
"""Ink differs by more than this from the background, the median of the image's outermost pixels."""
MARGIN = 2
"""Pixels around the ink that belong to it."""


def ink(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where (H, W) an image (C, H, W) in [0, 1] has ink, with a margin of 2 pixels."""
    rim = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], axis=1)
    strokes = (np.abs(image - np.median(rim, axis=1)[:, None, None]) > CONTRAST).any(axis=0)
    grown: np.ndarray[Any, Any] = ndimage.binary_dilation(strokes, iterations=MARGIN)
    return grown


def ssim_ink_each(left: Tensor, right: Tensor) -> np.ndarray[Any, Any]:
    """Return the SSIM (N,) of image pairs (N, C, H, W) in [0, 1], averaged over the ink of either image.

    A pair without any ink is averaged over the whole image.

    Raises:
        DataError: Images smaller than the 11 x 11 window.
    """
    require_window("ssim_ink", left)
    values = []
    for a, b in zip(left.double().cpu().numpy(), right.double().cpu().numpy(), strict=True):
        where = ink(a) | ink(b)
        similarity = structural_similarity(a, b, full=True, **SETTINGS)[1].mean(axis=0)
        values.append(similarity[where].mean() if where.any() else similarity.mean())
    return np.array(values)


def ssim_ink(task: MetricInput) -> Value:
    """Return the mean SSIM over the ink of pairs, in [-1, 1], higher is better."""
    return averaged(ssim_ink_each(task.evaluation.real, task.evaluation.fake))
