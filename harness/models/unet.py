"""zi2zi's U-Net generator with a style embedding at the bottleneck, and the variants of post 003."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.contract import Conditions, Generated
from harness.models.layers import AttentionGate, MatchedDropout, activation, full_precision, norm
from harness.study.network_settings import UNetSettings


class Upsampling(nn.Module):
    """Enlarge a map by the stride and change its channels, in one of three ways."""

    def __init__(self, kind: str, inputs: int, outputs: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.kind = kind
        self.stride = stride
        if kind == "transposed":
            self.conv: nn.Module = nn.ConvTranspose2d(inputs, outputs, 4, stride, 1, bias=bias)
        elif kind == "resize":
            self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias)
        else:
            self.conv = nn.Conv2d(inputs, outputs * stride**2, 3, 1, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, about H * stride, about W * stride)."""
        if self.kind == "resize":
            x = F.interpolate(x, scale_factor=self.stride, mode="nearest") if self.stride > 1 else x
            resized: Tensor = self.conv(x)
            return resized
        x = self.conv(x)
        return F.pixel_shuffle(x, self.stride) if self.kind == "pixel_shuffle" else x


class Level(nn.Module):
    """One level of the U-Net: a strided convolution on the way down, and its counterpart on the way up."""

    def __init__(
        self,
        s: UNetSettings,
        index: int,
        depth: int,
        outer: int,
        inner: int,
        *,
        outputs: int,
        dropout: float,
        style: int,
    ) -> None:
        super().__init__()
        outermost, innermost = index == 1, index == depth
        bias = s.norm in ("instance", "none")
        down_stride = s.innermost.down_stride if innermost else 2
        up_stride = s.innermost.up_stride if innermost else 2
        self.index = index
        self.compensation = s.innermost.compensation if innermost else "none"
        self.down = nn.Conv2d(outer, inner, 4, down_stride, 1, bias=bias)
        self.down_norm = nn.Identity() if outermost or innermost else norm(s.norm, inner)
        self.down_activation = activation(s.down_activation)
        self.up_activation = activation(s.up_activation)
        self.up = Upsampling(
            s.upsampling, inner + style if innermost else 2 * inner, outputs, up_stride, bias=bias or outermost
        )
        self.refine = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=bias or outermost) if s.refine else nn.Identity()
        self.compensate = (
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=bias) if self.compensation == "upsample" else nn.Identity()
        )
        self.up_norm = nn.Identity() if outermost else norm(s.norm, outputs)
        self.dropout = MatchedDropout(dropout, f"generator.level{index}.dropout")
        self.attention = AttentionGate(outer, outputs) if s.skip_attention and not outermost else None

    def rise(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Return the level's way up: (N, C, h, w) to the size of `skip`, joined with it unless there is none."""
        x = self.refine(self.up(self.up_activation(x)))
        if skip is None:
            return x
        if self.compensation == "interpolate":
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        elif self.compensation == "upsample":
            x = self.compensate(F.interpolate(x, size=skip.shape[-2:], mode="nearest"))
        x = self.dropout(self.up_norm(x))
        if x.shape[-2:] != skip.shape[-2:]:
            raise ValueError(
                f"generator level {self.index}: the map on the way up is {x.shape[-2]}x{x.shape[-1]}, its skip "
                f"{skip.shape[-2]}x{skip.shape[-1]}; set generator.innermost.compensation to interpolate or upsample"
            )
        return torch.cat([skip if self.attention is None else self.attention(skip, x), x], 1)


class UNetGenerator(nn.Module):
    """Redraw (N, C, S, S) sources in the wanted styles.

    The layers are those of zi2zi-pytorch (EuphoriaYan/zi2zi-pytorch @0e9f3dd): 4x4 convolutions of stride 2 down to
    the bottleneck, the style's embedding beside the code there, and back up with skip connections. zi2zi's LeakyReLU
    works in place on the map that the skip then carries, so skips carry activated maps; so they do here.
    """

    def __init__(self, settings: UNetSettings, *, image_size: int, channels: int, styles: int) -> None:
        super().__init__()
        full = image_size.bit_length() - 1
        depth = settings.levels or full
        if not 2 <= depth <= full:
            raise ValueError(f"generator.levels: {depth} do not fit images of {image_size} px; from 2 to {full} do")
        widths = [channels] + [settings.channels * min(2**i, 8) for i in range(depth)]
        self.levels = nn.ModuleDict()
        for index in range(1, depth + 1):
            outer, inner = widths[index - 1], widths[index]
            self.levels[f"level{index}"] = Level(
                settings,
                index,
                depth,
                outer,
                inner,
                outputs=outer,
                dropout=settings.dropout if 5 <= index < depth else 0.0,
                style=settings.style_channels,
            )
        self.style = nn.Embedding(styles, settings.style_channels)

    def _levels(self) -> list[Level]:
        return [level for level in self.levels.values() if isinstance(level, Level)]

    def _descend(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the bottleneck's map and the skips, outermost first."""
        *outer, innermost = self._levels()
        skips: list[Tensor] = []
        x = image
        for level in outer:
            x = level.down_activation(level.down_norm(level.down(x)))
            skips.append(x)
        return innermost.down(x), skips

    def encode(self, image: Tensor) -> Tensor:
        """Return the (N, K) code of (N, C, S, S) images, by the encoder alone."""
        return self._descend(image)[0].flatten(1)

    def forward(self, conditions: Conditions) -> Generated:
        """Return images in [-1, 1] and the codes of the sources."""
        source, style, _ = conditions
        if source is None or style is None:
            raise ValueError(
                "a U-Net redraws a source in a style: its data must be pairs, e.g. data.kind glyphs or pairs"
            )
        bottleneck, skips = self._descend(source)
        embedded = self.style(style)[:, :, None, None].expand(-1, -1, *bottleneck.shape[-2:])
        x = torch.cat([embedded.to(bottleneck.dtype), bottleneck], 1)
        for level, skip in zip(reversed(self._levels()), [*reversed(skips), None], strict=True):
            x = level.rise(x, skip)
        return Generated(torch.tanh(full_precision(x)), bottleneck.flatten(1))
