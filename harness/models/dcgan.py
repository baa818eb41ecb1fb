"""DCGAN's generator and discriminator (Radford 2015, arXiv:1511.06434), in the layers of post 004."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from harness.models.contract import Conditions, Generated, Judgement, Tail
from harness.models.layers import MinibatchStd, activation, full_precision, norm
from harness.models.zi2zi import blur_at
from harness.study.network_settings import DcganDiscriminatorSettings, DcganGeneratorSettings


class DcganGenerator(nn.Module):
    """Draw (N, C, S, S) images from (N, Z) latents: 1x1 to 4x4, then doublings up to S."""

    def __init__(self, settings: DcganGeneratorSettings, *, image_size: int, channels: int) -> None:
        super().__init__()
        s = settings
        doublings = image_size.bit_length() - 3
        if doublings < 1:
            raise ValueError(
                f"DCGAN starts from 4x4 maps: images of {image_size} px are too small; 8 px or more are not"
            )
        widths = [s.channels * 2**i for i in reversed(range(doublings))] + [channels]
        bias = s.norm == "none"
        self.convs = nn.ModuleDict({"conv1": nn.ConvTranspose2d(s.latent, widths[0], 4, 1, 0, bias=bias)})
        self.norms = nn.ModuleDict({"conv1": norm(s.norm, widths[0])})
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=2):
            last = index == doublings + 1
            self.convs[f"conv{index}"] = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)
            self.norms[f"conv{index}"] = nn.Identity() if last and not s.last_norm else norm(s.norm, outputs)
        self.activation = activation(s.activation)

    def forward(self, conditions: Conditions) -> Generated:
        """Return images in [-1, 1]."""
        if conditions.latent is None:
            raise ValueError("DCGAN draws from latents and got none")
        x = conditions.latent[:, :, None, None]
        *hidden, last = self.convs
        for name in hidden:
            x = self.activation(self.norms[name](self.convs[name](x)))
        return Generated(torch.tanh(full_precision(self.norms[last](self.convs[last](x)))))


class DcganDiscriminator(nn.Module):
    """Judge (N, C, S, S) images: halvings down to 4x4, then one logit."""

    def __init__(self, settings: DcganDiscriminatorSettings, *, image_size: int, channels: int) -> None:
        super().__init__()
        s = settings
        halvings = image_size.bit_length() - 3
        if halvings < 1:
            raise ValueError(f"DCGAN ends in 4x4 maps: images of {image_size} px are too small; 8 px or more are not")
        widths = [channels] + [s.channels * 2**i for i in range(halvings)]
        bias = s.norm == "none"
        self.blur_input = blur_at(s.blur, "input")
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.blurs = nn.ModuleDict()
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
            self.convs[f"conv{index}"] = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias)
            self.norms[f"conv{index}"] = nn.Identity() if index == 1 else norm(s.norm, outputs)
            self.blurs[f"conv{index}"] = blur_at(s.blur, "hidden")
        self.activation = activation(s.activation)
        self.blur_features = blur_at(s.blur, "features")
        self.minibatch_std: nn.Module = MinibatchStd(s.minibatch_std) if s.minibatch_std else nn.Identity()
        self.final = nn.Conv2d(widths[-1] + bool(s.minibatch_std), 1, 4, 1, 0, bias=bias)
        self.blur_output = blur_at(s.blur, "output")
        self.normalised = frozenset(f"convs.conv{i}" for i in range(2, halvings + 1) if s.norm in ("batch", "instance"))

    @property
    def tail(self) -> Tail:
        """What follows the hidden layers; the last convolution covers its whole map, and so is a linear head."""
        return Tail({"the blur of the features": self.blur_features}, {"the final conv": self.final})

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002 - the contract's signature
        """Return one logit per image."""
        x = self.blur_input(image)
        for name, conv in self.convs.items():
            x = self.blurs[name](self.activation(self.norms[name](conv(x))))
        (head,) = self.tail.heads.values()
        return Judgement(full_precision(self.blur_output(head(self.tail.through(self.minibatch_std(x)))).flatten()))
