"""What a driver says of its work, for whoever watches: terminals, logs, callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.executors.base import Event
from harness.preflight.stage import Stage
from harness.results.schema import ArmPlan, TrialRows
from harness.study.design import Arm, Trial
from harness.study.study import Study
from harness.trial.task import TrialTask
from harness.verdicts.judge import StudyVerdicts


@dataclass(frozen=True)
class Planned:
    """What is about to be done."""

    study: Study
    arms: tuple[Arm, ...]
    plans: tuple[ArmPlan, ...]
    notes: tuple[str, ...]
    """Of the data: what was dropped, and why."""
    trials: tuple[Trial, ...]
    done: Mapping[str, str]
    """Status of those that have their row already, by the trial's id."""
    estimated_seconds: float | None


@dataclass(frozen=True)
class Stored:
    """A trial's row is on the disk."""

    task: TrialTask
    rows: TrialRows


@dataclass(frozen=True)
class Retried:
    """A trial was lost, perhaps to a cause that is not its own, and is begun again in another process."""

    task: TrialTask
    reason: str


@dataclass(frozen=True)
class SetAside:
    """A damaged file was renamed; its trial is computed again."""

    path: Path


@dataclass(frozen=True)
class Removed:
    """A trial's row was removed, as its status was asked to be tried again."""

    trial_id: str


@dataclass(frozen=True)
class LookDone:
    """A look on the study's schedule."""

    findings: StudyVerdicts
    blocks: int
    open_arms: tuple[str, ...]


Happening = Event | Stage | Planned | Stored | Retried | SetAside | Removed | LookDone
Watch = Callable[[Happening], None]
