"""What is asked of an executor, and what it says meanwhile: plain data that can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.settings import TrialSettings
from harness.study import Measure


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
    """Key of its named streams: the block's."""
    settings: TrialSettings
    baseline: TrialSettings
    """The baseline's settings, for the share of initial parameters that match."""
    measure: Measure
    control: str | None = None
    attempts: int = 1


@dataclass(frozen=True)
class TrialProgress:
    """Where a trial is."""

    trial_id: str
    step: int
    steps: int
    loss_d: float
    loss_g: float
