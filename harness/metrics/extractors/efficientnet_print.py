"""EfficientNet-Lite0 features of images in print: what is nearly paper is paper, what is nearly ink is ink."""

from __future__ import annotations

import functools

from torch import Tensor

from harness.metrics.extractors import efficientnet
from harness.metrics.extractors.feature_id import feature_id_of

INK, PAPER = 0.1, 0.9
"""Tones at and below which ink is full, and at and above which paper is bare."""
PREPROCESSING = f"tones {INK} to {PAPER} stretched to 0 to 1 and clamped; {efficientnet.PREPROCESSING}"


def printed(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [0, 1] as print shows them: clamped to ink and paper, linear in between."""
    return ((images - INK) / (PAPER - INK)).clamp(0, 1)


@functools.cache
def feature_id() -> str:
    """Return the identity of these features: a hash of weights and preprocessing."""
    return feature_id_of("efficientnet_print", PREPROCESSING, efficientnet.weights_file())


def features(images: Tensor) -> Tensor:
    """Return features (N, 1280), float32, of images (N, C, H, W) in [0, 1] with 1 or 3 channels."""
    return efficientnet.features(printed(images))
