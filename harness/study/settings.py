"""All settings that one trial is a function of: each field, at any depth, is a possible axis of a study."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from harness.study.command import CommandSettings
from harness.study.data_settings import DataSettings, GlyphSettings
from harness.study.fields import Settings, Text
from harness.study.network_settings import (
    DiscriminatorSettings,
    GeneratorSettings,
    UNetSettings,
    Zi2ziDiscriminatorSettings,
)
from harness.study.training_settings import TrainingSettings


class FailureSettings(Settings):
    """When a trial counts as failed; written down before it is run."""

    loss_limit: Annotated[float, Strict(), Field(gt=0.0)] = 1.0e4
    """Diverged: a loss beyond this in absolute value, or not finite, or images not finite."""
    diversity_floor: Annotated[float, Strict(), Field(ge=0.0, lt=1.0)] = 0.1
    """Collapsed: the samples' mean pairwise distance, as a share of the held-out images' own, at the horizon."""


class TrialSettings(Settings):
    """All that one trial is a function of, beside its block and the data."""

    data: DataSettings = GlyphSettings()
    """What is learned from, and what is held out."""
    generator: GeneratorSettings = UNetSettings()
    """The network that makes images."""
    discriminator: DiscriminatorSettings = Zi2ziDiscriminatorSettings()
    """The network that judges them."""
    training: TrainingSettings = TrainingSettings()
    """The loop: length, losses, optimiser."""
    failures: FailureSettings = FailureSettings()
    """When a trial counts as diverged or collapsed."""
    trial: CommandSettings | None = None
    """A command of your own that each trial is, in place of all the groups above."""
    real: Text | None = None
    """Of trials that are commands: the folder of images that generated ones are measured against."""

    @property
    def steps(self) -> int:
        """Steps of a trial; a command is a single one: it is measured when it has ended."""
        return self.training.steps if self.trial is None else 1

    @property
    def latent(self) -> int | None:
        """Numbers in a latent that the generator draws from; None where it redraws a source."""
        return getattr(self.generator, "latent", None)
