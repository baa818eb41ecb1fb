"""The JSON documents of all other commands, of errors and of events, one type each."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from harness.cli.study_documents import Judged, described
from harness.statistics.controls import Control
from harness.statistics.effect import Effect
from harness.study.explain import Explanation
from harness.terminal.doctor import Check, Finding


@described
class CompareDocument(Judged):
    """`compare --json`: contrasts of a table, effects of a factorial one, or both."""

    schema: str
    table: str
    reading: list[str]
    """How the table was read."""
    controls: list[Control]
    effects: list[Effect]
    factorial: dict[str, Any] | None


@described
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


@described
class Shared(TypedDict):
    """How much of two traces is equal, bit for bit."""

    a: int
    b: int
    equal: int
    share: float | None
    """Of the longer one; null where there is nothing."""


@described
class OptimizerWeights(Shared):
    """The weights of one optimizer before its first step, counted in elements."""

    number: int
    """In the order of first steps, from 1."""
    kind: str


@described
class SharedWeights(Shared):
    """The weights of all optimizers before their first step, counted in elements."""

    optimizers: list[OptimizerWeights]


@described
class Parting(TypedDict):
    """The first draw that only one of two traces has, or that came to other values."""

    trace: Literal["A", "B"]
    draw: int
    """Its number in that trace, from 1."""
    only: bool
    """Whether the other trace does not have it at all."""
    what: str


@described
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


@described
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


@described
class DoctorDocument(TypedDict):
    """`doctor --json`."""

    schema: str
    findings: list[Finding]


@described
class GpuDocument(TypedDict):
    """`doctor --gpu --json`."""

    schema: str
    machine: dict[str, str]
    """What a report of a fault needs: torch, CUDA, cards."""
    checks: list[Check]


@described
class ExplainDocument(TypedDict):
    """`explain --json`: one setting or word, or all groups of settings and all words."""

    schema: str
    settings: list[Explanation | dict[str, str]]
    """Of one setting everything; of all the `setting` and its `meaning`."""
    words: dict[str, str]


@described
class DashboardDocument(TypedDict):
    """`dashboard --json`: printed once, when the server answers."""

    schema: str
    url: str
    read_only: bool


@described
class Problem(TypedDict):
    """One thing that is wrong."""

    place: str
    """File, line and setting, column or option, as far as it is known."""
    found: str
    way_out: str
    """What is allowed, the nearest match or a command; empty where the place and what was found say it all."""


@described
class ErrorDocument(TypedDict):
    """What every command with `--json` prints in place of its document where it ends by an error."""

    schema: str
    code: int
    """The exit code: 2 the input is wrong, 70 a defect of this program, 130 or more interrupted."""
    kind: str
    message: str
    """The whole text, as standard error has it."""
    problems: list[Problem]


@described
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
