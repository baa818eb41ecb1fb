"""LPIPS: perceptual distance between each generated image and its target."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.metrics.extractors.feature_id import feature_id_of
from harness.metrics.extractors.weights import published_file
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

SMALLEST = 64
"""Images are enlarged to this side: AlexNet's strides leave one position of a smaller one."""
PREPROCESSING = f"lpips 0.1 alex; grey repeated to 3; bilinear up to {SMALLEST} if smaller; [-1, 1]"


def weights_file() -> Path:
    """Return the path of torchvision's AlexNet (233 MB), fetching it where there is internet.

    Raises:
        MissingExtraError: The file is not there; the message says what to put where.
    """
    from torchvision.models import AlexNet_Weights

    return published_file("lpips", AlexNet_Weights.IMAGENET1K_V1.url)


@functools.cache
def network() -> nn.Module:
    """Return LPIPS with its published linear heads on torchvision's AlexNet, loaded once per process.

    Raises:
        MissingExtraError: AlexNet's weights are not there; the message says what to put where.
    """
    import lpips as package

    file = weights_file()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model: nn.Module = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(file, map_location="cpu", weights_only=True)
    trunk = {name: value for name, value in model.state_dict().items() if name.startswith("net.slice")}
    model.load_state_dict({name: state["features." + name.split(".", 2)[2]] for name in trunk}, strict=False)
    return model.eval()


def lpips_each(left: Tensor, right: Tensor) -> np.ndarray[Any, Any]:
    """Return the LPIPS distance (N,) of image pairs (N, C, H, W) in [0, 1]; lower is better."""
    size = [max(side, SMALLEST) for side in left.shape[-2:]]
    model = network().to(left.device)
    found = []
    for pair in zip(left.split(32), right.split(32), strict=True):
        colour = [images.expand(-1, 3, -1, -1) * 2 - 1 for images in pair]
        if size != list(left.shape[-2:]):
            colour = [F.interpolate(images, size, mode="bilinear", align_corners=False) for images in colour]
        found.append(model(*colour).flatten().double().cpu())
    distances: np.ndarray[Any, Any] = torch.cat(found).numpy()
    return distances


def lpips(task: MetricInput) -> Value:
    """Return the mean LPIPS distance over pairs, at least 0, lower is better."""
    evaluation = task.evaluation
    mean = averaged(lpips_each(evaluation.real.to(evaluation.device), evaluation.fake.to(evaluation.device)))
    feature_id = feature_id_of("lpips", PREPROCESSING, weights_file())
    return Value(
        value=mean.value,
        standard_error=mean.standard_error,
        evaluation_sd=mean.evaluation_sd,
        feature_id=feature_id,
    )
