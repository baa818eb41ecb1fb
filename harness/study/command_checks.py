"""What is wrong with a study whose trials are commands, beyond the types of its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.errors import did_you_mean
from harness.metrics.catalogue import metric_named, refusal
from harness.study.command import GIVEN, LEVELS, PLACEHOLDER, CommandSettings
from harness.study.problems import Problem
from harness.study.study import Study

BUILT_IN = ("preset", "data", "generator", "discriminator", "training", "failures")
"""Settings of trials that are no commands."""
NO_CONTROLS = {
    "planted-harm": "give flags or a revision that are known to harm, such as positive: {flags: --lr 0}",
    "no-ops": "give flags or a revision that are known to change nothing",
    "one-ulp": "give flags or a revision that are known to change nothing",
}
"""Controls that are made of built-in settings, and what to give instead."""


def is_axis(study: Study, name: str) -> bool:
    """Return whether a name can be an axis of a study of commands: a setting of its own, or a placeholder."""
    return study.trial is not None and (name in LEVELS or name in _placeholders(study.trial))


def command_problems(study: Study) -> Iterable[Problem]:
    """Yield what is wrong: settings that a command does not read, placeholders, axes, and what cannot be measured."""
    trial = study.trial
    assert trial is not None
    for name in BUILT_IN:
        if getattr(study, name) != type(study).model_fields[name].get_default():
            yield (name,), "is no setting of a trial that is a command; say it in the words of the command"
    if study.budget.hours is not None:
        yield ("budget", "hours"), "how long a command takes is not known before; budget.trial_minutes ends one"
    for where, problem in trial.unknown(study.axes):
        yield ("trial", where), problem
    allowed = sorted({*LEVELS, *_placeholders(trial)})
    for axis in study.axes:
        if not is_axis(study, axis):
            way = did_you_mean(axis, allowed)
            yield ("axes", axis), f"is neither revision, patch nor flags, and no {{{axis}}} stands in the command{way}"
    written = " ".join(text for where, text in trial.templates() if where not in ("generated", "values"))
    if not trial.matched and not {"seed", "block"} & set(PLACEHOLDER.findall(written)):
        yield ("trial", "command"), "is told neither {seed} nor {block}, so every block would be the same"
    if "flags" in study.axes and "{flags}" not in trial.command:
        yield ("axes", "flags"), "varies, and no {flags} stands in the command"
    outputs = [text for _, text in trial.templates() if "{out}" in text]
    if trial.generated is not None and not any(
        "{out}" in text for text in (trial.command, *trial.environment.values())
    ):
        yield ("trial", "command"), "is not told where to write; let {out} stand in it, or in the environment"
    if trial.values is not None and trial.values.file is not None and not outputs:
        yield ("trial", "values"), "each trial writes its own; begin with {out}"
    yield from _measures(study, trial)
    controls = (study.controls.positive, *study.controls.negatives)
    for control in controls:
        if isinstance(control, str) and control in NO_CONTROLS:
            yield ("controls",), f"{control} goes with built-in trials; {NO_CONTROLS[control]}"


def _placeholders(trial: CommandSettings) -> set[str]:
    return {name for _, text in trial.templates() for name in PLACEHOLDER.findall(text)} - set(GIVEN)


def _measures(study: Study, trial: CommandSettings) -> Iterator[Problem]:
    """Yield the metrics that nothing the command leaves gives."""
    measure = study.measure
    if "at" in measure.model_fields_set and measure.steps(1) != (1,):
        yield ("measure", "at"), "a command is measured when it has ended; trial.values.at chooses a step of its log"
    if trial.generated is not None and study.real is None:
        yield ("real",), "is missing: the folder of images that generated ones are measured against"
    if trial.generated is None and study.real is not None:
        yield ("trial", "generated"), "is missing: the images that are measured against `real`"
    for name in measure.metrics:
        place = ("measure", "primary" if name == measure.primary else "also")
        metric = metric_named(name)
        derived = metric.derivation
        if metric.needs == "log":
            if trial.values is None:
                yield place, f"{name}: nothing is logged; trial.values says where"
        elif derived is not None:
            if derived.function != "column" or derived.source not in ("failures", "wall_seconds", "peak_bytes"):
                yield place, f"{name}: is worked out of a built-in training; leave it out"
        elif trial.generated is None:
            yield place, f"{name}: is computed from images; trial.generated says which, or logged(NAME) names a value"
        elif reason := refusal(metric, paired=True, train=False, characters=False, networks=False):
            yield place, reason
