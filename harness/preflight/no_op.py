"""Does an arm train the same networks in the same way as another? Proved, seen to, or not.

A proof may spare a training only where it is one. Three kinds of settings can be proved to make no difference:

- those that nothing ever reads;
- those that build equal parts: the networks at their real size are compared module by module, and what schedules set,
  rates and blurs, at every step;
- those that do the same sums in another way (`REARRANGED`), which small float64 copies show up to rounding.

Whatever else is read, or belongs to a user's own code, is trained: then "no difference seen" is no more than a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from harness.models import GaussianBlur, NetworkPair
from harness.preflight.function_probe import (
    EXACT,
    EXACT_AFTER_STEPS,
    STREAMS,
    Tensors,
    agreement,
    answers,
    course,
    digest,
    random_split,
    same_shapes,
    sample_steps,
    small_pair,
)
from harness.preflight.settings_read import changed_settings, own_parts, watched
from harness.preflight.small_networks import Shape
from harness.preflight.structure import same_structure
from harness.study.settings import TrialSettings
from harness.trial.trainer import Trainer, set_schedules

NOT_COMPARED = ("failures.", "training.steps", "training.batch_size", "training.precision", "data.")
"""Settings that an identity of functions says nothing about."""
REARRANGED = ("generator.innermost.", "training.loss.real_and_fake", "training.channels_last")
"""Settings that may ask for the same sums in another order or by other means: equal in exact arithmetic."""
SCHEDULED = ("training.optimizer.", "training.schedule.", "discriminator.blur.")
"""Settings whose whole effect is what `set_schedules` leaves in optimisers and blurs at each step."""
READ_FROM_THE_START = (
    "generator.",
    "discriminator.",
    "training.loss.",
    "training.instance_noise.",
    "training.adaptive_augment.",
    *SCHEDULED,
)
"""Settings that are read when networks are built, or in the same way at every step, or at none."""
ROUNDING, ROUNDING_AFTER_STEPS = 1e-3, 0.05
"""Largest differences, over the largest magnitude of a tensor, that float32 makes of equal functions and trainings."""


@dataclass(frozen=True)
class Likeness:
    """What is known of the difference between two arms; nothing said means that they differ, as far as is known."""

    proof: str | None = None
    """Why they are one training."""
    note: str | None = None
    """Why they are not proved to be, though no difference was seen."""
    bitwise: bool = False
    """Whether a proof holds for every bit of the small float64 copies."""


class ProbedArm:
    """An arm's answers, its short training and its schedules, each computed once, at a small width in float64."""

    def __init__(
        self, settings: TrialSettings, small: TrialSettings, shape: Shape, pair: NetworkPair, *, width: int
    ) -> None:
        """Take an arm.

        Args:
            settings: Its own.
            small: The same with fewer channels.
            shape: Of the data.
            pair: Its networks at their real size, with a block's initial weights; never changed.
            width: By which the widths were divided.
        """
        self.settings, self.small, self.shape, self.pair, self.width = settings, small, shape, pair, width
        self.read: set[str] = set()
        """Dotted settings that anything has looked at."""

    @cached_property
    def answers(self) -> Tensors:
        """Outputs and gradients."""
        return answers(self.small, self.shape, self.read)

    @cached_property
    def digest(self) -> str:
        """Of the answers, every bit."""
        return digest(self.answers)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of its short training."""
        return sample_steps(self.settings.training.steps)

    @cached_property
    def course(self) -> Tensors:
        """Losses, gradients and weights of a few training steps."""
        return course(self.small, self.shape, self.read, self.steps)

    @cached_property
    def in_float32(self) -> tuple[Tensors, Tensors]:
        """The answers and the first two training steps in the precision of the training."""
        alone = torch.float32
        return answers(self.small, self.shape, set(), alone), course(self.small, self.shape, set(), [0, 1], alone)

    def first_step(self) -> Tensors:
        """Return what the first step alone comes to."""
        return course(self.small, self.shape, self.read, self.steps[:1])

    @cached_property
    def schedules(self) -> Sequence[object]:
        """What optimisers and blurs are set to, at every step of the training."""
        pair = small_pair(self.small, self.shape, self.read, torch.float32)
        split = random_split(self.small, self.shape, self.small.training.batch_size)
        trainer = Trainer(pair, watched(self.small, self.read), split, block=STREAMS)
        blurs = {
            f"{net}.{path}": module
            for net, network in pair.networks().items()
            for path, module in network.named_modules()
            if isinstance(module, GaussianBlur)
        }
        states = []
        for step in range(self.settings.training.steps):
            set_schedules(trainer, step)
            states.append(
                (_optimizer_state(trainer.optimizer_g), _optimizer_state(trainer.optimizer_d), _blur_state(blurs))
            )
        return states


def likeness(arm: ProbedArm, other: ProbedArm, name: str) -> Likeness:
    """Compare two arms.

    Args:
        arm: An arm.
        other: The baseline, or another arm.
        name: What the other is called in notes.

    Raises:
        ValueError: The networks do not fit together, or know no float64.
    """
    changed = changed_settings(arm.settings, other.settings)
    if any(path.startswith(NOT_COMPARED) for path in changed):
        return Likeness()
    answered = agreement(arm.answers, other.answers).worst
    if answered > EXACT or not same_shapes(arm.pair, other.pair):
        return Likeness()
    trained = agreement(arm.course, other.course).worst
    if trained > EXACT_AFTER_STEPS:
        return Likeness()
    states = [a == b for a, b in zip(arm.schedules, other.schedules, strict=True)]
    read = changed & (arm.read | other.read)
    doubt = _doubt(arm, other, changed, read) or _schedule_doubt(states)
    gap = max(answered, trained)
    if doubt is None and read:
        doubt = _structure_doubt(arm, other, read, gap)
    rounding = None if doubt is not None or not read else _rounding(arm, other)
    if rounding is not None and (rounding[0] > ROUNDING or rounding[1] > ROUNDING_AFTER_STEPS):
        doubt = f"in float32 they differ by up to {max(rounding):.1g}, more than is put down to rounding"
    if doubt is not None:
        seen = f"no difference from {name} seen in outputs, gradients and {len(arm.steps)} training steps"
        return Likeness(note=f"{seen}, but that is no proof: {doubt}")
    proof = _proof(arm, changed, read, (answered, trained), len(states))
    if rounding is not None:
        worst = max(rounding)
        proof += "; in float32 too" if worst == 0 else f"; in float32 rounding leaves differences of up to {worst:.1g}"
    return Likeness(proof=proof, bitwise=gap == 0)


def _doubt(arm: ProbedArm, other: ProbedArm, changed: frozenset[str], read: frozenset[str]) -> str | None:
    """Return which settings only a training can tell of, or None."""
    own = own_parts(arm.settings) | own_parts(other.settings)
    asks_networks = {p for p in changed if p.startswith("training.") and not p.startswith(SCHEDULED)}
    foreign = {p for p in changed if p.split(".")[0] in own} | (asks_networks if own & NETWORKS else set())
    if foreign:
        return f"what {_named(foreign)} {_do(foreign)} is up to code of your own, which may act later or seldom"
    late = {path for path in changed - read if not path.startswith(READ_FROM_THE_START)}
    if late:
        return f"{_named(late)} {_are(late)} not read in these steps, and may be in others"
    unknown = {p for p in read if p.startswith("training.") and not p.startswith((*REARRANGED, *SCHEDULED))}
    return f"{_named(unknown)} {_are(unknown)} read" if unknown else None


NETWORKS = {"generator", "discriminator"}


def _schedule_doubt(equal: list[bool]) -> str | None:
    """Return at which steps the schedules differ, or None."""
    if all(equal):
        return None
    steps = f"{equal.count(False):,} of {len(equal):,} steps"
    return f"optimisers or blurs are set otherwise at {steps}, first at step {equal.index(False) + 1:,}"


def _structure_doubt(arm: ProbedArm, other: ProbedArm, read: frozenset[str], gap: float) -> str | None:
    """Return in which network parts differ that no rearrangement accounts for, or None."""
    plain = {path for path in read if not path.startswith(REARRANGED)}
    for net, network in arm.pair.networks().items():
        of_network = {path for path in plain if path.startswith(net)}
        if of_network and not same_structure(network, other.pair.networks()[net], as_identity=(GaussianBlur,)):
            return f"{_named(of_network)} {_are(of_network)} read, and the {net}s are not made of equal parts"
    if plain == read and gap > 0:
        return f"outputs, gradients or weights differ by up to {gap:.1g} of their size in float64"
    return None


def _rounding(arm: ProbedArm, other: ProbedArm) -> tuple[float, float]:
    """Return what is left of an exact identity in the float32 of the training: in answers, and after two steps."""
    at_once, after = (agreement(a, b).worst for a, b in zip(arm.in_float32, other.in_float32, strict=True))
    return at_once, after


def _proof(arm: ProbedArm, changed: frozenset[str], read: frozenset[str], gaps: tuple[float, float], steps: int) -> str:
    if not read:
        return f"{_named(changed) or 'nothing'}: never read in this arm, so it changes nothing"
    answered, trained = gaps
    width = f" (networks at 1/{arm.width} of the width)" if arm.width > 1 else ""
    figures = (
        "are equal bit for bit in float64"
        if max(gaps) == 0
        else f"are equal in float64: within {answered:.1g} of their size before and {trained:.1g} after training "
        f"(tolerance {EXACT:g} and {EXACT_AFTER_STEPS:g})"
    )
    text = (
        f"outputs and gradients of both networks, and all weights after {len(arm.steps)} training steps, "
        f"{figures}{width}"
    )
    if any(
        path.startswith("training.schedule.") or path.endswith((".fade", ".sigma", ".lr_discriminator"))
        for path in read
    ):
        text += f"; optimisers and blurs are set alike at each of {steps:,} steps"
    return text


def _named(paths: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(paths))


def _are(paths: set[str] | frozenset[str]) -> str:
    return "are" if len(paths) > 1 else "is"


def _do(paths: set[str] | frozenset[str]) -> str:
    return "do" if len(paths) > 1 else "does"


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[object, ...]:
    """Return all that decides an update beside gradients and its past; Adam and AdamW are one without weight decay."""
    groups = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    plain = isinstance(optimizer, torch.optim.Adam) and all(group["weight_decay"] == 0 for group in groups)
    if plain:
        for group in groups:
            group.pop("decoupled_weight_decay", None)
    return "Adam" if plain else type(optimizer).__name__, repr([sorted(group.items()) for group in groups])


def _blur_state(blurs: Mapping[str, GaussianBlur]) -> tuple[object, ...]:
    """Return each blur's kernel without outer zeros, by place; a single tap of 1 is no blur."""
    kernels = ((path, _without_zeros(blur.kernel.tolist())) for path, blur in blurs.items())
    return tuple((path, kernel) for path, kernel in kernels if kernel != (1.0,))


def _without_zeros(taps: list[float]) -> tuple[float, ...]:
    while len(taps) > 1 and taps[0] == taps[-1] == 0:
        taps = taps[1:-1]
    return tuple(taps)
