"""Which facts a study is about: those of the settings in which its arms differ, and of the networks that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.preflight.facts.blur import blur_facts
from harness.preflight.facts.cost import cost_facts
from harness.preflight.facts.dcgan import dcgan_facts
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.facts.losses import batch_facts, saturation_facts
from harness.preflight.facts.spectral import spectral_facts
from harness.preflight.facts.stride import stride_facts
from harness.preflight.facts.unmatched import unmatched_facts
from harness.preflight.settings_read import changed_settings, own_parts
from harness.study.network_settings import (
    CommonDiscriminatorSettings,
    DcganDiscriminatorSettings,
    DcganGeneratorSettings,
    UNetSettings,
)
from harness.study.settings import TrialSettings


def _any(_: TrialSettings) -> bool:
    return True


def _built_in(settings: TrialSettings) -> bool:
    return not own_parts(settings) & {"generator", "discriminator"}


def _built_in_discriminator(settings: TrialSettings) -> bool:
    return isinstance(settings.discriminator, CommonDiscriminatorSettings)


def _unet(settings: TrialSettings) -> bool:
    return isinstance(settings.generator, UNetSettings)


def _dcgan(settings: TrialSettings) -> bool:
    g, d = settings.generator, settings.discriminator
    return isinstance(g, DcganGeneratorSettings) and isinstance(d, DcganDiscriminatorSettings)


@dataclass(frozen=True)
class Topic:
    """Facts of one kind, and when they are told."""

    settings: tuple[str, ...]
    """Beginnings of dotted settings, one of which must differ between arms; without any, the baseline decides."""
    networks: Callable[[TrialSettings], bool]
    """Whether an arm has the networks that the facts are about."""
    facts: Callable[[Sequence[Inspected]], Iterable[Fact]]


TOPICS = (
    Topic(("",), _any, cost_facts),
    Topic(("discriminator.blur.",), _built_in_discriminator, blur_facts),
    Topic(("discriminator.spectral_norm",), _built_in_discriminator, spectral_facts),
    Topic(
        ("generator.innermost.", "generator.levels", "generator.upsampling", "generator.refine"), _unet, stride_facts
    ),
    Topic(("training.loss.kind",), _any, saturation_facts),
    Topic(("training.loss.real_and_fake",), _built_in, batch_facts),
    Topic((), _dcgan, dcgan_facts),
    Topic(
        ("data.", "training.batch_size", "training.discriminator_steps", "discriminator.spectral_norm"),
        _any,
        unmatched_facts,
    ),
)


def facts(arms: Sequence[Inspected]) -> tuple[Fact, ...]:
    """Return what can be said before training about the settings in which the arms differ.

    Args:
        arms: Those that can be built, the baseline first.
    """
    touched = {path for arm in arms for path in changed_settings(arm.settings, arms[0].settings)}
    return tuple(
        fact
        for topic in TOPICS
        if any(path.startswith(topic.settings) for path in touched)
        or (not topic.settings and topic.networks(arms[0].settings))
        if (concerned := [arm for arm in arms if topic.networks(arm.settings)])
        for fact in topic.facts(concerned)
    )
