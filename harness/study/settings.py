"""The settings of data, networks and training: each field, at any depth, is a possible axis of a study."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Strict, Tag, field_validator, model_validator

from harness.study.command import CommandSettings
from harness.study.fields import DOOR, Count, Flag, Settings, Share, Text


def _kind(value: Any) -> str | None:
    """Return the tag of a group by its ``kind``; ``package.module:function`` is tagged ``custom``."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "custom" if isinstance(kind, str) and re.match(DOOR, kind) else kind


# ---- data -----------------------------------------------------------------------------------------------------------


class ImageSettings(Settings):
    """What every data set has in common."""

    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 32
    """Height and width in pixels; a power of two."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for colour."""
    holdout: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = 0.2
    """Share kept out of training, on which every metric is computed."""
    limit: Count | None = None
    """Train on only so many items, character by character in the order of their content hashes, so that fewer are
    always among more; what is held out stays as it is."""

    PAIRED: ClassVar[bool | None] = False
    """Whether each image is redrawn from a source of its own; None where only the loaded data tells."""
    SOURCED: ClassVar[bool | None] = False
    """Whether there are sources to draw from, of pairs or of another kind of images."""
    CHARACTERS: ClassVar[bool] = False
    """Whether labels are the characters that the images show."""
    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"augment", "limit"})
    """Settings that leave the held-out images as they are: only these can be axes."""

    @field_validator("image_size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            below = 1 << (size.bit_length() - 1)
            raise ValueError(f"{size} is no power of two; the nearest are {below} and {2 * below}")
        return size


class GlyphSettings(ImageSettings):
    """The same characters rendered from a source font and from target fonts."""

    kind: Literal["glyphs"] = "glyphs"
    """`glyphs`: pairs rendered from font files."""
    source: Text = "DejaVuSans"
    """A font that matplotlib ships, by name, or the path of a TTF, OTF or TTC file (`file.ttc#1`: its second face)."""
    targets: Annotated[tuple[Text, ...], Field(min_length=1)] = ("DejaVuSerif",)
    """Fonts to learn; each is a style."""
    characters: Text = "shared-letters"
    """A named set (shared-letters, latin, greek, kana, gb2312-1 …), the path of a text file, or the characters."""
    margin: Annotated[float, Strict(), Field(ge=0.0, lt=0.5)] = 0.06
    """Empty share of the canvas on each side."""
    augment: Literal["none", "zi2zi"] = "none"
    """zi2zi's augmentation of training pairs: joint enlargement by up to 5 %, random crop, occasional blur."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True
    CHARACTERS: ClassVar[bool] = True


class ImagePairSettings(ImageSettings):
    """zi2zi's own formats: a folder of LABEL_NUMBER.jpg|png pairs side by side, or its packed .obj files."""

    kind: Literal["pairs"] = "pairs"
    """`pairs`: source and target in one picture."""
    path: Text
    """A folder of pictures (left half target, right half source), or a folder or file of `train.obj` and `val.obj`."""
    holdout: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the pictures kept out of training, on which every metric is computed."""
    augment: Literal["none", "zi2zi"] = "none"
    """zi2zi's augmentation of training pairs: joint enlargement by up to 5 %, random crop, occasional blur."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True


class ImageFolderSettings(ImageSettings):
    """A tree of image files without pairs: CelebA's folder, or anything that ImageFolder reads."""

    kind: Literal["images"] = "images"
    """`images`: a folder of pictures without sources."""
    path: Text
    """The folder; pictures are found at any depth."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour."""
    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 64
    """Height and width in pixels; a power of two. Pictures are resized and cropped in the middle."""
    limit: Count | None = None
    """Use only so many images, held-out ones included, taken in the order of their content hashes."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half."""

    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"augment"})


class PictureSettings(ImageSettings):
    """What folders of colour pictures have in common."""

    path: Text
    """The folder."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour."""
    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 64
    """Height and width in pixels; a power of two."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half, along with its source."""


class ClassFolderSettings(PictureSettings):
    """A folder for each class, with its pictures at any depth: each class is a style."""

    kind: Literal["classes"] = "classes"
    """`classes`: sub-folders are classes."""


class SideBySideSettings(PictureSettings):
    """pix2pix's data: pictures of A and B side by side, or folders A and B with pictures of equal names."""

    kind: Literal["pix2pix"] = "pix2pix"
    """`pix2pix`: each picture of A with its own of B."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which is the source, and which is to be drawn from it; A is on the left."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True


class UnpairedSettings(PictureSettings):
    """CycleGAN's data: pictures of two kinds, none of which belongs to any of the other."""

    kind: Literal["unpaired"] = "unpaired"
    """`unpaired`: folders trainA and trainB, perhaps testA and testB; or A and B."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which are the sources, and which is to be drawn from them."""

    SOURCED: ClassVar[bool | None] = True


class FaceSettings(ImageSettings):
    """The 100 real faces of scikit-image's `lfw_subset`, 25 x 25 grey: a DCGAN study with no download."""

    kind: Literal["faces"] = "faces"
    """`faces`: those of scikit-image."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half."""


class CustomDataSettings(ImageSettings):
    """A user's own data set, `package.module:function`."""

    kind: Annotated[str, Field(pattern=DOOR)]
    """The function that returns your data set, `package.module:function`."""
    options: dict[str, Any] = Field(default={})
    """Passed to the function as keyword arguments."""
    augment: Literal["none"] = "none"
    """None but your own."""

    PAIRED: ClassVar[bool | None] = None
    SOURCED: ClassVar[bool | None] = None
    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"limit", "options"})
    """Whether the options leave the held-out images as they are shows when the data is loaded."""


DataSettings = Annotated[
    Annotated[GlyphSettings, Tag("glyphs")]
    | Annotated[ImagePairSettings, Tag("pairs")]
    | Annotated[ImageFolderSettings, Tag("images")]
    | Annotated[ClassFolderSettings, Tag("classes")]
    | Annotated[SideBySideSettings, Tag("pix2pix")]
    | Annotated[UnpairedSettings, Tag("unpaired")]
    | Annotated[FaceSettings, Tag("faces")]
    | Annotated[CustomDataSettings, Tag("custom")],
    Discriminator(_kind),
]

# ---- networks -------------------------------------------------------------------------------------------------------

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
    Discriminator(_kind),
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
    Discriminator(_kind),
]

# ---- training -------------------------------------------------------------------------------------------------------


class LossSettings(Settings):
    """The adversarial loss and the weights of the others; those that a pair of networks has no use for are ignored."""

    kind: Literal["bce", "sigmoid_bce", "hinge", "lsgan", "wgan_gp"] = "bce"
    """`bce` works on logits; `sigmoid_bce` is the posts' Sigmoid followed by BCELoss, which saturates."""
    adversarial: Annotated[float, Strict(), Field(ge=0.0)] = 1.0
    """Weight of the generator's adversarial part. At 0 the discriminator is trained as ever but only watches; its style
    head still teaches through `category`."""
    l1: Annotated[float, Strict(), Field(ge=0.0)] = 100.0
    """Weight of the mean absolute difference to the target; 100 is zi2zi's."""
    category: Annotated[float, Strict(), Field(ge=0.0)] = 1.0
    """Weight of telling the style, in the losses of both networks; 1 is zi2zi's."""
    constant: Annotated[float, Strict(), Field(ge=0.0)] = 15.0
    """Weight of the squared distance of the codes of source and result, zi2zi's constant loss; 15 is zi2zi's."""
    gradient_penalty: Annotated[float, Strict(), Field(ge=0.0)] = 10.0
    """Weight of WGAN-GP's penalty (Gulrajani 2017, arXiv:1704.00028)."""
    r1: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """Gamma of the penalty on the discriminator's gradient at real images: gamma/2 times its mean squared norm
    (Mescheder 2018, arXiv:1801.04406, eq. 9)."""
    r2: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """The same at generated images (eq. 10)."""
    penalty_every: Count = 1
    """R1 and R2 are taken at each so many-th step only, as many times as large (Karras 2020, arXiv:1912.04958, B)."""
    smoothing: Annotated[float, Strict(), Field(ge=0.0, lt=1.0)] = 0.0
    """Real images are to be judged 1 minus this by the discriminator (Salimans 2016, arXiv:1606.03498, 3.4); of `bce`,
    `sigmoid_bce` and `lsgan`, and not where it is relativistic."""
    relativistic: Flag = False
    """Logits are judged against the mean of the other kind (Jolicoeur-Martineau 2018, arXiv:1807.00734, RaGAN)."""
    feature_matching: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """Weight, for the generator, of the mean squared distance of the mean features of real and generated images
    (Salimans 2016, 3.1); of discriminators with a method `features`: zi2zi's, or yours."""
    real_and_fake: Literal["separate", "joint", "concat"] = "separate"
    """Two backward passes, one over the summed loss, or one batch of both (which changes BatchNorm's statistics)."""


class OptimizerSettings(Settings):
    """The optimiser of both networks."""

    kind: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """The rule of the update, torch's own."""
    lr: Annotated[float, Strict(), Field(gt=0.0)] = 2.0e-4
    """First learning rate."""
    lr_discriminator: Annotated[float, Strict(), Field(gt=0.0)] | None = None
    """The discriminator's own; `lr` unless given."""
    betas: tuple[Share, Share] = (0.5, 0.999)
    """Of `adam` and `adamw`: decay of their means of gradients and of squared gradients."""
    momentum: Annotated[float, Strict(), Field(ge=0.0, lt=1.0)] = 0.0
    """Of `sgd` and `rmsprop`."""
    smoothing: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = 0.99
    """Of `rmsprop`: decay of its mean of squared gradients."""
    weight_decay: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """Of all kinds; `adamw` takes it off the weights, the others add it to the gradient."""


class ScheduleSettings(Settings):
    """The learning rate over the training."""

    kind: Literal["constant", "linear", "cosine", "halving"] = "constant"
    """How the rate falls: not at all, along a line, along half a cosine, or by halves."""
    every: Annotated[float, Strict(), Field(gt=0.0, le=1.0)] = 0.2
    """Share of the training after which `halving` (zi2zi's) halves the rate, again and again."""
    floor: Share = 0.2
    """Smallest rate as a share of the first; zi2zi's 2e-4 of 1e-3."""


class InstanceNoiseSettings(Settings):
    """Gaussian noise on all that the discriminator sees in training (Sønderby 2016, arXiv:1610.04490)."""

    sigma: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """Its standard deviation at the start, of images in [-1, 1]; 0 adds none."""
    fade: Share = 1.0
    """Share of the training over which it shrinks to nothing; 0 keeps it throughout."""


Changes = Literal["none", "color", "translation", "cutout", "all"]


class AdaptiveAugmentSettings(Settings):
    """Augmentation before the discriminator, as probable as keeps it from memorising (Karras 2020, arXiv:2006.06676).

    Of each image each change is made with a probability that begins at 0 and follows the discriminator.
    """

    policy: Changes = "none"
    """Which of the changes of `diff_augment`; `none` leaves it out."""
    target: Annotated[float, Strict(), Field(ge=-1.0, le=1.0)] = 0.6
    """Mean sign of the logits of real images, from -1 to 1, beyond which the probability grows; 0.6 is ADA's, and at 1
    nothing is ever changed."""
    every: Count = 4
    """Steps between two adjustments."""
    images: Count = 500_000
    """Real images that the discriminator sees while the probability goes from 0 to 1; ADA's is 500,000, which a short
    training never reaches."""


class TrainingSettings(Settings):
    """The loop."""

    kind: Annotated[Text, Field(pattern=rf"^gan$|{DOOR}")] = "gan"
    """`gan`: a generator against a discriminator; or a loop of your own, `package.module:function`."""
    options: dict[str, Any] = Field(default={})
    """Passed to a loop of your own as keyword arguments; each can be an axis, such as `training.options.weight`."""
    steps: Count = 1000
    """Steps of training; one is a discriminator's update or several, then a generator's or several."""
    batch_size: Annotated[int, Strict(), Field(ge=2, le=8192)] = 16
    """Items in a batch."""
    discriminator_steps: Count = 1
    """Discriminator updates a step."""
    generator_steps: Count = 2
    """Generator updates a step; 2 is zi2zi's."""
    loss: LossSettings = LossSettings()
    """What both networks minimise."""
    optimizer: OptimizerSettings = OptimizerSettings()
    """How they are updated."""
    schedule: ScheduleSettings = ScheduleSettings()
    """How the learning rate falls."""
    instance_noise: InstanceNoiseSettings = InstanceNoiseSettings()
    """Noise on real and generated images before the discriminator."""
    diff_augment: Changes = "none"
    """Augmentation of real and generated images before the discriminator, that gradients pass (Zhao 2020,
    arXiv:2006.10738); a source is moved and cut along."""
    adaptive_augment: AdaptiveAugmentSettings = AdaptiveAugmentSettings()
    """The same with a probability that follows the discriminator."""
    gradient_clip: Annotated[float, Strict(), Field(ge=0.0)] = 0.0
    """Largest norm of all gradients of a network together, scaled down to it beyond (Pascanu 2013, arXiv:1211.5063); 0
    leaves them."""
    ema: Annotated[float, Strict(), Field(ge=0.0, lt=1.0)] = 0.0
    """Decay of the moving average of the generator's weights that is measured; 0 measures the weights themselves."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward passes; weights stay in float32. `bfloat16` changes what is trained."""
    channels_last: Flag = True
    """Memory layout of maps; changes rounding and speed, and nothing else."""

    @model_validator(mode="after")
    def _options_of_own_loops(self) -> Self:
        if self.options and self.kind == "gan":
            raise ValueError(f"options ({', '.join(self.options)}) are for a loop of your own; name it as kind")
        return self


class FailureSettings(Settings):
    """When a trial counts as failed; written down before it is run."""

    loss_limit: Annotated[float, Strict(), Field(gt=0.0)] = 1.0e4
    """Diverged: a loss beyond this in absolute value, or not finite, or images not finite."""
    diversity_floor: Annotated[float, Strict(), Field(ge=0.0, lt=1.0)] = 0.1
    """Collapsed: the samples' mean pairwise distance, as a share of the held-out images' own, at the horizon."""


class TrialSettings(Settings):
    """All that one trial is a function of, beside its block and the data."""

    data: DataSettings = GlyphSettings()
    """What is learned from, and what is held out."""
    generator: GeneratorSettings = UNetSettings()
    """The network that makes images."""
    discriminator: DiscriminatorSettings = Zi2ziDiscriminatorSettings()
    """The network that judges them."""
    training: TrainingSettings = TrainingSettings()
    """The loop: length, losses, optimiser."""
    failures: FailureSettings = FailureSettings()
    """When a trial counts as diverged or collapsed."""
    trial: CommandSettings | None = None
    """A command of your own that each trial is, in place of all the groups above."""
    real: Text | None = None
    """Of trials that are commands: the folder of images that generated ones are measured against."""

    @property
    def steps(self) -> int:
        """Steps of a trial; a command is a single one: it is measured when it has ended."""
        return self.training.steps if self.trial is None else 1

    @property
    def latent(self) -> int | None:
        """Numbers in a latent that the generator draws from; None where it redraws a source."""
        return getattr(self.generator, "latent", None)
