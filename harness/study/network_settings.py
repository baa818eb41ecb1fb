"""The settings of generators and discriminators; each field, at any depth, is a possible axis of a study."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Strict, Tag

from harness.study.fields import DOOR, Count, Flag, Settings, Share, kind_tag

Norm = Literal["batch", "instance", "layer", "none"]
Activation = Literal["leaky_relu", "relu"]
Init = Literal["normal", "kaiming", "default"]
OwnInit = Literal["own", "normal", "kaiming", "default"]


class InnermostSettings(Settings):
    """The innermost level of the U-Net (post 003)."""

    down_stride: Literal[1, 2] = 2
    """Stride of the convolution onto the bottleneck."""
    up_stride: Literal[1, 2] = 2
    """Stride of the transposed convolution from the bottleneck."""
    compensation: Literal["none", "interpolate", "upsample"] = "none"
    """How the map meets its skip when strides changed its size: not at all, bilinear, or upsample layer and conv."""


class UNetSettings(Settings):
    """zi2zi's U-Net with a style embedding at the bottleneck."""

    kind: Literal["unet"] = "unet"
    """`unet`: redraws a source in a style."""
    channels: Count = 64
    """Channels of the outermost level; deeper levels have 2, 4, 8, 8 … times as many."""
    levels: Count | None = None
    """Number of down-samplings; as many as lead to a 1x1 bottleneck unless given."""
    style_channels: Count = 128
    """Numbers that describe a style, put beside the code at the bottleneck."""
    norm: Norm = "batch"
    """Where zi2zi has one: not on the outermost level, nor before the bottleneck; `layer` is over all channels."""
    down_activation: Activation = "leaky_relu"
    """Before each convolution on the way down; `leaky_relu` has slope 0.2."""
    up_activation: Activation = "relu"
    """Before each convolution on the way up."""
    dropout: Share = 0.5
    """On the up path of the levels between the innermost and the one of 4 times the channels."""
    innermost: InnermostSettings = InnermostSettings()
    """The level next to the bottleneck."""
    upsampling: Literal["transposed", "resize", "pixel_shuffle"] = "transposed"
    """On the way up: transposed convolution, bilinear resizing and convolution, or convolution and pixel shuffle."""
    refine: Flag = False
    """A 3x3 convolution after each up-sampling."""
    skip_attention: Flag = False
    """An attention gate on each skip (Oktay 2018, arXiv:1804.03999)."""
    init: Init = "normal"
    """Initial weights: N(0, 0.02) as DCGAN and zi2zi, He's normal (arXiv:1502.01852), or torch's own."""


class DcganGeneratorSettings(Settings):
    """DCGAN's generator (Radford 2015, arXiv:1511.06434) as in post 004."""

    kind: Literal["dcgan"] = "dcgan"
    """`dcgan`: draws images from latents."""
    channels: Count = 64
    """Channels of the layer before the image; each layer before it has twice as many."""
    latent: Count = 100
    """Numbers in a latent, drawn from N(0, 1)."""
    norm: Norm = "batch"
    """Behind every layer but the last; `layer` is over channels and space together."""
    activation: Activation = "relu"
    """Behind every layer but the last; `leaky_relu` has slope 0.2."""
    last_norm: Flag = False
    """A norm on the last layer too (claim 004-5 of studies/claims/posts.yaml)."""
    init: Init = "normal"
    """Initial weights: N(0, 0.02) as DCGAN and zi2zi, He's normal (arXiv:1502.01852), or torch's own."""


class CustomNetworkSettings(Settings):
    """A user's own network, `package.module:function`."""

    kind: Annotated[str, Field(pattern=DOOR)]
    """The function that returns your network, `package.module:function`."""
    options: dict[str, Any] = Field(default={})
    """Passed to the function as keyword arguments; each can be an axis, such as `generator.options.width`."""
    latent: Count | None = None
    """Numbers in the latent that your generator draws from; none unless given."""
    init: OwnInit = "own"
    """Initial weights: those that your function gives (`own`), drawn from named streams; or, of layers that the harness
    knows, torch's own (`default`), N(0, 0.02), or He's normal (arXiv:1502.01852)."""


GeneratorSettings = Annotated[
    Annotated[UNetSettings, Tag("unet")]
    | Annotated[DcganGeneratorSettings, Tag("dcgan")]
    | Annotated[CustomNetworkSettings, Tag("custom")],
    Discriminator(kind_tag),
]


class BlurSettings(Settings):
    """A fixed Gaussian blur in the discriminator (posts 000 and 002)."""

    position: Literal["none", "input", "hidden", "features", "output"] = "none"
    """On the input, after every hidden layer, on the last hidden map only, or on the map that the heads read."""
    kernel_size: Literal[1, 3, 5, 7, 9] = 5
    """Width of the kernel in pixels; 1 does nothing."""
    sigma: Annotated[float, Strict(), Field(gt=0.0)] = 1.0
    """Standard deviation in pixels."""
    fade: Share = 0.0
    """Share of the training over which sigma shrinks to nothing; 0 keeps the blur throughout."""


class FinalConvSettings(Settings):
    """The discriminator's last convolution, onto one channel (post 000)."""

    kernel_size: Literal[0, 1, 3, 5] = 5
    """0 leaves it out."""
    in_channels: Count | None = None
    """Channels it is built for; those of the map before it unless given (post 000 writes 1)."""


class CommonDiscriminatorSettings(Settings):
    """What the built-in discriminators have in common."""

    channels: Count = 64
    """Channels of the first layer; deeper layers have 2, 4, 8 times as many."""
    norm: Norm = "batch"
    """Behind every hidden layer but the first; `layer` is over channels and space together."""
    activation: Activation = "leaky_relu"
    """Behind every hidden layer; `leaky_relu` has slope 0.2."""
    spectral_norm: Literal["none", "scaled", "unnormalised", "convs", "convs+heads"] = "none"
    """On no layer; convolutions divided by their largest singular value once, before training, and free after; on
    convolutions that no norm follows, on all of them, and on the linear heads too (Miyato 2018)."""
    spectral_iterations: Count = 1
    """Power iterations of spectral norm before each forward pass in training."""
    minibatch_std: Annotated[int, Strict(), Field(ge=0)] = 0
    """Images of a group whose mean standard deviation is a further map behind the hidden layers (Karras 2018,
    arXiv:1710.10196, section 3); 4 is usual, 0 adds none, a batch that is not divided by it is one group."""
    blur: BlurSettings = BlurSettings()
    """A fixed Gaussian blur inside the network."""
    init: Init = "normal"
    """Initial weights: N(0, 0.02) as DCGAN and zi2zi, He's normal (arXiv:1502.01852), or torch's own."""


class Zi2ziDiscriminatorSettings(CommonDiscriminatorSettings):
    """zi2zi's discriminator of (source, image): real or fake, and which style."""

    kind: Literal["zi2zi"] = "zi2zi"
    """`zi2zi`: judges source and image together."""
    layers: Literal[3, 4] = 4
    """Hidden layers; the fourth keeps the size and is the one that post 000 drops."""
    final_channels: Count | None = None
    """Output channels of the last hidden layer; 8 times `channels` (4 times with 3 layers) unless given."""
    final_conv: FinalConvSettings = FinalConvSettings()
    """The convolution between the last hidden map and the heads."""
    head: Literal["linear", "mean", "patch"] = "linear"
    """Linear heads on the flattened map; the mean of the map, judged as one; or each position of the map, judged by
    itself (Isola 2017, arXiv:1611.07004, section 3.2.2). Only linear heads can tell styles."""
    category_head: Flag = True
    """Whether there is a linear head for styles beside the one for real or fake."""
    head_channels: Count | None = None
    """Channels the heads are built for; those of the map unless given (post 000 resets them to 1)."""


class DcganDiscriminatorSettings(CommonDiscriminatorSettings):
    """DCGAN's discriminator as in post 004."""

    kind: Literal["dcgan"] = "dcgan"
    """`dcgan`: judges the image alone."""


DiscriminatorSettings = Annotated[
    Annotated[Zi2ziDiscriminatorSettings, Tag("zi2zi")]
    | Annotated[DcganDiscriminatorSettings, Tag("dcgan")]
    | Annotated[CustomNetworkSettings, Tag("custom")],
    Discriminator(kind_tag),
]
