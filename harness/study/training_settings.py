"""The settings of the training loop: losses, optimiser, schedule, augmentation; each field is a possible axis."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from harness.study.fields import DOOR, Count, Flag, Settings, Share, Text


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
