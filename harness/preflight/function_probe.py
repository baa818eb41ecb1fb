"""Do two arms compute the same thing? Small float64 copies with matched weights are asked, and trained a few steps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data import Split
from harness.models import Conditions, GaussianBlur, MatchedDropout, NetworkPair, build_pair, place
from harness.models.alignment import named_weights
from harness.models.contract import Generated, Judgement
from harness.models.cost import words_for_shapes
from harness.preflight.settings_read import watched
from harness.preflight.small_networks import Shape
from harness.randomness import stream
from harness.study.settings import TrialSettings
from harness.trial.losses import ADVERSARIAL
from harness.trial.trainer import Trainer
from harness.trial.training import train

STREAMS = "preflight"
"""Key of the streams of all weights and inputs here; no block of a study has it."""
EXACT = 1e-12
"""Largest difference of outputs and gradients, over the largest magnitude of the tensor, that float64 calls equal."""
EXACT_AFTER_STEPS = 1e-9
"""The same after training steps: Adam divides gradients by their own size, and so enlarges rounding."""
SCALES = (1.0, 8.0)
"""Factors on the initial weights."""
LOGITS = (-200.0, -40.0, -4.0, 0.0, 4.0, 40.0, 200.0)
"""Where the adversarial loss is asked; in float64 a sigmoid has rounded to 0 or 1 at 40."""
ITEMS = 12
"""Training images, all random."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Agreement:
    """How far two sets of tensors agree."""

    worst: float
    """Largest difference over the largest magnitude of its tensor; infinite where names or shapes differ."""

    @property
    def bitwise(self) -> bool:
        """Whether there is no difference at all."""
        return self.worst == 0


def agreement(arm: Tensors, baseline: Tensors) -> Agreement:
    """Compare tensors name by name."""
    if arm.keys() != baseline.keys() or any(arm[name].shape != baseline[name].shape for name in arm):
        return Agreement(math.inf)
    worst = 0.0
    for name, a in arm.items():
        b = baseline[name]
        if torch.equal(a, b):
            continue
        gap = ((a - b).abs().max() / b.abs().max().clamp_min(1e-300)).item()
        worst = max(worst, gap if math.isfinite(gap) else math.inf)
    return Agreement(worst)


def digest(tensors: Tensors) -> str:
    """Return a hash of names, shapes and every bit."""
    hashed = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name}{tuple(tensor.shape)}".encode())
        hashed.update(tensor.contiguous().numpy().data)
    return hashed.hexdigest()


def answers(settings: TrialSettings, shape: Shape, read: set[str], dtype: torch.dtype = torch.float64) -> Tensors:
    """Return outputs, and gradients along random directions, of both networks on random inputs, in both modes.

    Once with the initial weights and once with larger ones, so that what shows only later in a training shows here too;
    for the same reason the adversarial loss is asked over a wide range of logits.

    Args:
        settings: An arm's, small.
        shape: Of the data.
        read: Takes up the dotted settings that are looked at.
        dtype: Of weights and inputs.

    Raises:
        ValueError: The networks do not fit together.
    """
    tensors = _loss_answers(watched(settings, read).training.loss.kind, dtype)
    for scale in SCALES:
        pair = small_pair(settings, shape, read, dtype)
        with torch.no_grad():
            for parameter in (p for network in pair.networks().values() for p in network.parameters()):
                parameter.mul_(scale)
        for training in (True, False):
            mode = f"{'training' if training else 'evaluation'} x{scale:g}"
            tensors |= {
                f"{mode}/{name}": x for name, x in _pair_answers(pair, settings, shape, dtype, training=training)
            }
    return tensors


def _pair_answers(
    pair: NetworkPair, settings: TrialSettings, shape: Shape, dtype: torch.dtype, *, training: bool
) -> Iterator[tuple[str, Tensor]]:
    """Yield outputs and gradients of both networks in one mode, by name."""
    for part in _parts(pair):
        part.begin(STREAMS, 0) if isinstance(part, MatchedDropout) else part.begin(0.0)
    conditions, images = probe_inputs(settings, shape, dtype)
    images.requires_grad_(True)
    generator, discriminator = pair.generator.train(training), pair.discriminator.train(training)
    with torch.random.fork_rng(devices=[]):
        # Users' layers that draw from the global stream, as dropout does, draw the same in every arm.
        torch.manual_seed(0)
        with words_for_shapes("generator", generator):
            drawn: Generated = generator(conditions)
        with words_for_shapes("discriminator", discriminator):
            judged: Judgement = discriminator(images, conditions)
    for net, network, outputs, inputs in (
        ("generator", generator, drawn, {}),
        ("discriminator", discriminator, judged, {"images": images}),
    ):
        given = {f"{net}/{name}": x for name, x in zip(outputs._fields, outputs, strict=True) if x is not None}
        for name, x in given.items():
            yield name, x.detach()
        for name, gradient in _gradients(given, {**dict(named_weights(network)), **inputs}).items():
            yield f"{net}/gradient/{name}", gradient


def _loss_answers(kind: str, dtype: torch.dtype) -> Tensors:
    """Return the adversarial losses and their gradients over logits far beyond those of untrained networks."""
    tensors: Tensors = {}
    for name, part in ADVERSARIAL[kind]._asdict().items():
        for level in LOGITS:
            logit = torch.tensor([level], dtype=dtype, requires_grad=True)
            loss = part(logit)
            (gradient,) = torch.autograd.grad(loss, logit)
            tensors[f"loss/{name} at {level:g}"] = torch.stack([loss.detach(), gradient[0]])
    return tensors


def course(
    settings: TrialSettings, shape: Shape, read: set[str], steps: Iterable[int], dtype: torch.dtype = torch.float64
) -> Tensors:
    """Return losses, gradients and weights of real training steps on random images.

    Args:
        settings: An arm's, small.
        shape: Of the data.
        read: Takes up the dotted settings that are looked at.
        steps: Numbers of the steps to take, from 0: rates, fades and schedules are those of these steps.
        dtype: Of weights and images.

    Raises:
        ValueError: The networks do not fit together.
    """
    pair = small_pair(settings, shape, read, dtype)
    trainer = _TypedTrainer(pair, watched(settings, read), random_split(settings, shape, ITEMS), block=STREAMS)
    training = train(trainer, log_every=1)
    tensors: Tensors = {}
    with words_for_shapes("generator", pair.generator), words_for_shapes("discriminator", pair.discriminator):
        for step in steps:
            trainer.step = step
            progress = next(training)
            tensors[f"{step}/losses"] = torch.tensor(
                [float(progress.loss_d), float(progress.loss_g)], dtype=torch.float64
            )
            for net, network in pair.networks().items():
                grads = {name: p.grad for name, p in named_weights(network) if p.grad is not None}
                tensors |= {f"{step}/{net}/gradient/{name}": g.clone() for name, g in grads.items()}
    for net, network in (*pair.networks().items(), ("measured", trainer.measured)):
        tensors |= {
            f"after/{net}/{name}": x.clone() for name, x in network.state_dict().items() if x.is_floating_point()
        }
    return tensors


def sample_steps(steps: int) -> tuple[int, ...]:
    """Return the first step of a training, the last, and those at its thirds."""
    return tuple(sorted({0, steps // 3, 2 * steps // 3, steps - 1}))


def random_split(settings: TrialSettings, shape: Shape, count: int) -> Split:
    """Return `count` random images, with random sources where the data has pairs."""
    s = settings.data
    source, target = (
        torch.randint(0, 256, (count, s.channels, s.image_size, s.image_size), generator=stream(STREAMS, name)).to(
            torch.uint8
        )
        for name in ("source", "target")
    )
    style = torch.arange(count) % shape.styles
    return Split(target, source if shape.paired else None, style, tuple(map(str, range(count))), shape.aligned)


class _TypedTrainer(Trainer):
    """Training in the precision of the networks' weights."""

    def batch(self, index: int, purpose: str) -> tuple[Conditions, Tensor]:
        dtype = self.parameters_d[0].dtype
        conditions, real = super().batch(index, purpose)
        return conditions.map(lambda x: x.to(dtype) if x.is_floating_point() else x), real.to(dtype)


def small_pair(settings: TrialSettings, shape: Shape, read: set[str], dtype: torch.dtype) -> NetworkPair:
    """Return both networks of an arm, always with the same weights, in a precision and the arm's memory layout."""
    pair = build_pair(watched(settings, read), styles=shape.styles, block=STREAMS)
    read_settings = watched(settings, read)
    for network in pair.networks().values():
        place(network, channels_last=read_settings.training.channels_last, dtype=dtype)
    return pair


def _parts(pair: NetworkPair) -> list[MatchedDropout | GaussianBlur]:
    modules = (m for network in pair.networks().values() for m in network.modules())
    return [m for m in modules if isinstance(m, (MatchedDropout, GaussianBlur))]


def probe_inputs(settings: TrialSettings, shape: Shape, dtype: torch.dtype) -> tuple[Conditions, Tensor]:
    """Return random conditions and images of three items, the same for every arm of one size."""
    s, count = settings.data, 3
    size = (count, s.channels, s.image_size, s.image_size)
    latent = settings.latent
    conditions = Conditions(
        _uniform("source", size, dtype) if shape.paired else None,
        torch.arange(count) % shape.styles,
        _normal("latent", (count, latent), dtype) if latent else None,
    )
    return conditions, _uniform("images", size, dtype)


def _uniform(name: str, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return (torch.rand(size, generator=stream(STREAMS, f"probe/{name}"), dtype=torch.float64) * 2 - 1).to(dtype)


def _normal(name: str, size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.randn(size, generator=stream(STREAMS, f"probe/{name}"), dtype=torch.float64).to(dtype)


def _gradients(outputs: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensors:
    """Return the gradient of the outputs along one random direction; zeros where they do not depend on a tensor."""
    along = torch.stack([(x * _normal(name, tuple(x.shape), x.dtype)).sum() for name, x in outputs.items()]).sum()
    gradients = torch.autograd.grad(along, list(inputs.values()), allow_unused=True)
    return {
        name: torch.zeros_like(x) if g is None else g for (name, x), g in zip(inputs.items(), gradients, strict=True)
    }


def same_shapes(arm: NetworkPair, baseline: NetworkPair) -> bool:
    """Return whether two pairs learn tensors of the same names and shapes."""

    def shapes(network: nn.Module) -> dict[str, torch.Size]:
        return {name: p.shape for name, p in named_weights(network)}

    return all(shapes(a) == shapes(baseline.networks()[net]) for net, a in arm.networks().items())
