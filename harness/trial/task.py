"""What is asked of an executor, and what it says meanwhile: plain data that can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.results.schema import Row
from harness.study.measure_settings import MeasureSettings
from harness.study.settings import TrialSettings
from harness.trial.command_task import CommandTask


@dataclass(frozen=True)
class TrialTask:
    """All that one trial is a function of, in a form that can be sent to another process or machine."""

    trial_id: str
    study: str
    study_hash: str
    arm: str
    levels: Mapping[str, str]
    block: int
    streams: str
    """Key of its named streams: seed and block's."""
    baseline_streams: str
    """Key of the baseline's named streams in the same block."""
    settings: TrialSettings
    baseline: TrialSettings
    """The baseline's settings, for the share of initial parameters that match."""
    measure: MeasureSettings
    doors: tuple[str, ...] = ()
    """Every `package.module:function` of a user's own in the arm: its source is part of what its row is computed by."""
    control: str | None = None
    attempts: int = 1
    command: CommandTask | None = None
    """What is run, where the trial is a command."""

    def row(self) -> Row:
        """Return what stands in the trial's row whatever comes of it."""
        return {
            "study": self.study,
            "study_hash": self.study_hash,
            "trial_id": self.trial_id,
            "arm": self.arm,
            "block": self.block,
            **{f"arm_{axis}": level for axis, level in self.levels.items()},
            "steps": self.settings.steps,
            "attempts": self.attempts,
            **({"precision": self.settings.training.precision} if self.command is None else self.command.row()),
        }


@dataclass(frozen=True)
class TrialProgress:
    """Where a trial is."""

    trial_id: str
    step: int
    steps: int
    loss_d: float
    loss_g: float
