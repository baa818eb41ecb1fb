"""How long it will take: training steps and evaluations, timed on this machine."""

from __future__ import annotations

import copy
import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from harness.data import Dataset
from harness.metrics import Evaluation, measure, to_unit_range
from harness.models import Conditions, Pair
from harness.models.cost import Cost
from harness.study import Measure
from harness.training import Trainer, train

if TYPE_CHECKING:
    from harness.settings import TrialSettings

PASSES = 2
TIMED = 2
"""Steps that are timed in each pass, after one that is not."""
SLOW_STEP, ENDLESS_STEP = 2.0, 30.0
"""Seconds: a step expected to take longer is timed once on two images, or worked out from its multiply-adds."""
SAMPLE = 128
"""Images on which an evaluation is timed."""


@dataclass(frozen=True)
class Pace:
    """Seconds of one training step."""

    seconds: float
    how: str
    """Measured, or worked out."""


def step_multiply_adds(settings: TrialSettings, size: Cost) -> float:
    """Return the multiply-adds of one training step: a backward pass counts as two forward passes."""
    t = settings.training
    generated = t.discriminator_steps * size.macs_g + (t.generator_steps - 1) * size.macs_g
    updates_g = t.generator_steps * (2 * size.macs_g + 2 * size.macs_d)
    updates_d = t.discriminator_steps * 6 * size.macs_d
    return float(t.batch_size * (generated + updates_g + updates_d))


def multiply_adds_per_second() -> float:
    """Return the pace of a plain convolution on one thread, in multiply-adds per second."""
    x, weight = torch.zeros(8, 64, 32, 32), torch.zeros(64, 64, 3, 3)
    F.conv2d(x, weight, padding=1)
    clock = time.perf_counter()
    for _ in range(3):
        F.conv2d(x, weight, padding=1)
    return 3 * 8 * 64 * 64 * 9 * 32 * 32 / (time.perf_counter() - clock)


def step_paces(
    arms: Mapping[str, tuple[TrialSettings, Pair, Cost, Dataset]], *, device: str = "cpu"
) -> tuple[dict[str, Pace], dict[str, str]]:
    """Time real training steps of each arm, in turn, so that a disturbance meets all arms alike.

    Args:
        arms: Settings, networks (which are copied), size and data of each arm, by name.
        device: A torch device.

    Returns:
        The pace of each arm, and why the first step of others fails.
    """
    rate = multiply_adds_per_second()
    found: dict[str, Pace] = {}
    failures: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    for turn, (name, (settings, pair, size, data)) in itertools.product(range(PASSES), arms.items()):
        if name in failures:
            continue
        try:
            expected = step_multiply_adds(settings, size) / rate
            if expected * 2 / settings.training.batch_size > ENDLESS_STEP:
                found[name] = Pace(expected, "worked out from multiply-adds")
            elif expected > SLOW_STEP:
                if turn == 0:
                    (seconds,) = _timed(settings, pair, data, device, batch=2, warm_up=0, steps=1)
                    scaled = seconds * settings.training.batch_size / 2
                    found[name] = Pace(scaled, f"measured on 2 images of {settings.training.batch_size}")
            else:
                times.setdefault(name, []).extend(
                    _timed(settings, pair, data, device, batch=None, warm_up=1, steps=TIMED)
                )
        except (ValueError, RuntimeError) as error:
            failures[name] = f"the first training step fails: {str(error).splitlines()[0]}"
    measured = {name: Pace(statistics.median(values), "measured") for name, values in times.items()}
    return found | measured, failures


def _timed(
    settings: TrialSettings, pair: Pair, data: Dataset, device: str, *, batch: int | None, warm_up: int, steps: int
) -> list[float]:
    count = warm_up + steps
    update: dict[str, object] = {"steps": max(settings.training.steps, count)}
    if batch:
        update["batch_size"] = batch
    settings = settings.model_copy(update={"training": settings.training.model_copy(update=update)})
    layout = torch.channels_last if settings.training.channels_last else torch.contiguous_format
    copies = Pair(*(copy.deepcopy(net).to(device).to(memory_format=layout) for net in pair.networks().values()))
    training = train(Trainer(copies, settings, data.train, block="preflight"), log_every=settings.training.steps + 1)
    times = []
    for _ in range(count):
        clock = time.perf_counter()
        next(training)
        times.append(time.perf_counter() - clock)
    return times[warm_up:]


@dataclass(frozen=True)
class Evaluating:
    """Seconds that a study's metrics take."""

    first: float
    """Before the first evaluation in a process: feature networks are loaded, real images measured."""
    each: float


def evaluating(plan: Measure, data: Dataset, generator: torch.nn.Module, latent: int | None) -> Evaluating:
    """Time an evaluation on a part of the held-out images, and scale it to all of them.

    Raises:
        HarnessError: A metric that this data cannot have, or whose package is missing.
    """
    count = min(plan.images, len(data.heldout))
    sample = min(count, SAMPLE)
    held = data.heldout
    real = _unit(held.target[:sample])
    conditions = Conditions(
        None if held.source is None else _unit(held.source[:sample]) * 2 - 1,
        held.style[:sample],
        torch.zeros(sample, latent) if latent else None,
    )
    evaluation = Evaluation(
        real=real,
        fake=real.flip(0),
        paired=data.paired,
        train=_unit(data.train.target[:sample]),
        characters=held.labels[:sample],
    )
    laps = []
    for _ in range(2):
        clock = time.perf_counter()
        measure(plan.metrics, evaluation)
        laps.append(time.perf_counter() - clock)
    clock = time.perf_counter()
    with torch.no_grad():
        copy.deepcopy(generator).eval()(conditions)
    drawing = time.perf_counter() - clock
    # A timed call measures real and generated images; later ones find the real ones' statistics kept.
    return Evaluating(
        first=max(laps[0] - laps[1], 0.0) + laps[1] / 2 * count / sample, each=(laps[1] / 2 + drawing) * count / sample
    )


def _unit(images: torch.Tensor) -> torch.Tensor:
    return to_unit_range(images.float() / 127.5 - 1)
