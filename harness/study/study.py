"""The typed study: one question, one YAML file, checked as a whole before anything is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from harness.errors import did_you_mean
from harness.study.claims import Claim
from harness.study.controls import ControlSettings
from harness.study.design_settings import DesignSettings
from harness.study.fields import Axis, Flag, Settings, Text
from harness.study.measure_settings import MeasureSettings
from harness.study.presets import PRESETS, PresetName
from harness.study.settings import TrialSettings
from harness.study.training_settings import TrainingSettings

Level = Any
Declarable = Literal["code_version", "packages", "device"]

BASELINE = "baseline"


class BudgetSettings(Settings):
    """What a study may cost; arms and blocks beyond it are not trained."""

    hours: Annotated[float, Field(gt=0.0)] | None = None
    """Of the whole study, on this machine's workers."""
    trial_minutes: Annotated[float, Field(gt=0.0)] | None = None
    """Of one trial, estimated before it starts; an arm beyond it is called too costly. A command is ended then, with
    the status `timeout`."""


class RunnerSettings(Settings):
    """How trials are carried out; nothing here changes a number."""

    retries: Annotated[int, Field(ge=0)] = 1
    """For trials lost to causes that are not the arm's own: a killed or dead worker."""
    trial_timeout: Annotated[float, Field(gt=0.0)] | None = None
    """Seconds without progress after which a trial has the status `timeout`; null: a silent one is begun again."""
    checkpoint_every: Annotated[float, Field(gt=0.0)] = 60.0
    """Seconds of training between checkpoints."""
    storage: Text | None = None
    """Where the Optuna mirror is kept: any URL that Optuna takes; a journal file in the results unless given."""
    cpus: Annotated[float, Field(gt=0.0)] = 1
    """CPUs a trial takes on a cluster."""
    gpus: Annotated[float, Field(ge=0.0)] = 0
    """GPUs a trial takes on a cluster; fractions share one."""


class Study(TrialSettings):
    """One question: settings, the axes along which they vary, the design and what is measured."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    """Its name, and the name of its folder of results."""
    question: Text = ""
    """In words; the heading of the report."""
    preset: PresetName | None = None
    """A recipe that is laid under the settings of this file: `zi2zi` is that of zi2zi-pytorch, at 256 pixels."""
    claims: tuple[Claim, ...] = ()
    """Statements that the study settles."""
    axes: dict[Axis, list[Level] | dict[str, Level]] = Field(default={})
    """Dotted settings and their levels: a list, or a mapping from level names to values."""
    baseline: dict[Axis, Level] = Field(default={})
    """The baseline's level of each axis, where it is not the first."""
    confounded_above: Annotated[float, Field(ge=0.0)] = 0.1
    """An arm whose parameters or multiply-adds differ from the baseline's by more than this share is confounded."""
    harmless: tuple[Declarable, ...] = ()
    """Columns of `trials` in which an arm's row and the baseline's may differ within a block, as that is known to move
    no number, e.g. `code_version` after a change of comments; without it such an arm is not judged."""
    train_no_ops: Flag = False
    """Train arms that are proved to be no-ops all the same, as controls."""
    controls: ControlSettings = ControlSettings()
    """Arms whose answer is known: what the others' verdicts rest on."""
    design: DesignSettings = DesignSettings()
    """Which arms there are, and how many blocks of them."""
    measure: MeasureSettings = MeasureSettings()
    """Metrics, the steps at which they are taken, and the margin."""
    budget: BudgetSettings = BudgetSettings()
    """What the study may cost."""
    runner: RunnerSettings = RunnerSettings()
    """How trials are carried out; changes no number."""

    @model_validator(mode="before")
    @classmethod
    def _over_its_preset(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        if data.get("trial") is not None and isinstance(data.get("measure", {}), Mapping):
            data = {
                **data,
                "measure": {"also": (), **data.get("measure", {})},
            }  # not every command gives the usual ones
        preset = PRESETS.get(str(data.get("preset")))
        return data if preset is None else _laid_over(preset.under(data), data)

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        beyond = [at for at in self.measure.steps(self.steps) if at > self.steps]
        if beyond and self.trial is None:
            raise ValueError(f"measure.at: {beyond[0]} lies beyond the training's {self.training.steps} steps")
        for claim in self.claims:
            self._check_claim(claim)
        return self

    def _check_claim(self, claim: Claim) -> None:
        """Refuse a claim that no row of this study could settle."""
        if claim.metric is not None and claim.metric not in self.measure.metrics:
            hint = did_you_mean(claim.metric, self.measure.metrics)
            raise ValueError(
                f"claims: {claim.id}: metric '{claim.metric}' is not measured; add it to measure.also{hint}"
            )
        of_spread = () if claim.spread is None else (claim.spread.of, claim.spread.over)
        for axis in (*(claim.interaction or ()), *of_spread):
            if axis not in self.axes:
                raise ValueError(f"claims: {claim.id}: no axis '{axis}'{did_you_mean(axis, self.axes)}")
        if (claim.interaction or claim.spread) and self.design.kind != "factorial":
            raise ValueError(f"claims: {claim.id}: takes every combination of levels; use design.kind factorial")
        for axis in claim.interaction or ():
            if len(self.axes[axis]) != 2:
                raise ValueError(f"claims: {claim.id}: '{axis}' has {len(self.axes[axis])} levels; two are needed")
        level = None if claim.spread is None else claim.spread.level
        if claim.spread is not None and level is not None and level not in list(self.levels(claim.spread.of))[1:]:
            raise ValueError(f"claims: {claim.id}: '{level}' is no level of '{claim.spread.of}' beside the baseline's")

    @property
    def when(self) -> str:
        """When arms are compared, in words."""
        return f"at step {self.horizon}" if self.trial is None else "when the command has ended"

    @property
    def horizon(self) -> int:
        """The step at which arms are compared: the last that is measured."""
        return self.measure.steps(self.steps)[-1]

    def levels(self, axis: Axis) -> dict[str, Level]:
        """Return an axis's levels by name, the baseline's first."""
        given = self.axes[axis]
        named = dict(given) if isinstance(given, dict) else {level_name(v): v for v in given}
        if axis in self.baseline:
            first = self.baseline[axis]
            name = first if isinstance(first, str) and first in named else level_name(first)
            named = {name: named[name], **{k: v for k, v in named.items() if k != name}}
        return named

    def trial_settings(self, levels: Mapping[Axis, Level]) -> TrialSettings:
        """Return the settings of an arm.

        Raises:
            ValidationError: The levels do not fit the settings.
        """
        data = self.model_dump(include=set(TrialSettings.model_fields))
        for axis, level in levels.items():
            put(data, axis if self.trial is None else self.trial.axis_path(axis), level)
        return TrialSettings.model_validate(data)

    @property
    def results_name(self) -> str:
        """The name of its folder of results: a replication's says its seed, so that rows never mix."""
        return f"{self.study}+seed{self.design.seed}" if self.design.seed else self.study

    @property
    def written(self) -> dict[str, Any]:
        """The settings that differ from their defaults: what a file has to say to be this study."""
        return _set(self)

    @property
    def hash(self) -> str:
        """A digest of all that rows depend on: not of blocks, looks, budget, runner, claims or added metrics.

        Settings that have their default are left out, so that one that comes with a later version changes no digest.
        """
        rested_on = {*TrialSettings.model_fields, "study", "axes", "baseline", "measure", "controls"}
        kept = {name: value for name, value in self.written.items() if name in rested_on}
        kept["measure"] = {k: v for k, v in kept.get("measure", {}).items() if k not in ("also", "margin", "margins")}
        if self.design.seed:
            kept["seed"] = self.design.seed
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _set(group: BaseModel) -> dict[str, Any]:
    """Return the settings of a group that differ from their defaults, as JSON's own types.

    A group that differs in anything says which `kind` it is: defaults are those of its kind, but for the training's.
    """
    written = group.model_dump(mode="json")
    found = {}
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        chooses = name == "kind" and not isinstance(group, TrainingSettings)
        if chooses or value != field.get_default(call_default_factory=True):
            found[name] = _set(value) if isinstance(value, BaseModel) else written[name]
    return found


def level_name(level: Level) -> str:
    """Return the name of a level: its value, or `key=value,…` of a group."""
    if isinstance(level, Mapping):
        return ",".join(f"{k}={level_name(v)}" for k, v in level.items())
    if isinstance(level, (list, tuple)):
        return "-".join(level_name(v) for v in level)
    return str(level).lower() if isinstance(level, bool) or level is None else str(level)


UNIONS = frozenset({"data", "generator", "discriminator"})
"""Groups whose `kind` decides which settings they have."""


def _kinds_differ(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return bool(new.get("kind", old.get("kind")) != old.get("kind"))


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path in nested dictionaries; a mapping is laid over a group rather than put in its place.

    A mapping that changes the `kind` of data or of a network does replace it: the settings of one kind mean nothing to
    another. An optimiser, a loss or a schedule of another kind keeps its other settings.
    """
    *parents, last = path.split(".")
    for name in parents:
        nested = data.get(name)
        data[name] = nested = dict(nested) if isinstance(nested, Mapping) else {}
        data = nested
    old = data.get(last)
    replaces = path in UNIONS and isinstance(value, Mapping) and isinstance(old, Mapping) and _kinds_differ(value, old)
    data[last] = value if replaces else _laid_over(old, value)


def _laid_over(old: Any, new: Any) -> Any:
    """Return a mapping with another's entries laid over its own, at any depth; anything else is replaced."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    return {**old, **{key: _laid_over(old.get(key), value) for key, value in new.items()}}
