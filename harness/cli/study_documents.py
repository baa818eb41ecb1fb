"""The JSON documents of commands on studies and their results, one type each."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from harness.metrics.ladder import Rung
from harness.report.overview import OverviewRow
from harness.results.running import RunningTrial
from harness.results.schema import ArmPlan
from harness.statistics.analysis import Contrast, Provisional, Sensitivity
from harness.statistics.controls import Control
from harness.statistics.effect import Effect
from harness.statistics.verdict_rule import Better, Scale
from harness.verdicts.difference import ArmDifference
from harness.verdicts.judge import ArmSummary

described = with_config(ConfigDict(use_attribute_docstrings=True))


@described
class Judged(TypedDict):
    """Contrasts of one metric with their verdicts."""

    metric: str
    better: Better | None
    scale: Scale
    """`log`: estimates and intervals are logarithms of ratios; `raw`: differences in the metric's unit."""
    notes: list[str]
    contrasts: list[Contrast]
    baseline: NotRequired[str | None]
    alpha: NotRequired[float]
    """Error rate over all contrasts and all looks together."""
    margin: NotRequired[str | None]
    """The smallest difference that matters, as it was written."""
    family: NotRequired[Literal["primary", "exploratory"]]
    family_size: NotRequired[int]
    """Contrasts over which the verdicts hold together."""
    blocks: NotRequired[int]
    looks: NotRequired[list[int] | None]
    """Schedule of looks in blocks; null where the number of blocks is fixed."""
    nominal_p: NotRequired[list[float] | None]
    sensitivity: NotRequired[Sensitivity | None]
    """Whether the positive control was told apart."""
    provisional: NotRequired[Provisional | None]
    """What was changed after rows were seen; null where nothing was."""


@described
class ClaimOutcome(TypedDict):
    """A statement that the study puts to the test, as it was written, and what became of it."""

    id: str
    quote: str
    outcome: str
    """supported, contradicted, untested or not settled."""
    verdict: str | None
    metric: str
    evidence: str


@described
class StudyDocument(Judged):
    """What a study's rows say: the primary metric's contrasts at the top, further metrics under `exploratory`."""

    schema: str
    study: str
    study_hash: str
    question: str | None
    headline: str
    """The answer in one sentence or a few."""
    sound: bool
    """False where a negative control was told apart: no verdict can be trusted then."""
    trials_done: int
    trials_planned: int
    unit: str
    """Of the primary metric."""
    horizon: int
    """The step at which arms are compared."""
    effects: list[Effect]
    """Main effects and interactions of factorial designs."""
    arms: list[ArmSummary]
    exploratory: list[Judged]
    health: dict[str, Any] | None
    """Whether each arm learned anything."""
    controls: list[Control]
    claims: list[ClaimOutcome]


@described
class InitDocument(TypedDict):
    """`init --json`."""

    schema: str
    folder: str
    files: list[str]
    next: list[str]
    """Commands to try, in their order."""


@described
class RunDocument(StudyDocument):
    """`run --json`."""

    files: dict[str, str]
    """The report's files by ending."""


@described
class ReportDocument(StudyDocument):
    """`report --json`, and `report.json` without `files`."""

    files: NotRequired[dict[str, str]]
    """The report's files by ending."""


@described
class StatusDocument(StudyDocument):
    """`status --json`."""

    running: list[RunningTrial]
    """Trials that are under way."""


@described
class CommandPlan(TypedDict):
    """What is run for one arm."""

    arm: str
    command: str
    """Its words, quoted as a shell would read them; none does."""
    directory: str
    commit: str
    patch: str | None
    """Digest."""
    environment: dict[str, str]
    """Variables beside those of the session."""
    log: str
    """File that takes what it prints."""


@described
class OverviewDocument(TypedDict):
    """`report A B … --json`: a row for each compared arm of each study."""

    schema: str
    rows: list[OverviewRow]
    files: dict[str, str]


@described
class SettingDifference(TypedDict):
    """A setting that is not the same in two studies."""

    setting: str
    first: Any
    second: Any


@described
class DiffDocument(TypedDict):
    """`diff A B --json`."""

    schema: str
    first: str
    second: str
    settings: list[SettingDifference]
    arms: list[ArmDifference]


@described
class PlanDocument(TypedDict):
    """`plan --json`: what a study will do, what is proved of its arms, and what it costs."""

    schema: str
    study: str
    question: str | None
    blocks: int
    looks: list[int] | None
    trials: int
    trials_at_most: NotRequired[int]
    workers: int
    estimated_seconds: float | None
    """Up to the first look, on this machine with so many workers; null without building."""
    arms: list[ArmPlan]
    own_code: list[str]
    aliases: list[list[str]]
    """Terms that a fractional design cannot tell apart."""
    primary: str
    margin: str
    positive_control: dict[str, Any]
    detectable: list[dict[str, Any]]
    """What the study's blocks can show."""
    facts: NotRequired[list[dict[str, Any]]]
    """What holds whatever training would show: `subject`, `finding`, `figures`."""
    ladder: NotRequired[list[Rung]]
    """What known damages to held-out images cost by each metric."""
    training_items: NotRequired[int]
    commands: NotRequired[list[CommandPlan]]
    """Of trials that are commands: what is run for each arm in block 0."""


@described
class PilotDocument(TypedDict):
    """`plan --pilot --json`."""

    schema: str
    study: str
    expect: str
    blocks: int
    statuses: dict[str, int]
    readings: list[dict[str, Any]]
    proposal: dict[str, Any] | None
    """Metric, step and looks that can tell, with the fragment to paste; null where none can."""


@described
class MatchedParameter(TypedDict):
    """One parameter of an arm, and what it shares with the baseline."""

    net: str
    name: str
    shape: list[int]
    numbers: int
    counterpart: str | None
    """The baseline's parameter in its place, whose stream it gets; null where there is none."""
    equal: bool
    """Both are bit-equal before training."""


@described
class MatchingDocument(TypedDict):
    """`plan --matching ARM --json`."""

    schema: str
    study: str
    arm: str
    matched_fraction: dict[str, float]
    """Of each network: share of its initial numbers that are bit-equal to the baseline's."""
    parameters: list[MatchedParameter]


@described
class MergeDocument(TypedDict):
    """`merge --json`."""

    schema: str
    trials: list[tuple[str, int, int]]
    """Of each shard: its name, the trials taken from it, and those that were there already, equal."""
    into: str
    total: int


@described
class PublishDocument(TypedDict):
    """`publish --json`."""

    schema: str
    folder: str
    trials: int
    bytes: int


@described
class AnswersDocument(TypedDict):
    """`answers --json`."""

    schema: str
    results: str
    statements: list[dict[str, Any]]
    """`id`, `says`, `answer`, `settled`, and `evidence`: of each `kind`, `source`, `finding`, `outcome`."""
