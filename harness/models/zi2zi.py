"""zi2zi's discriminator, with the blur, final conv and spectral norm of posts 000 to 002 as settings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.models.contract import Conditions, Judgement, Tail
from harness.models.layers import GaussianBlur, MinibatchStd, activation, full_precision, norm
from harness.study.network_settings import BlurSettings, Zi2ziDiscriminatorSettings


def blur_at(blur: BlurSettings, position: str) -> nn.Module:
    """Return the blur where the settings put it, and nothing elsewhere."""
    return GaussianBlur(blur.kernel_size, blur.sigma, blur.fade) if blur.position == position else nn.Identity()


class Zi2ziDiscriminator(nn.Module):
    """Judge (source, image) pairs: real or fake, and of which style.

    The layers are those of zi2zi-pytorch (EuphoriaYan/zi2zi-pytorch @0e9f3dd): 5x5 convolutions of strides 2, 2, 2, 1,
    a last one onto one channel, and two linear heads on the flattened map, with nothing between the last two.
    """

    def __init__(self, settings: Zi2ziDiscriminatorSettings, *, image_size: int, channels: int, styles: int) -> None:
        super().__init__()
        s = settings
        widths = [s.channels * 2**i for i in range(s.layers)]
        widths[-1] = s.final_channels or widths[-1]
        self.blur_input = blur_at(s.blur, "input")
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.blurs = nn.ModuleDict()
        inputs = 2 * channels
        for index, width in enumerate(widths, start=1):
            bias = index == 1 or s.norm != "batch"
            stride = 1 if index == 4 else 2
            self.convs[f"conv{index}"] = nn.Conv2d(inputs, width, 5, stride, 2, bias=bias)
            self.norms[f"conv{index}"] = nn.Identity() if index == 1 else norm(s.norm, width)
            self.blurs[f"conv{index}"] = blur_at(s.blur, "hidden")
            inputs = width
        self.activation = activation(s.activation)
        self.minibatch_std: nn.Module = MinibatchStd(s.minibatch_std) if s.minibatch_std else nn.Identity()
        inputs += bool(s.minibatch_std)
        self.blur_features = blur_at(s.blur, "features")
        self.final: nn.Module = nn.Identity()
        if s.final_conv.kernel_size:
            self.final = nn.Conv2d(
                s.final_conv.in_channels or inputs, 1, s.final_conv.kernel_size, 1, s.final_conv.kernel_size // 2
            )
            inputs = 1
        self.blur_output = blur_at(s.blur, "output")
        side = -(-image_size // 8)
        self.head = s.head
        self.binary: nn.Module = nn.Identity()
        self.category: nn.Module = nn.Identity()
        if s.head == "linear":
            features = (s.head_channels or inputs) * side * side
            self.binary = nn.Linear(features, 1)
            self.category = nn.Linear(features, styles) if s.category_head else nn.Identity()
        # Convolutions whose scale a norm behind them takes out again: spectral norm only rescales their gradients.
        self.normalised = frozenset(f"convs.conv{i}" for i in range(2, s.layers + 1) if s.norm in ("batch", "instance"))

    @property
    def tail(self) -> Tail:
        """What follows the hidden layers."""
        layers = {
            "the blur of the features": self.blur_features,
            "the final conv": self.final,
            "the blur of the output": self.blur_output,
        }
        heads = {"binary": self.binary, "category": self.category}
        return Tail(layers, {name: head for name, head in heads.items() if not isinstance(head, nn.Identity)})

    def features(self, image: Tensor, conditions: Conditions) -> Tensor:
        """Return the map that the heads read, (N, C, S/8, S/8)."""
        if conditions.source is None:
            raise ValueError(
                "zi2zi's discriminator judges pairs: its data must have a source, e.g. data.kind glyphs or pairs"
            )
        x = self.blur_input(torch.cat([conditions.source, image], 1))
        for name, conv in self.convs.items():
            x = self.blurs[name](self.activation(self.norms[name](conv(x))))
        return self.tail.through(self.minibatch_std(x))

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:
        """Return one logit per image or per position and, with linear heads, logits of the styles."""
        x = self.features(image, conditions)
        if self.head == "patch":
            return Judgement(full_precision(x.mean(1)))
        flat = x.flatten(1)
        if self.head == "mean":
            return Judgement(full_precision(flat.mean(1)))
        logits = {name: full_precision(head(flat)) for name, head in self.tail.heads.items()}
        return Judgement(logits["binary"].squeeze(1), logits.get("category"))
