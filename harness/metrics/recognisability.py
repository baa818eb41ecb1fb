"""Recognisability: does a small classifier, trained on the study's own real images, read the wanted character?"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import DataError
from harness.metrics.array_cache import Arrays, kept
from harness.metrics.extractors.feature_id import feature_id_of
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value
from harness.randomness import stream

SIDE = 32
"""Images are resized to this side, in grey."""
STEPS, BATCH, RATE = 400, 64, 2e-3
SHIFT = 2
"""Pixels that training images are moved at most, so that place does not count."""
GRAIN = 0.1
"""Largest standard deviation of the noise on training images, so that grain does not count."""
WIDTHS = (1, 16, 32, 64)
METHOD = (
    f"recogniser v1; grey {SIDE}x{SIDE}; convolutions 3x3 of stride 2 to {WIDTHS[1:]} channels, ReLU, linear; "
    f"{STEPS} steps of {BATCH} by Adam at {RATE:g}; shifts of {SHIFT}, noise of {GRAIN:g}"
)


def _prepared(images: Tensor) -> Tensor:
    grey = images.mean(dim=1, keepdim=True)
    if grey.shape[-2:] == (SIDE, SIDE):
        return grey
    return F.interpolate(grey, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


def _logits(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    for layer in range(1, len(WIDTHS)):
        x = F.relu(F.conv2d(x, weights[f"kernel{layer}"], weights[f"bias{layer}"], stride=2, padding=1))
    return F.linear(x.flatten(1), weights["kernel"], weights["bias"])


def _first_weights(key: str, classes: int) -> dict[str, Tensor]:
    """Return weights of He's variance (He 2015, arXiv:1502.01852), each from a stream of its own."""
    shapes = {f"kernel{i}": (WIDTHS[i], WIDTHS[i - 1], 3, 3) for i in range(1, len(WIDTHS))}
    shapes["kernel"] = (classes, WIDTHS[-1] * (SIDE // 2 ** (len(WIDTHS) - 1)) ** 2)  # type: ignore[assignment]
    weights = {}
    for name, shape in shapes.items():
        inputs = int(np.prod(shape[1:]))
        weights[name] = torch.randn(shape, generator=stream(key, f"recogniser/{name}")) * (2 / inputs) ** 0.5
        weights[name.replace("kernel", "bias")] = torch.zeros(shape[0])
    return weights


def _disturbed(images: Tensor, draw: torch.Generator) -> Tensor:
    """Return a batch, each image moved by up to two pixels, with noise of its own strength."""
    count = len(images)
    padded = F.pad(images, (SHIFT,) * 4, mode="replicate")
    places = torch.randint(0, 2 * SHIFT + 1, (count, 2), generator=draw).tolist()
    moved = torch.stack([image[:, y : y + SIDE, x : x + SIDE] for image, (y, x) in zip(padded, places, strict=True)])
    strength = torch.rand(count, 1, 1, 1, generator=draw) * GRAIN
    return moved + strength * torch.randn(moved.shape, generator=draw)


def trained(images: Tensor, classes: Tensor, key: str) -> Arrays:
    """Return the weights of a classifier of images (N, C, H, W) in [0, 1] into classes (N,), from streams of a key."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        x, y = _prepared(images.clone()), classes.clone()
        weights = {name: w.requires_grad_() for name, w in _first_weights(key, int(classes.max()) + 1).items()}
        optimizer = torch.optim.Adam(weights.values(), lr=RATE)
        for step in range(STEPS):
            draw = stream(key, f"recogniser/batch/{step}")
            chosen = torch.randint(0, len(x), (BATCH,), generator=draw)
            loss = F.cross_entropy(_logits(weights, _disturbed(x[chosen], draw)), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {name: weight.detach().numpy() for name, weight in weights.items()}


@functools.lru_cache(maxsize=4)
def _classes(characters: tuple[str, ...]) -> tuple[int, ...]:
    number = {character: index for index, character in enumerate(sorted(set(characters)))}
    return tuple(number[character] for character in characters)


def recognisability(task: MetricInput) -> Value:
    """Return the share of generated images that are read as their character, in [0, 1], higher is better.

    The classifier is trained on the real images of the same items, moved and with noise, and kept by their content. The
    floor is its share on these real images as they are.

    Raises:
        DataError: Fewer than two characters.
    """
    evaluation = task.evaluation
    classes = torch.tensor(_classes(evaluation.characters or ()))
    if len(classes.unique()) < 2:
        raise DataError("recognisability: fewer than 2 characters; leave it out")
    identity = feature_id_of("recogniser", f"{METHOD}; {task.real_id()}")
    key = (METHOD, task.real_id(), tuple(evaluation.real.shape), evaluation.characters)
    arrays = kept(evaluation.cache, key, lambda: trained(evaluation.real, classes, identity))
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    right = [
        (_logits(weights, _prepared(images)).argmax(dim=1) == classes).double().numpy()
        for images in (evaluation.fake, evaluation.real)
    ]
    found = averaged(right[0])
    return Value(
        value=found.value,
        floor=float(right[1].mean()),
        standard_error=found.standard_error,
        evaluation_sd=found.evaluation_sd,
        feature_id=identity,
    )
