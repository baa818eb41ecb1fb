"""The typed study: one question, one YAML file, checked as a whole before anything is done."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Strict, Tag, field_validator, model_validator

from harness.errors import HarnessError, did_you_mean
from harness.metrics.catalogue import metric_named
from harness.study.controls import ControlSettings
from harness.study.fields import Count, Flag, Settings, Text
from harness.study.presets import PRESETS, PresetName
from harness.study.settings import TrainingSettings, TrialSettings

Axis = str
Level = Any
Declarable = Literal["code_version", "packages", "device"]

BASELINE = "baseline"


class LookSchedule(Settings):
    """Blocks are added up to each look in turn, until every contrast is decided."""

    looks: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Numbers of blocks after which the study is judged, increasing."""
    beyond: Annotated[int, Strict(), Field(ge=0)] = 0
    """Blocks after the last look for contrasts still open, judged by a rule that holds at any number of blocks."""

    @field_validator("looks")
    @classmethod
    def _increase(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("looks must increase")
        return value


class DesignSettings(Settings):
    """Which arms there are and how many blocks of them."""

    kind: Literal["one_factor", "factorial", "fractional"] = "one_factor"
    """Each level against the baseline; all combinations of levels; or a fraction of those, of two-level axes."""
    blocks: Annotated[
        Annotated[Count, Tag("number")] | Annotated[LookSchedule, Tag("schedule")],
        Discriminator(lambda given: "schedule" if isinstance(given, (dict, LookSchedule)) else "number"),
    ] = 6
    """Number of blocks, or the schedule of looks."""
    halvings: Count = 1
    """Of a `fractional` design: each halves the number of arms; the fraction with the fewest aliases is taken."""
    seed: Annotated[int, Strict(), Field(ge=0)] = 0
    """Names the streams together with the block. Another seed is a replication: new weights, order and noise in every
    block, and a results folder of its own; the data and its held-out items stay."""

    @property
    def looks(self) -> tuple[int, ...] | None:
        """The schedule of looks, or None for a fixed number of blocks."""
        return self.blocks.looks if isinstance(self.blocks, LookSchedule) else None

    @property
    def most_blocks(self) -> int:
        """The largest number of blocks."""
        return self.goals[-1]

    @property
    def goals(self) -> tuple[int, ...]:
        """The numbers of blocks after which the study is judged."""
        if not isinstance(self.blocks, LookSchedule):
            return (self.blocks,)
        looks, beyond = self.blocks.looks, self.blocks.beyond
        return (*looks, looks[-1] + beyond) if beyond else looks


class MeasureSettings(Settings):
    """What is measured, when, and how large a difference matters."""

    at: Annotated[tuple[Count | Text, ...], Field(min_length=1)] = ("33%", "67%", "100%")
    """Steps, or percent of the training; the last is the horizon at which arms are compared."""
    primary: Text = "fid_efficientnet"
    """The metric that the verdict is about."""
    margin: Annotated[float, Field(gt=0.0)] | Text = "10%"
    """The smallest difference that matters, absolute, or in percent of the baseline."""
    also: tuple[Text, ...] = ("ssim", "l1")
    """Further metrics, exploratory."""
    margins: dict[Text, Annotated[float, Field(gt=0.0)] | Text] = Field(default={})
    """Margins of further metrics, by name; without one a metric can help or hurt, but never be equivalent."""
    images: Annotated[int, Field(ge=2)] = 512
    """At most so many held-out items (or samples) are measured; the same ones for all arms and blocks."""
    generated: Annotated[int, Field(ge=2)] | None = None
    """So many samples are drawn from generators that redraw nothing; as many as there are measured items unless
    given."""
    signals: Annotated[int, Field(ge=1)] = 100
    """About how many times over a training its signals are logged."""

    @field_validator("at")
    @classmethod
    def _percent_or_step(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        for at in value:
            if isinstance(at, str) and not re.fullmatch(r"(100|[1-9]?\d)(\.\d+)?%", at):
                raise ValueError(f"'{at}' is neither a step nor a percentage such as 50%")
        return value

    @field_validator("primary", "also")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            try:
                metric_named(name)
            except HarnessError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("margin", "margins")
    @classmethod
    def _margin(cls, value: float | str | dict[str, float | str]) -> float | str | dict[str, float | str]:
        for margin in value.values() if isinstance(value, dict) else (value,):
            if isinstance(margin, str) and not re.fullmatch(r"\d+(\.\d+)?%", margin):
                number = re.fullmatch(r"\d+(\.\d+)?", margin)
                way = f"is text; write {margin} without quotes, or {margin}%" if number else "is neither a number nor"
                raise ValueError(f"'{margin}' {way}{'' if number else ' a percentage such as 10%'}")
        return value

    @model_validator(mode="after")
    def _margins_of_metrics(self) -> MeasureSettings:
        for name in self.margins:
            if name not in self.metrics or name == self.primary:
                hint = "; its margin is `margin`" if name == self.primary else did_you_mean(name, self.also)
                raise ValueError(f"margins: '{name}' is not under also{hint}")
        return self

    def margin_of(self, metric: str) -> float | str | None:
        """Return a metric's margin; None where the study gives none."""
        return self.margin if metric == self.primary else self.margins.get(metric)

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the primary one first."""
        return tuple(dict.fromkeys((self.primary, *self.also)))

    @property
    def health_metric(self) -> str | None:
        """The metric by which it is judged whether networks learned: the first that is computed from images alone."""
        metrics = (metric_named(name) for name in self.metrics)
        return next((m.name for m in metrics if m.derivation is None and m.needs not in ("networks", "log")), None)

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that are computed from images, those among them that others are worked out of."""
        every = [(name, metric_named(name).derivation) for name in self.metrics]
        return tuple(dict.fromkeys(n for name, d in every for n in (name if d is None else d.of_metric,) if n))

    def steps(self, total: int) -> tuple[int, ...]:
        """Return the steps at which to measure, increasing; the last is the horizon."""
        found = {max(1, round(total * float(a[:-1]) / 100)) if isinstance(a, str) else a for a in self.at}
        return tuple(sorted(found))

    def at_the_horizon(self, total: int) -> MeasureSettings:
        """Return the same without the earlier steps, unless some metric is worked out of what is measured there."""
        derivations = (metric_named(name).derivation for name in self.metrics)
        if any(d is not None and (d.of_metric is not None or d.where_measured) for d in derivations):
            return self
        return self.model_copy(update={"at": self.steps(total)[-1:]})


class SpreadClaim(Settings):
    """How far the outcome spreads over the levels of one axis, at one level of another against the baseline's level."""

    over: Axis
    """The axis whose levels the outcome should hardly depend on, e.g. `training.optimizer.lr`."""
    of: Axis
    """The axis that should make it so, e.g. `discriminator.spectral_norm`."""
    level: Text | None = None
    """Its level, by name; the one beside the baseline's unless given."""
    margin: Annotated[float, Field(gt=0.0)] | Text | None = None
    """The smallest ratio of spreads that matters, e.g. `25%`; without one a spread is never called equivalent."""


class Claim(Settings):
    """A statement that the study settles: about one arm, a ranking of arms, an interaction, or a spread."""

    id: Text
    """A short name; those of the shipped studies are in studies/claims/posts.yaml."""
    quote: Text
    """In the words of whoever made it."""
    arm: Text | None = None
    """The arm that it is about, by its name, e.g. `spectral_norm=convs`."""
    order: tuple[Text, ...] = ()
    """Or three arms and more, the best first, `baseline` among them if it is one: Page's test over blocks."""
    interaction: tuple[Axis, Axis] | None = None
    """Or two axes of two levels, of a factorial design: `helps` says that together they do better than their sum."""
    spread: SpreadClaim | None = None
    """Or a spread, of a factorial design: `helps` says that it is smaller."""
    metric: Text | None = None
    """The primary metric unless given."""
    expect: Literal[
        "helps", "hurts", "difference", "no difference", "not worse", "not better", "no-op", "builds", "invalid", None
    ] = None
    """What it says will happen; `harness.statistics.claims` lists the verdicts that support and contradict it. A
    ranking says it by its order."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> Claim:
        about = [name for name in ("arm", "order", "interaction", "spread") if getattr(self, name)]
        if len(about) != 1:
            found = " and ".join(about) or "none of them"
            raise ValueError(f"a claim is about one of arm, order, interaction and spread; found {found}")
        if self.order and (len(self.order) < 3 or len(set(self.order)) < len(self.order)):
            raise ValueError("order: three different arms or more, the best first")
        if bool(self.order) == (self.expect is not None):
            raise ValueError("a ranking takes no expect" if self.order else "expect is missing: helps, hurts, ...")
        return self

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        if self.order:
            return " better than ".join(self.order)
        if self.interaction:
            return " with ".join(self.interaction)
        if self.spread is not None:
            return f"{self.spread.of}: spread over {self.spread.over}"
        return str(self.arm)


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
    def hash(self) -> str:
        """A digest of all that rows depend on: not of blocks, looks, budget, runner, claims or added metrics.

        Settings that have their default are left out, so that one that comes with a later version changes no digest.
        """
        rested_on = {*TrialSettings.model_fields, "study", "axes", "baseline", "measure", "controls"}
        kept = {name: value for name, value in _set(self).items() if name in rested_on}
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
