"""The JSON documents of the commands, one versioned type each; their JSON Schemas are published in docs/schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from harness.metrics.ladder import Rung
from harness.report.overview import OverviewRow
from harness.results.running import RunningTrial
from harness.results.schema import ArmPlan
from harness.statistics.analysis import Contrast, Provisional, Sensitivity
from harness.statistics.controls import Control
from harness.statistics.effect import Effect
from harness.statistics.verdict_rule import Better, Scale
from harness.study.explain import Explanation
from harness.terminal.doctor import Check, Finding
from harness.verdicts.difference import ArmDifference
from harness.verdicts.judge import ArmSummary

_described = with_config(ConfigDict(use_attribute_docstrings=True))


@_described
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


@_described
class ClaimOutcome(TypedDict):
    """A statement that the study puts to the test, as it was written, and what became of it."""

    id: str
    quote: str
    outcome: str
    """supported, contradicted, untested or not settled."""
    verdict: str | None
    metric: str
    evidence: str


@_described
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


@_described
class InitDocument(TypedDict):
    """`init --json`."""

    schema: str
    folder: str
    files: list[str]
    next: list[str]
    """Commands to try, in their order."""


@_described
class RunDocument(StudyDocument):
    """`run --json`."""

    files: dict[str, str]
    """The report's files by ending."""


@_described
class ReportDocument(StudyDocument):
    """`report --json`, and `report.json` without `files`."""

    files: NotRequired[dict[str, str]]
    """The report's files by ending."""


@_described
class StatusDocument(StudyDocument):
    """`status --json`."""

    running: list[RunningTrial]
    """Trials that are under way."""


@_described
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


@_described
class OverviewDocument(TypedDict):
    """`report A B … --json`: a row for each compared arm of each study."""

    schema: str
    rows: list[OverviewRow]
    files: dict[str, str]


@_described
class SettingDifference(TypedDict):
    """A setting that is not the same in two studies."""

    setting: str
    first: Any
    second: Any


@_described
class DiffDocument(TypedDict):
    """`diff A B --json`."""

    schema: str
    first: str
    second: str
    settings: list[SettingDifference]
    arms: list[ArmDifference]


@_described
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


@_described
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


@_described
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


@_described
class MatchingDocument(TypedDict):
    """`plan --matching ARM --json`."""

    schema: str
    study: str
    arm: str
    matched_fraction: dict[str, float]
    """Of each network: share of its initial numbers that are bit-equal to the baseline's."""
    parameters: list[MatchedParameter]


@_described
class MergeDocument(TypedDict):
    """`merge --json`."""

    schema: str
    trials: list[tuple[str, int, int]]
    """Of each shard: its name, the trials taken from it, and those that were there already, equal."""
    into: str
    total: int


@_described
class PublishDocument(TypedDict):
    """`publish --json`."""

    schema: str
    folder: str
    trials: int
    bytes: int


@_described
class AnswersDocument(TypedDict):
    """`answers --json`."""

    schema: str
    results: str
    statements: list[dict[str, Any]]
    """`id`, `says`, `answer`, `settled`, and `evidence`: of each `kind`, `source`, `finding`, `outcome`."""


@_described
class CompareDocument(Judged):
    """`compare --json`: contrasts of a table, effects of a factorial one, or both."""

    schema: str
    table: str
    reading: list[str]
    """How the table was read."""
    controls: list[Control]
    effects: list[Effect]
    factorial: dict[str, Any] | None


@_described
class ScoreDocument(TypedDict):
    """`score --json`."""

    schema: str
    real: str
    fake: str
    kind: Literal["images", "features"]
    paired: bool
    shape: list[int]
    """Channels, height and width, or the number of features."""
    n_real: int
    n_fake: int
    metrics: dict[str, float | None]
    feature_id: str | None
    floor: float | None
    """The first Fréchet distance of real images against other real images, at these counts."""
    measurements: list[dict[str, Any]]
    """All that is known of each value: unit, direction, standard error, floor, citation."""
    notes: list[str]


@_described
class Shared(TypedDict):
    """How much of two traces is equal, bit for bit."""

    a: int
    b: int
    equal: int
    share: float | None
    """Of the longer one; null where there is nothing."""


@_described
class OptimizerWeights(Shared):
    """The weights of one optimizer before its first step, counted in elements."""

    number: int
    """In the order of first steps, from 1."""
    kind: str


@_described
class SharedWeights(Shared):
    """The weights of all optimizers before their first step, counted in elements."""

    optimizers: list[OptimizerWeights]


@_described
class Parting(TypedDict):
    """The first draw that only one of two traces has, or that came to other values."""

    trace: Literal["A", "B"]
    draw: int
    """Its number in that trace, from 1."""
    only: bool
    """Whether the other trace does not have it at all."""
    what: str


@_described
class MatchDocument(TypedDict):
    """`match --compare A B --json`."""

    schema: str
    identical: bool
    """Whether draws, batches and weights are all equal, and nothing escaped."""
    draws: Shared
    batches: Shared
    weights: SharedWeights
    parts_at: Parting | None
    escaped: dict[str, dict[str, int]]
    """Of `a` and `b`: where a generator moved without a named draw, and how often that was seen."""
    named: dict[str, bool]


@_described
class SimulateDocument(TypedDict):
    """`simulate --json`; differences are in standard deviations of the paired differences."""

    schema: str
    settings: dict[str, Any]
    operating: list[dict[str, Any]]
    """For each true difference: how often which verdict, after how many blocks."""
    type_one: list[dict[str, Any]]
    """False alarm rates by shape of errors, naive peeking beside."""
    coverage: list[dict[str, Any]]
    equivalence_power: list[dict[str, Any]]


@_described
class DoctorDocument(TypedDict):
    """`doctor --json`."""

    schema: str
    findings: list[Finding]


@_described
class GpuDocument(TypedDict):
    """`doctor --gpu --json`."""

    schema: str
    machine: dict[str, str]
    """What a report of a fault needs: torch, CUDA, cards."""
    checks: list[Check]


@_described
class ExplainDocument(TypedDict):
    """`explain --json`: one setting or word, or all groups of settings and all words."""

    schema: str
    settings: list[Explanation | dict[str, str]]
    """Of one setting everything; of all the `setting` and its `meaning`."""
    words: dict[str, str]


@_described
class DashboardDocument(TypedDict):
    """`dashboard --json`: printed once, when the server answers."""

    schema: str
    url: str
    read_only: bool


@_described
class Problem(TypedDict):
    """One thing that is wrong."""

    place: str
    """File, line and setting, column or option, as far as it is known."""
    found: str
    way_out: str
    """What is allowed, the nearest match or a command; empty where the place and what was found say it all."""


@_described
class ErrorDocument(TypedDict):
    """What every command with `--json` prints in place of its document where it ends by an error."""

    schema: str
    code: int
    """The exit code: 2 the input is wrong, 70 a defect of this program, 130 or more interrupted."""
    kind: str
    message: str
    """The whole text, as standard error has it."""
    problems: list[Problem]


@_described
class EventDocument(TypedDict):
    """One line of `run --events`."""

    schema: str
    event: Literal["planned", "stage", "started", "trial", "look", "note", "verdict", "error"]
    time: str
    """ISO 8601 with the offset of UTC."""
    study: str
    stage: NotRequired[str]
    found: NotRequired[str]
    """Of a stage: what it came to."""
    seconds: NotRequired[float | None]
    trials: NotRequired[int]
    done: NotRequired[int]
    trial_id: NotRequired[str]
    arm: NotRequired[str]
    block: NotRequired[int]
    status: NotRequired[str]
    metric: NotRequired[str]
    value: NotRequired[float | None]
    message: NotRequired[str]
    number: NotRequired[int]
    """Of a look, from 1."""
    of: NotRequired[int]
    """Looks of the schedule."""
    blocks: NotRequired[int]
    open_arms: NotRequired[list[str]]
    verdict: NotRequired[str]
    low: NotRequired[float | None]
    """Interval of the change, on the scale of the analysis."""
    high: NotRequired[float | None]
    scale: NotRequired[str]
    code: NotRequired[int]
    problems: NotRequired[list[Problem]]


DOCUMENTS: Mapping[str, Any] = {
    "init": InitDocument,
    "run": RunDocument,
    "plan": PlanDocument,
    "pilot": PilotDocument,
    "matching": MatchingDocument,
    "report": ReportDocument,
    "overview": OverviewDocument,
    "diff": DiffDocument,
    "status": StatusDocument,
    "merge": MergeDocument,
    "publish": PublishDocument,
    "answers": AnswersDocument,
    "compare": CompareDocument,
    "match": MatchDocument,
    "score": ScoreDocument,
    "simulate": SimulateDocument,
    "doctor": DoctorDocument,
    "gpu": GpuDocument,
    "explain": ExplainDocument,
    "dashboard": DashboardDocument,
    "error": ErrorDocument,
    "event": EventDocument,
}
"""By name; `schema` in a document is its name and version."""
VERSIONS: Mapping[str, int] = dict.fromkeys(DOCUMENTS, 1)
"""A further key keeps a version; one that goes, or means something else, raises it, with a line in CHANGELOG.md."""


def versioned(name: str) -> str:
    """Return what a document calls its schema, such as `run/1`."""
    return f"{name}/{VERSIONS[name]}"


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    schema = TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization")
    schema["properties"]["schema"]["const"] = versioned(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{versioned(name)}.json",
        **schema,
    }
