"""What a fact is, and what it is found from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.data import Dataset
from harness.models import NetworkPair
from harness.models.cost import NetworkCost
from harness.preflight.small_networks import Shape
from harness.study.settings import TrialSettings


@dataclass(frozen=True)
class Fact:
    """Something that holds whatever training would show."""

    subject: str
    """The arm or the setting that it is about."""
    finding: str
    figures: Mapping[str, float]
    """The numbers in the finding, by name."""


@dataclass(frozen=True)
class Inspected:
    """An arm that can be built."""

    name: str
    settings: TrialSettings
    small: TrialSettings
    """The same at a smaller width."""
    shape: Shape
    pair: NetworkPair
    """At its real size; shared between arms, and never to be changed."""
    size: NetworkCost
    data: Dataset
