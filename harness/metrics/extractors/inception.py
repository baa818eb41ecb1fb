"""The Inception network of the published FID: 2,048 features, with its own resize and no antialiasing."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import MissingExtraError
from harness.metrics.extractors.feature_id import feature_id_of
from harness.metrics.extractors.weights import published_file

VARIABLE = "GAN_HARNESS_INCEPTION"
"""Environment variable with the path of the weights file."""
PREPROCESSING = "inception-v3-compat; grey repeated to 3; 8 bits; bilinear as TensorFlow 1 to 299x299; (x - 128) / 128"


def weights_file() -> Path:
    """Return the path of the published weights (95.6 MB), fetching them where there is internet.

    Raises:
        MissingExtraError: torch-fidelity or the file is not there; the message says what to install or put where.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    except ImportError as error:
        message = "features 'inception': torch-fidelity is not installed; pip install 'gan-ablation-harness[inception]'"
        raise MissingExtraError(message) from error
    return published_file("features 'inception'", URL_INCEPTION_V3, VARIABLE)


@functools.cache
def network() -> nn.Module:
    """Return the network with its published weights, loaded once per process."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    file = weights_file()
    # torch-fidelity unpickles the file with everything allowed; a file that passes here holds nothing to execute.
    torch.load(file, map_location="cpu", weights_only=True)
    model: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(file))
    return model


@functools.cache
def feature_id() -> str:
    """Return the identity of these features: a hash of weights and preprocessing."""
    return feature_id_of("inception", PREPROCESSING, weights_file())


def features(images: Tensor) -> Tensor:
    """Return features (N, 2048), float32, of images (N, C, H, W) in [0, 1] with 1 or 3 channels."""
    colour = (images * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
    pooled: Tensor = network().to(images.device)(colour)[0]
    return pooled


def logits(pooled: Tensor) -> Tensor:
    """Return class logits (N, 1008) of features (N, 2048), without offsets, as the Inception Score was published."""
    weight: Tensor = network().get_parameter("fc.weight")
    return (pooled.to(weight) @ weight.T).to(pooled.device)
