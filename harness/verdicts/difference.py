"""How two stored studies differ: in settings, and in the verdicts of the arms that both have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.statistics.analysis import Contrast
from harness.study.changes import Change, changes
from harness.verdicts.judge import StudyVerdicts


@dataclass(frozen=True)
class ArmDifference:
    """One arm in two studies; a verdict is null in the study that lacks it."""

    arm: str
    first: str | None
    second: str | None
    first_estimate: float | None
    second_estimate: float | None
    """On the scale of the primary metric of each."""
    apart: bool | None
    """Whether the intervals have no value in common; null where one is missing, or the metrics differ."""


@dataclass(frozen=True)
class StudyDifference:
    """What differs between two studies."""

    settings: tuple[Change, ...]
    arms: tuple[ArmDifference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        settings = [{"setting": c.setting, "first": c.was, "second": c.now} for c in self.settings]
        return {"settings": settings, "arms": [asdict(arm) for arm in self.arms]}


def difference(first: StudyVerdicts, second: StudyVerdicts) -> StudyDifference:
    """Return what differs; settings that neither rows nor verdicts rest on are left out."""
    ours, theirs = ({c.arm: c for c in findings.contrasts} for findings in (first, second))
    same = first.study.measure.primary == second.study.measure.primary
    arms = tuple(_arm(arm, ours.get(arm), theirs.get(arm), same) for arm in dict.fromkeys((*ours, *theirs)))
    return StudyDifference(changes(first.study, second.study), arms)


def _arm(name: str, a: Contrast | None, b: Contrast | None, same_metric: bool) -> ArmDifference:
    apart = None
    if same_metric and a is not None and b is not None and None not in (a.ci.low, a.ci.high, b.ci.low, b.ci.high):
        apart = a.ci.low > b.ci.high or b.ci.low > a.ci.high  # type: ignore[operator]
    return ArmDifference(
        arm=name,
        first=None if a is None else a.verdict.value,
        second=None if b is None else b.verdict.value,
        first_estimate=None if a is None else a.estimate,
        second_estimate=None if b is None else b.estimate,
        apart=apart,
    )
