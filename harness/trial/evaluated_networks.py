"""What metrics may ask of the trained networks, in evaluation mode, which leaves the training as it was."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from harness.metrics.evaluation import TrainedNetworks
from harness.models import Conditions, Judgement

BATCH = 64
T = TypeVar("T")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, without gradients, and back into the mode that it was in."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


@torch.no_grad()
def generate(generator: nn.Module, conditions: Conditions, device: torch.device, batch: int = BATCH) -> Tensor:
    """Return (N, C, S, S) images in [-1, 1] on the CPU, in evaluation mode, leaving the generator's mode as it was."""
    with evaluating(generator):
        return torch.cat([generator(part).image.float().cpu() for part in _batches(conditions, device, batch)])


def trained_networks(
    generator: nn.Module, discriminator: nn.Module, drawn: Conditions, real: Conditions, device: torch.device
) -> TrainedNetworks:
    """Return a pair of networks as metrics may ask them.

    Args:
        generator: The one that is measured.
        discriminator: The one it was trained against.
        drawn: What the measured images are generated from.
        real: Sources and styles of the measured real images.
        device: Of both networks.
    """

    def redraw(sources: Tensor) -> Tensor:
        return generate(generator, drawn._replace(source=sources), device)

    def of_batches(ask: Callable[[Tensor, Conditions], T], images: Tensor, sources: Tensor | None) -> list[T]:
        conditions = Conditions(sources, real.style)
        with evaluating(discriminator):
            return [
                ask(part.to(device), given)
                for part, given in zip(images.split(BATCH), _batches(conditions, device, BATCH), strict=True)
            ]

    def judge(images: Tensor, sources: Tensor | None) -> Judgement:
        def ask(part: Tensor, given: Conditions) -> Judgement:
            judged: Judgement = discriminator(part, given)
            return judged.map(lambda x: x.float().cpu())

        judged = of_batches(ask, images, sources)
        categories = [j.category for j in judged if j.category is not None]
        return Judgement(torch.cat([j.real for j in judged]), torch.cat(categories) if categories else None)

    def maps(images: Tensor, sources: Tensor | None) -> Tensor | None:
        logits = judge(images, sources).real
        if logits.ndim == 3:
            return logits[:, None]
        features = getattr(discriminator, "features", None)
        if not callable(features):
            return None
        return torch.cat(of_batches(lambda part, given: features(part, given).float().cpu(), images, sources))

    return TrainedNetworks(
        generator=generator,
        discriminator=discriminator,
        sources=real.source,
        styles=real.style,
        draw=lambda: generate(generator, drawn, device),
        redraw=None if drawn.source is None else redraw,
        judge=judge,
        maps=maps,
    )


def _batches(conditions: Conditions, device: torch.device, batch: int) -> Iterator[Conditions]:
    for start in range(0, conditions.batch, batch):
        yield conditions.map(operator.itemgetter(slice(start, start + batch))).map(lambda x: x.to(device))
