"""A self-test of the GPU in about a minute: what the harness needs of one, and what a report of a fault needs."""

from __future__ import annotations

import copy
import functools
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from harness.data import Split, load
from harness.executors.worker import status_of
from harness.metrics.features import extractor_named
from harness.models import NetworkPair, build_pair, place
from harness.models.contract import example_conditions
from harness.provenance import ARITHMETIC, package_versions
from harness.randomness import stream
from harness.study.settings import TrialSettings
from harness.terminal.doctor import Check
from harness.trial.device import exact_arithmetic
from harness.trial.trainer import Trainer
from harness.trial.training import train

FORWARD, FEATURES, LOSSES = 1e-4, 1e-3, 1e-3
"""Largest differences from the CPU, over the largest magnitude: float32 sums in another order."""
STEPS = 20
BLOCK = "gpu-check"
SMALL: Mapping[str, object] = {
    "data": {"kind": "glyphs", "characters": "ascii-letters", "image_size": 32},
    "generator": {"kind": "unet", "channels": 16, "style_channels": 16},
    "discriminator": {"kind": "zi2zi", "channels": 16, "spectral_norm": "convs"},
    "training": {"steps": STEPS, "batch_size": 16, "ema": 0.9},
}


class CheckError(Exception):
    """A GPU does not do what the harness needs of it."""


def described() -> dict[str, str]:
    """Return what a report of a fault needs to say: torch, CUDA, drivers, cards, arithmetic."""
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    return {
        "torch": f"{torch.__version__}, built for CUDA {torch.version.cuda or 'none'}; cuDNN {cudnn or 'none'}",
        "packages": ", ".join(f"{name} {version}" for name, version in package_versions().items()),
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "not set"),
        "arithmetic": ARITHMETIC,
        **{f"GPU {number}": _card(number) for number in cards},
    }


def _card(number: int) -> str:
    properties = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return (
        f"{properties.name}, compute capability {properties.major}.{properties.minor}, "
        f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    )


def checked(device: str = "cuda") -> Iterator[Check]:
    """Try everything on a device, and yield what each came to; a fault of one keeps no other from being tried."""
    exact_arithmetic()
    for name, check in CHECKS.items():
        before = time.perf_counter()
        try:
            passed, found = True, check(device)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is what this is for
            said = str(error).splitlines() or [""]
            passed, found = False, said[0] if isinstance(error, CheckError) else f"{type(error).__name__}: {said[0]}"
        yield Check(name, passed, found, time.perf_counter() - before)


def _settings(**training: object) -> TrialSettings:
    return TrialSettings.model_validate({**SMALL, "training": {**dict(SMALL["training"]), **training}})  # type: ignore[call-overload]


def _trainer(device: str, split: Split, styles: int, **training: object) -> Trainer:
    settings = _settings(**training)
    pair = build_pair(settings, styles=styles, block=BLOCK)
    for network in pair.networks().values():
        place(network, channels_last=True, device=device)
    return Trainer(pair, settings, split, block=BLOCK)


@functools.cache
def _letters() -> tuple[Split, int]:
    data = load(_settings().data)
    return data.train, len(data.styles)


def _weights(pair: NetworkPair) -> list[Tensor]:
    return [p.detach().cpu() for network in pair.networks().values() for p in network.state_dict().values()]


def _gap(here: Tensor, there: Tensor) -> float:
    return float((here.cpu().double() - there.double()).abs().max() / there.abs().max().clamp_min(1e-12))


def _within(gap: float, most: float, what: str) -> str:
    text = f"{what} differ from the CPU's by {gap:.2g} of the largest at most; {most:g} is allowed"
    if not gap <= most:
        raise CheckError(text)
    return text


def _forward(device: str) -> str:
    """Images and logits of both networks, the same weights on both sides."""
    settings = _settings()
    pair = build_pair(settings, styles=2, block=BLOCK)
    conditions = example_conditions(8, styles=2, latent=None, image_size=32, channels=1)
    outputs = []
    for where in ("cpu", device):
        networks = [place(copy.deepcopy(n).eval(), channels_last=True, device=where) for n in pair.networks().values()]
        with torch.no_grad():
            given = conditions.map(lambda x, where=where: x.to(where))  # type: ignore[misc]
            image = networks[0](given).image
            outputs.append((image, networks[1](image, given).real))
    return _within(max(_gap(b, a) for a, b in zip(*outputs, strict=True)), FORWARD, "images and logits")


def _losses(device: str) -> str:
    """Losses of the first training step."""
    split, styles = _letters()
    first = [next(train(_trainer(where, split, styles))) for where in ("cpu", device)]
    pairs = [torch.tensor([float(p.loss_d), float(p.loss_g)]) for p in first]
    return _within(_gap(pairs[1], pairs[0]), LOSSES, "losses of the first step")


def _again(device: str) -> str:
    """The same training twice, and once more from a checkpoint in its middle."""
    split, styles = _letters()
    trained = []
    for _ in range(2):
        trainer = _trainer(device, split, styles)
        file = io.BytesIO()
        for progress in train(trainer):
            if progress.step == STEPS // 2:
                torch.save(trainer.state(), file)
        trained.append(_weights(trainer.pair))
    if not all(torch.equal(a, b) for a, b in zip(*trained, strict=True)):
        raise CheckError(f"two trainings of {STEPS} steps from the same start end in other weights")
    resumed = _trainer(device, split, styles)
    file.seek(0)
    resumed.load_state(torch.load(file, map_location=device, weights_only=True))
    for _ in train(resumed):
        pass
    if not all(torch.equal(a, b) for a, b in zip(trained[0], _weights(resumed.pair), strict=True)):
        raise CheckError(f"a training that goes on from step {STEPS // 2} ends in other weights")
    return f"{STEPS} steps, again, and from a checkpoint at step {STEPS // 2}: the same weights, bit for bit"


def _half(device: str) -> str:
    """bfloat16, with the loss that torch refuses under autocast on CUDA."""
    split, styles = _letters()
    trainer = _trainer(device, split, styles, precision="bfloat16", steps=3, loss={"kind": "sigmoid_bce"})
    losses = [float(progress.loss_d) for progress in train(trainer)]
    if not torch.tensor(losses).isfinite().all():
        raise CheckError(f"losses {losses} are not finite")
    return "3 steps in bfloat16, with sigmoid_bce: losses are finite"


def _features(device: str) -> str:
    """Features of the default metric."""
    images = torch.rand(32, 1, 32, 32, generator=stream(BLOCK, "images"))
    extractor = extractor_named("efficientnet")
    here, there = (extractor.extract(images, torch.device(where)) for where in (device, "cpu"))
    return _within(_gap(here, there), FEATURES, "EfficientNet-Lite0's features")


def _memory(device: str) -> str:
    """More memory than there is."""
    try:
        torch.empty(2**52, dtype=torch.uint8, device=device)
    except (RuntimeError, MemoryError) as error:
        status = status_of(error)
        if status != "oom":
            raise CheckError(f"a lack of memory has the status {status}, not oom: {error}") from error
        return "a lack of memory has the status oom, and the device computes on"
    raise CheckError("4 PiB could be allocated")


def _pace(device: str) -> str:
    """Seconds a step, after the first ones."""
    split, styles = _letters()
    paces = []
    for where in (device, "cpu"):
        steps = train(_trainer(where, split, styles), log_every=STEPS + 1)
        for _ in range(3):
            float(next(steps).loss_d)
        before, count = time.perf_counter(), 0
        for progress in steps:
            last, count = progress, count + 1
        float(last.loss_d)
        paces.append((time.perf_counter() - before) / count)
    return f"{paces[0]:.3g} s a step of the small networks, {paces[1]:.3g} s on one thread of the CPU"


CHECKS: Mapping[str, Callable[[str], str]] = {
    "forward passes": _forward,
    "first losses": _losses,
    "reproducible": _again,
    "bfloat16": _half,
    "features": _features,
    "out of memory": _memory,
    "pace": _pace,
}
"""In the order in which they are tried; each returns what it found, or raises."""
