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
from harness.models import Conditions, NetworkPair, place
from harness.models.cost import NetworkCost
from harness.plugins import in_words, place_of
from harness.preflight.settings_read import trained_by_own_code
from harness.study.measure_settings import MeasureSettings
from harness.trial.device import clock_of
from harness.trial.evaluated_networks import trained_networks
from harness.trial.trainer import Trainer
from harness.trial.training import train

if TYPE_CHECKING:
    from harness.study.settings import TrialSettings

PASSES = 2
TIMED = 2
"""Steps that are timed in each pass, after one that is not."""
FEW = 2
"""Images on which a long step is timed; BatchNorm needs two."""
SLOW_STEP, ENDLESS_STEP = 0.5, 30.0
"""Seconds: a step expected to take longer is timed on fewer images, or worked out from its multiply-adds."""
SAMPLE, DRAWN = 128, 8
"""Images on which an evaluation is timed, and on which drawing them is."""


@dataclass(frozen=True)
class StepTiming:
    """Seconds of one training step."""

    seconds: float
    how: str
    """Measured, or worked out."""


def step_multiply_adds(settings: TrialSettings, size: NetworkCost) -> float:
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
    before = time.thread_time()
    for _ in range(3):
        F.conv2d(x, weight, padding=1)
    return 3 * 8 * 64 * 64 * 9 * 32 * 32 / (time.thread_time() - before)


def step_paces(
    arms: Mapping[str, tuple[TrialSettings, NetworkPair, NetworkCost, Dataset]], *, device: str = "cpu"
) -> tuple[dict[str, StepTiming], dict[str, str]]:
    """Time real training steps of each arm, in turn, so that a disturbance meets all arms alike.

    Args:
        arms: Settings, networks (which are copied), size and data of each arm, by name.
        device: A torch device.

    Returns:
        The pace of each arm, and why the first step of others fails.
    """
    rate = multiply_adds_per_second()
    timings: dict[str, StepTiming] = {}
    failures: dict[str, str] = {}
    times: dict[str, list[float]] = {}
    for turn, (name, (settings, pair, size, data)) in itertools.product(range(PASSES), arms.items()):
        if name in failures:
            continue
        try:
            # Only a CPU's pace is worked out: a GPU is asked.
            expected = step_multiply_adds(settings, size) / rate if device == "cpu" else 0.0
            if expected <= SLOW_STEP:
                taken = _timed(settings, pair, data, device, warm_up=1, steps=TIMED)
                times[name] = [*times.get(name, []), *taken]
            elif turn == 0:
                timings[name] = _slow_pace(settings, pair, data, device, expected)
        except torch.OutOfMemoryError:
            continue  # a GPU that others share may have room later: its pace is unknown, and a trial says what it is
        except Exception as error:
            if isinstance(error, (ValueError, RuntimeError)):
                failures[name] = (
                    f"the first training step fails: {(str(error).splitlines() or [''])[0]}{place_of(error)}"
                )
            elif trained_by_own_code(settings):
                failures[name] = f"the first training step raised {in_words(error)}"
            else:
                raise
    measured = {
        name: StepTiming(statistics.median(values), "measured")
        for name, values in times.items()
        if name not in failures
    }
    return timings | measured, failures


def _slow_pace(settings: TrialSettings, pair: NetworkPair, data: Dataset, device: str, expected: float) -> StepTiming:
    """Work out the seconds of a long step from steps on fewer images."""
    whole = settings.training.batch_size
    least = expected * FEW / whole
    if least > ENDLESS_STEP:
        return StepTiming(expected, "worked out from multiply-adds")
    if least > SLOW_STEP:
        (seconds,) = _timed(settings, pair, data, device, batch=FEW, warm_up=0, steps=1)
        return StepTiming(seconds * whole / FEW, f"measured on {FEW} images of {whole}")
    more = min(whole, max(2 * FEW, round(whole * SLOW_STEP / expected)))
    little, much = (min(_timed(settings, pair, data, device, batch=n, warm_up=1, steps=TIMED)) for n in (FEW, more))
    each = (much - little) / (more - FEW) if much > little else much / more
    return StepTiming(much + each * (whole - more), f"measured on {FEW} and {more} images of {whole}")


def _timed(
    settings: TrialSettings,
    pair: NetworkPair,
    data: Dataset,
    device: str,
    *,
    batch: int | None = None,
    warm_up: int,
    steps: int,
) -> list[float]:
    count = warm_up + steps
    update: dict[str, object] = {"steps": max(settings.training.steps, count)}
    if batch:
        update["batch_size"] = batch
    settings = settings.model_copy(update={"training": settings.training.model_copy(update=update)})
    channels_last = settings.training.channels_last
    networks = (copy.deepcopy(net) for net in pair.networks().values())
    copies = NetworkPair(*(place(net, channels_last=channels_last, device=device) for net in networks))
    training = train(Trainer(copies, settings, data.train, block="preflight"), log_every=settings.training.steps + 1)
    clock = clock_of(device)
    times = []
    for _ in range(count):
        before = clock()
        next(training)
        times.append(clock() - before)
    return times[warm_up:]


@dataclass(frozen=True)
class EvaluationTiming:
    """Seconds that a study's metrics take."""

    first: float
    """Before the first evaluation in a process: feature networks are loaded, real images measured."""
    each: float


def time_evaluation(
    plan: MeasureSettings, data: Dataset, pair: NetworkPair, latent: int | None, *, device: str = "cpu"
) -> EvaluationTiming:
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
    there = torch.device(device)
    generator, discriminator = (copy.deepcopy(net).eval().to(there) for net in (pair.generator, pair.discriminator))
    evaluation = Evaluation(
        real=real,
        fake=real.flip(0),
        paired=data.paired,
        train=_unit(data.train.target[:sample]),
        characters=held.labels[:sample],
        networks=trained_networks(generator, discriminator, conditions, conditions, there),
        device=there,
    )
    names = plan.measured
    clock = clock_of(device)
    laps = []
    for _ in range(2):
        before = clock()
        measure(names, evaluation)
        laps.append(clock() - before)
    before = clock()
    with torch.no_grad():
        generator(conditions.map(lambda x: x[:DRAWN].to(there)))
    drawing = (clock() - before) * sample / min(sample, DRAWN)
    # A timed call measures real and generated images; later ones find the real ones' statistics kept.
    return EvaluationTiming(
        first=max(laps[0] - laps[1], 0.0) + laps[1] / 2 * count / sample, each=(laps[1] / 2 + drawing) * count / sample
    )


def _unit(images: torch.Tensor) -> torch.Tensor:
    return to_unit_range(images.float() / 127.5 - 1)
