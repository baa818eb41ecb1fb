"""The tables' schema: every column of the three Parquet data sets, its type, unit and meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from harness.metrics.value import Value
from harness.study.design import Arm, trains_no_op
from harness.study.study import Study

TABLES = ("signals", "measurements", "trials")
"""The tables in the order in which a trial's rows are written: with its own row it is done."""
DOCUMENTS = ("plan.json", "references.json", "environment.json", "sources.json", "shared_draws.json")
"""What stands beside a study's rows and its `study.json`, and goes with them wherever they are copied."""

Type = Literal["string", "int64", "double", "bool", "timestamp"]
Row = dict[str, Any]
TYPES: Mapping[str, Type] = {"float | None": "double", "int | None": "int64", "str | None": "string"}
"""The type of the column that a field of a metric's value becomes."""

LOST = "lost"
"""The machine's failure, not the trial's: such a row is listed, never counted for or against an arm."""
STATUSES = ("complete", "diverged", "collapsed", "failed", "timeout", "oom", LOST)
REACHED_HORIZON = frozenset({"complete", "collapsed"})
"""Statuses of trials that reached the horizon: their metrics have values."""


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    timing: bool = False
    """Depends on the machine's pace: not equal between two computations of one trial."""


TRIAL_COLUMNS = (
    Column("study", "string", "name of the study"),
    Column("study_hash", "string", "digest of all settings that rows depend on"),
    Column("trial_id", "string", "key of the trial, in all tables"),
    Column("arm", "string", "name of the arm; `baseline` is what the others are compared with"),
    Column("block", "int64", "number of the block: arms of one block share data order, noise and initial weights"),
    Column("status", "string", "complete, diverged, collapsed, failed, timeout, oom, or lost: the machine's failure, never counted"),
    Column("error", "string", "what went wrong; null for complete trials"),
    Column("failed_at_step", "int64", "step at which the trial diverged or collapsed; null for complete trials"),
    Column("steps", "int64", "steps of training at the horizon"),
    Column("epochs", "double", "passes of the discriminator over the training items up to the horizon"),
    Column("oscillation_d", "double", "sd of the changes of the discriminator's logged loss over its mean size"),
    Column("oscillation_g", "double", "the same of the generator's loss"),
    Column("parameters_g", "int64", "numbers learnt by the generator"),
    Column("parameters_d", "int64", "numbers learnt by the discriminator"),
    Column("macs_g", "int64", "multiply-adds of the generator's forward pass", "per image"),
    Column("macs_d", "int64", "multiply-adds of the discriminator's forward pass", "per image"),
    Column(
        "matched_fraction", "double", "share of initial parameters bit-equal to the baseline's of the block", "0 to 1"
    ),
    Column("matched_fraction_g", "double", "the same of the generator alone", "0 to 1"),
    Column("matched_fraction_d", "double", "the same of the discriminator alone", "0 to 1"),
    Column("seconds_per_step", "double", "median time of a training step, without evaluation", "s", timing=True),
    Column("wall_seconds", "double", "time from the trial's start to its row", "s", timing=True),
    Column("peak_bytes", "int64", "largest resident memory of the process during the trial", "bytes", timing=True),
    Column("attempts", "int64", "times the trial was begun, kills and retries included", timing=True),
    Column("started_at", "timestamp", "UTC", timing=True),
    Column("code_version", "string", "of this package, with a digest of the sources that compute rows"),
    Column("packages", "string", "versions of what computes, as JSON"),
    Column("device", "string", "cpu, or the name of the GPU"),
    Column("threads", "int64", "threads of the trial's process"),
    Column("precision", "string", "float32 or bfloat16"),
    Column("data_hash", "string", "digest of every image and of the split"),
    Column("heldout_hash", "string", "digest of the held-out items, which all arms are measured on"),
    Column(
        "feature_id",
        "string",
        "identity of the features of the primary metric; values of different ones do not compare",
    ),
    Column("command", "string", "of trials that are commands: its words, with names in place of folders"),
    Column("commit", "string", "of trials that are commands: what was run, before the patch"),
    Column("patch", "string", "of trials that are commands: digest of the patch"),
    Column("environment", "string", "of trials that are commands: digest of the variables that may move a number"),
)

MEASUREMENT_COLUMNS = (
    Column("trial_id", "string", "key of the trial"),
    Column("step", "int64", "steps of training done"),
    Column("metric", "string", "name of the metric"),
    *(Column(item.name, TYPES[str(item.type)], item.metadata["meaning"]) for item in fields(Value)),
)
"""The key, then the fields of a metric's value."""


MATCHED_LITTLE = 0.5
"""Share of a network's initial parameters that are the baseline's, below which plans and reports say so."""

PROOFS = ("no-op", "same-function-class", "confounded", "invalid", "too-costly")
"""What preflight can find of an arm against the baseline."""


@dataclass(frozen=True)
class ArmPlan:
    """What preflight found of one arm, before any training."""

    arm: str
    levels: Mapping[str, str]
    proof: str | None
    """One of PROOFS, or None where only training can tell."""
    reason: str | None
    parameters_g: int | None
    parameters_d: int | None
    macs_g: int | None
    macs_d: int | None
    activation_bytes: int | None
    matched_fraction: float | None
    """Share of initial parameters bit-equal to the baseline's."""
    matched_fraction_g: float | None = None
    matched_fraction_d: float | None = None
    seconds_per_step: float | None = None
    """Of training, timed on this machine; None where nothing was timed."""
    trial_seconds: float | None = None
    """Of a whole trial, evaluations included, worked out from what was timed."""


def is_trained(study: Study, arm: Arm, plan: ArmPlan | None) -> bool:
    """Return whether an arm is trained, by what preflight found of it, if it has looked at it."""
    if plan is None:
        return True
    return plan.proof not in ("invalid", "too-costly") and (plan.proof != "no-op" or trains_no_op(study, arm))


@dataclass(frozen=True)
class References:
    """What one metric gives for networks that learned nothing, on the study's own held-out items."""

    metric: str
    untrained: float | None
    """Of the baseline's initial weights, in block 0."""
    mean_image: float | None
    """Of the mean training image of each item's style; None where images are not redrawn from a source."""


@dataclass(frozen=True)
class TrialRows:
    """All that one trial leaves behind."""

    trial: Row
    measurements: tuple[Row, ...] = ()
    signals: tuple[Row, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    """PNG strips of the same held-out items for all arms, by name: source, target, generated."""


def trial_columns(axes: Sequence[str], metrics: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of `trials`: the fixed ones, a level per axis, and a final value per metric."""
    return (
        *TRIAL_COLUMNS[:5],
        *(Column(f"arm_{axis}", "string", f"name of the arm's level of {axis}") for axis in axes),
        *TRIAL_COLUMNS[5:10],
        *(Column(metric, "double", f"final value of {metric}, at the horizon") for metric in metrics),
        *TRIAL_COLUMNS[10:],
    )


def comparable(row: Row) -> Row:
    """Return a trial's row without the columns that depend on the machine's pace."""
    timing = {column.name for column in TRIAL_COLUMNS if column.timing}
    return {name: value for name, value in row.items() if name not in timing}


def schema_text() -> str:
    """Return the written schema of all tables, in Markdown: the content of docs/tables.md."""
    parts = [
        "# Tables",
        "`results/<study>/` holds three Parquet data sets of one small file per trial, read as a whole by "
        '`harness.load("results/<study>")` or `pandas.read_parquet("results/<study>/trials")`. A trial is done when '
        "its row in `trials/` is there. Times, memory and attempts (*) depend on the machine's pace; everything else "
        "is equal, bit for bit, whenever the trial is computed again on the same machine and versions.",
    ]
    signals = (
        Column("trial_id", "string", "key of the trial"),
        Column("step", "int64", "steps of training done"),
        Column(
            "…", "double", "losses by part, logits, accuracies, gradient norms, singular values by layer, diversity …"
        ),
    )
    tables = {"trials": trial_columns(("<axis>",), ("<metric>",)), "measurements": MEASUREMENT_COLUMNS, "signals": signals}
    for name, columns in tables.items():
        rows = [
            f"| `{c.name}`{' *' if c.timing else ''} | {c.type} | {c.meaning}{f' ({c.unit})' if c.unit else ''} |"
            for c in columns
        ]
        parts.append("\n".join([f"## {name}", "", "| column | type | meaning |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"
