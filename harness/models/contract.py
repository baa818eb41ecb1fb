"""What goes into a pair of networks and what comes out, and a check of it that users can apply to theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.errors import HarnessError


class Conditions(NamedTuple):
    """What an image is generated from; what a data set or a generator has no use for is None."""

    source: Tensor | None = None
    """(N, C, H, W) float32 in [-1, 1]: the image to be redrawn."""
    style: Tensor | None = None
    """(N,) int64: the index of the wanted style."""
    latent: Tensor | None = None
    """(N, Z) float32, standard normal."""

    @property
    def batch(self) -> int:
        """Number of items, N."""
        return next(len(part) for part in self if part is not None)

    def map(self, function: Callable[[Tensor], Tensor]) -> Conditions:
        """Return the conditions with a function applied to each tensor that is there."""
        return Conditions(*(None if part is None else function(part) for part in self))


class Generated(NamedTuple):
    """A generator's output."""

    image: Tensor
    """(N, C, H, W) in [-1, 1]."""
    code: Tensor | None = None
    """(N, K): the encoder's code of the source, for the constant loss; the generator then has `encode(image)`."""


class Judgement(NamedTuple):
    """A discriminator's output: logits, never probabilities."""

    real: Tensor
    """(N,): one logit per image, or (N, H, W): one per position of a map; larger for what is taken for real."""
    category: Tensor | None = None
    """(N, S): logits of the styles."""

    @property
    def scores(self) -> Tensor:
        """One logit per image (N,): the mean over the positions of a map."""
        return self.real if self.real.ndim == 1 else self.real.flatten(1).mean(1)

    def map(self, function: Callable[[Tensor], Tensor]) -> Judgement:
        """Return the judgement with a function applied to each tensor that is there."""
        return Judgement(function(self.real), None if self.category is None else function(self.category))


class Tail(NamedTuple):
    """The end of a discriminator that shows it as `tail`, and whose forward pass goes through it: proofs read it."""

    layers: Mapping[str, nn.Module]
    """What stands between the last layer that is not linear and the heads, in order, by plain names."""
    heads: Mapping[str, nn.Module]
    """What makes the logits of the last map, each of the same one; empty where that is no layer."""

    def through(self, x: Tensor) -> Tensor:
        """Return the map that the heads read."""
        for layer in self.layers.values():
            x = layer(x)
        return x


def check_networks(
    generator: nn.Module, discriminator: nn.Module, conditions: Conditions, *, image_size: int, channels: int
) -> None:
    """Check a generator and a discriminator against the contract of this module.

    Args:
        generator: Maps `Conditions` to `Generated`: images (N, channels, image_size, image_size) in [-1, 1], and a code
            (N, K) if it has a method `encode` that gives the code of images.
        discriminator: Maps images and `Conditions` to `Judgement`: one logit per image or per position of a map, and
            perhaps one per style.
        conditions: Of two or more items, as the study's data would give them.
        image_size: Height and width in pixels.
        channels: 1 or 3.

    Raises:
        HarnessError: All that is wrong, in one message.
    """
    generated = generator.train()(conditions)
    problems = generated_problems(generator, generated, conditions.batch, image_size, channels)
    problems = [f"generator: {problem}" for problem in (problems or range_problems(generated))]
    if not problems:
        judged = discriminator.train()(generated.image, conditions)
        problems += [f"discriminator: {problem}" for problem in judged_problems(judged, conditions.batch)]
        if not problems:
            judged.real.sum().backward()
            problems += _unreached(generator, "generator") + _unreached(discriminator, "discriminator")
            problems += _evaluation(generator, conditions)
    if problems:
        raise HarnessError("\n  ".join(["networks: they do not keep the contract", *problems]))


def generated_problems(generator: nn.Module, made: object, count: int, size: int, channels: int) -> list[str]:
    """Return what is wrong with the kind and shape of a generator's output for `count` items."""
    if not isinstance(made, Generated):
        return [f"returned a {type(made).__name__}; a Generated(image, code) is needed"]
    needed = (count, channels, size, size)
    problems = []
    if not isinstance(made.image, Tensor) or tuple(made.image.shape) != needed:
        shape = tuple(made.image.shape) if isinstance(made.image, Tensor) else type(made.image).__name__
        problems.append(f"returned images of shape {shape}; {needed} are needed")
    if made.code is not None and not callable(getattr(generator, "encode", None)):
        problems.append("gives a code but has no method encode(image); add it, or give None")
    return problems


def range_problems(made: Generated) -> list[str]:
    """Return what is wrong with the values of generated images."""
    inside = made.image.isfinite().all() and made.image.abs().max() <= 1
    return [] if inside else ["returned images beyond [-1, 1]; end with a tanh"]


def judged_problems(judged: object, count: int) -> list[str]:
    """Return what is wrong with a discriminator's output for `count` items."""
    if not isinstance(judged, Judgement):
        return [f"returned a {type(judged).__name__}; a Judgement(real, category) is needed"]
    if not isinstance(judged.real, Tensor) or judged.real.ndim not in (1, 3) or len(judged.real) != count:
        shape = tuple(judged.real.shape) if isinstance(judged.real, Tensor) else type(judged.real).__name__
        needed = f"({count},), one per image, or ({count}, H, W), one per position, are needed"
        return [f"returned logits of shape {shape}; {needed}"]
    if judged.category is not None and (judged.category.ndim != 2 or len(judged.category) != count):
        shape = tuple(judged.category.shape)
        return [f"returned category logits of shape {shape}; ({count}, styles) are needed"]
    return []


def _unreached(network: nn.Module, net: str) -> list[str]:
    """Name the parameters that the discriminator's logits do not depend on, heads for categories aside."""
    dead = [name for name, p in network.named_parameters() if p.grad is None and "category" not in name]
    return [f"{net}: no gradient reaches {', '.join(dead)}"] if dead else []


@torch.no_grad()
def _evaluation(generator: nn.Module, conditions: Conditions) -> list[str]:
    """Check that measuring twice gives the same images."""
    generator.eval()
    first, second = (generator(conditions).image for _ in range(2))
    same: bool = torch.equal(first, second)
    return [] if same else ["generator: two calls in evaluation mode differ; draw nothing there"]


def example_conditions(count: int, *, image_size: int, channels: int, styles: int, latent: int | None) -> Conditions:
    """Return conditions of the right shapes: noise as sources, styles in turn, normal latents.

    Args:
        count: Number of items.
        image_size: Height and width in pixels.
        channels: 1 or 3.
        styles: Number of styles in the data.
        latent: Numbers in a latent; None for generators that redraw a source.
    """
    draw = torch.Generator().manual_seed(0)
    source: Tensor | None = None
    if latent is None:
        source = torch.rand(count, channels, image_size, image_size, generator=draw) * 2 - 1
    noise = torch.randn(count, latent, generator=draw) if latent else None
    return Conditions(source, torch.arange(count) % styles, noise)
