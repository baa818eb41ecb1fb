"""Layers that the networks share: activations, norms, the fixed blur, dropout with named masks, skip attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.randomness import seed_for
from harness.study.network_settings import Activation, Norm


def activation(kind: Activation) -> nn.Module:
    """Return ReLU, or LeakyReLU of slope 0.2 as in DCGAN and zi2zi."""
    return nn.LeakyReLU(0.2) if kind == "leaky_relu" else nn.ReLU()


def full_precision(x: Tensor) -> Tensor:
    """Return what autocast left in half precision as float32; float64 stays, so that proofs see all its digits."""
    return x if x.dtype == torch.float64 else x.float()


def norm(kind: Norm, channels: int) -> nn.Module:
    """Return the norm layer of (N, channels, H, W) maps; `layer` normalises over channels and space together."""
    match kind:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return nn.InstanceNorm2d(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "none":
            return nn.Identity()


def gaussian_kernel(size: int, sigma: float) -> Tensor:
    """Return the (size,) float64 samples of a Gaussian, centred, with sum 1; sigma 0 is the unit impulse."""
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    if sigma <= 0:
        return (x == 0).double()
    weights = torch.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()


def _reflect(x: Tensor, pad: int, dim: int) -> Tensor:
    """Reflect `pad` rows at both ends of a dimension, by slices and flips: deterministic on CUDA too."""
    size = x.shape[dim]
    head = x.narrow(dim, 1, pad).flip(dim)
    tail = x.narrow(dim, size - 1 - pad, pad).flip(dim)
    return torch.cat([head, x, tail], dim)


class GaussianBlur(nn.Module):
    """A fixed Gaussian blur of (N, C, H, W) maps that draws nothing at random.

    Equal to torchvision's `GaussianBlur` for a fixed sigma, whose forward advances the global random stream on every
    call. Kernel size 1 returns its input.
    """

    def __init__(self, kernel_size: int, sigma: float, fade: float = 0.0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.sigma = sigma
        self.fade = fade
        self.kernel: Tensor
        self.register_buffer("kernel", gaussian_kernel(kernel_size, sigma).float(), persistent=False)

    def extra_repr(self) -> str:
        """Return all that decides what the layer does."""
        return f"{self.kernel_size}, sigma={self.sigma:g}, fade={self.fade:g}"

    def begin(self, share: float) -> None:
        """Set sigma for a share of the training, in [0, 1): it shrinks to nothing over the share `fade`."""
        if self.fade:
            self.kernel.copy_(gaussian_kernel(self.kernel_size, self.sigma * max(0.0, 1 - share / self.fade)).float())

    def forward(self, x: Tensor) -> Tensor:
        """Blur each channel, with reflected borders.

        Raises:
            ValueError: The map is too small to be reflected.
        """
        if self.kernel_size == 1:
            return x
        pad = self.kernel_size // 2
        if min(x.shape[-2:]) <= pad:
            raise ValueError(
                f"a blur of kernel size {self.kernel_size} needs maps of at least {pad + 1}x{pad + 1}, "
                f"got {x.shape[-2]}x{x.shape[-1]}"
            )
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype)
        column = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        row = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        x = F.conv2d(_reflect(x, pad, 2), column, groups=channels)
        return F.conv2d(_reflect(x, pad, 3), row, groups=channels)


class MinibatchStd(nn.Module):
    """A further map with how much the images of a group differ (Karras 2018, arXiv:1710.10196, section 3)."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W): the standard deviation over a group, averaged over channels and places."""
        size = self.group if len(x) % self.group == 0 else len(x)
        groups = x.reshape(-1, size, *x.shape[1:])
        spread = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        maps = spread.repeat_interleave(size).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])
        return torch.cat([x, maps], 1)


class MatchedDropout(nn.Module):
    """Dropout whose masks come from a stream of the block and the layer's name, begun anew at every step."""

    def __init__(self, probability: float, name: str) -> None:
        super().__init__()
        self.probability = probability
        self.name = name
        self.source = torch.Generator()

    def begin(self, block: str, step: int) -> None:
        """Start the stream of this layer at one step; later calls within the step go on along it."""
        self.source.manual_seed(seed_for(block, f"dropout/{self.name}/{step}"))

    def forward(self, x: Tensor) -> Tensor:
        """Zero each element with the layer's probability and scale the rest, in training mode only."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        mask = torch.empty(x.shape).bernoulli_(keep, generator=self.source)
        return x * mask.div_(keep).to(device=x.device, dtype=x.dtype)


class AttentionGate(nn.Module):
    """An additive attention gate on a skip connection (Oktay 2018, arXiv:1804.03999, eq. 1-2)."""

    def __init__(self, skip_channels: int, gate_channels: int) -> None:
        super().__init__()
        inner = max(skip_channels // 2, 1)
        self.skip = nn.Conv2d(skip_channels, inner, 1)
        self.gate = nn.Conv2d(gate_channels, inner, 1)
        self.score = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Weigh each place of the skip, (N, C, H, W), by the decoder's map of the same size."""
        return skip * torch.sigmoid(self.score(torch.relu(self.skip(skip) + self.gate(gate))))
