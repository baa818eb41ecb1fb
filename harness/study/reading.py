"""Reading a study file: all problems at once, each with its line, what was found, and the nearest match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import HarnessError, StudyError, did_you_mean, shortened
from harness.metrics.catalogue import metric_named, refusal
from harness.study import yaml_lines
from harness.study.command import LEVELS
from harness.study.command_checks import command_problems, is_axis
from harness.study.design import excess
from harness.study.network_settings import UNetSettings
from harness.study.problems import Problem, axis_paths, no_such_setting, settings_problems
from harness.study.settings import TrialSettings
from harness.study.study import Study, level_name, put
from harness.study_folder import look_beside


def read_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read and check a study file; from now on this process looks for modules and data beside it first.

    Args:
        path: A YAML file.
        overrides: `dotted.path=value` settings laid over the file, values in YAML.

    Raises:
        StudyError: All problems of the file at once, each with its line, what was found, and the nearest match.
    """
    document = yaml_lines.read(path)
    look_beside(path.absolute().parent)
    return _checked(document, str(path), overrides)


def checked(study: Study | str | Path, overrides: Iterable[str] = ()) -> Study:
    """Return a study that was made in Python, or is read from a file, after all checks that a file gets.

    Raises:
        StudyError: All problems at once.
    """
    if not isinstance(study, Study):
        return read_study(Path(study), overrides)
    look_beside(None)
    return _checked(yaml_lines.Document(study.model_dump(mode="json"), {}), f"study {study.study}", overrides)


def _checked(document: yaml_lines.Document, where: str, overrides: Iterable[str]) -> Study:
    data = document.data
    for text in overrides:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise HarnessError(f"--set {shortened(text)}: expected dotted.path=value")
        if key.count(".") > yaml_lines.DEEPEST:
            raise HarnessError(f"--set {shortened(key)}: nested more than {yaml_lines.DEEPEST} deep")
        put(data, key.strip(), yaml_lines.parse(value))
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        axes = data.get("axes") if data.get("trial") is None else ()
        problems = [*settings_problems(error, Study, data), *_unknown_axes(axes)]
        raise StudyError(where, document.explain(problems)) from None
    problems = [problem for check in (CHECKS if study.trial is None else OF_COMMANDS) for problem in check(study)]
    if problems:
        raise StudyError(where, document.explain(problems))
    return study


def _refused_metrics(study: Study) -> Iterable[Problem]:
    """Yield the metrics that the data cannot have."""
    data = study.data
    if data.PAIRED is None:
        return
    if study.measure.generated is not None and data.SOURCED:
        yield (
            ("measure", "generated"),
            "each held-out source gives one generated image; leave it out, and set measure.images and data.holdout",
        )
    for name in study.measure.metrics:
        reason = refusal(metric_named(name), paired=data.PAIRED, characters=data.CHARACTERS)
        if reason and "also" not in study.measure.model_fields_set and name != study.measure.primary:
            reason = f"{reason} (it is measured unless `also` says otherwise)"
        if reason:
            yield ("measure", "primary" if name == study.measure.primary else "also"), reason


def _empty_windows(study: Study) -> Iterable[Problem]:
    """Yield the measures of signals whose window holds too few logged steps."""
    total = study.training.steps
    every = max(1, total // study.measure.signals)
    logged = {*range(every, total + 1, every), total}
    for name in study.measure.metrics:
        d = metric_named(name).derivation
        if d is None or d.function == "column":
            continue
        steps = study.measure.steps(total) if d.where_measured or d.of_metric is not None else logged
        count = sum(d.inside(step, total) for step in steps)
        if count < d.least:
            way = "measure.at: more steps" if steps is not logged else "raise measure.signals, or widen the window"
            yield (
                ("measure", "primary" if name == study.measure.primary else "also"),
                f"{name}: {count} logged steps lie in its window, {d.least} are needed; {way}",
            )


def _is_setting(axis: str, study: Study | None = None) -> bool:
    if study is not None and study.trial is not None:
        return is_axis(study, axis)
    return axis in axis_paths() or bool(re.match(r"(data|generator|discriminator|training)\.options\.", axis))


def _unknown_axes(axes: Any) -> Iterable[Problem]:
    """Yield the axes that are no settings."""
    for axis in axes if isinstance(axes, Mapping) else ():
        if not _is_setting(str(axis)):
            yield ("axes", axis), no_such_setting(str(axis), axis_paths(), axis_paths())


def _axis_problems(study: Study) -> Iterable[Problem]:
    """Yield what is wrong with the axes that are settings: unknown levels, unknown baselines."""
    for axis, given in study.axes.items():
        levels = list(given.values()) if isinstance(given, dict) else given
        names = list(given) if isinstance(given, dict) else [level_name(v) for v in given]
        if not _is_setting(axis, study):
            continue
        if len(levels) < 2:
            yield ("axes", axis), f"has {len(levels)} level; an axis needs two or more"
        if len(set(names)) < len(names):
            yield ("axes", axis), f"levels are not distinct: {', '.join(names)}"
            continue
        for position, level in enumerate(levels):
            try:
                study.trial_settings({axis: level})
            except ValidationError as error:
                where = names[position] if isinstance(given, dict) else position
                for _, message in settings_problems(error, TrialSettings, study.model_dump()):
                    yield ("axes", axis, where), f"{level_name(level)} is not a level: {message}"
        if axis.split(".")[0] == "data" and _moves_heldout(study, axis, levels):
            yield (
                ("axes", axis),
                "its levels hold out different images, and arms can only be compared on the same ones; data.augment "
                "and data.limit (fewer items to train on, the same held out) can vary",
            )
        if axis in study.baseline:
            first = study.baseline[axis]
            if first not in names and level_name(first) not in names:
                yield (
                    ("baseline", axis),
                    f"'{level_name(first)}' is not a level{did_you_mean(level_name(first), names)}",
                )
    for axis in study.baseline:
        if axis not in study.axes:
            yield ("baseline", axis), f"is no axis of the study{did_you_mean(axis, study.axes)}"


def _control_problems(study: Study) -> Iterable[Problem]:
    """Yield what is wrong with the settings of controls."""
    if any(_axis_problems(study)):
        return
    levels = {axis: next(iter(study.levels(axis).values())) for axis in study.axes if _is_setting(axis, study)}
    for kind, control in (
        ("positive", study.controls.positive),
        *(("negative", negative) for negative in study.controls.negatives),
    ):
        if control is None or isinstance(control, str):
            continue
        unknown = [name for name in control.settings if not _is_setting(name, study)]
        for name in unknown:
            near = axis_paths() if study.trial is None else (*LEVELS, *study.axes)
            yield ("controls", kind, name), no_such_setting(name, near, near)
        if unknown:
            continue
        try:
            baseline = study.trial_settings(levels)
            settings = study.trial_settings({**levels, **control.settings})
        except ValidationError as error:
            for _, message in settings_problems(error, TrialSettings, study.model_dump()):
                yield ("controls", kind), message
            continue
        if settings.data.model_dump_json(exclude=set(settings.data.TRAINED_ON)) != baseline.data.model_dump_json(
            exclude=set(baseline.data.TRAINED_ON)
        ):
            yield ("controls", kind), "holds out different images, and arms can only be compared on the same ones"
        if kind == "positive" and settings == baseline:
            yield ("controls", kind), "is the baseline itself; change a setting that is known to make a difference"
        if study.measure.steps(settings.steps)[-1] > settings.steps:
            yield ("controls", kind), f"is trained for {settings.steps} steps and measured beyond them"


def _moves_heldout(study: Study, axis: str, levels: Iterable[Any]) -> bool:
    """Return whether the levels of an axis of the data change the images that are measured."""
    measured = set()
    for level in levels:
        try:
            data = study.trial_settings({axis: level}).data
        except ValidationError:
            return False
        measured.add(data.model_dump_json(exclude=set(data.TRAINED_ON)))
    return len(measured) > 1


def _nothing_to_compare(study: Study) -> Iterable[Problem]:
    """Yield that a study without axes and controls has one arm only."""
    if not study.axes and not study.controls:
        yield ("axes",), "is missing, so nothing is compared; add one, e.g. discriminator.spectral_norm: [none, convs]"


def _too_much(study: Study) -> Iterable[Problem]:
    reason = excess(study)
    if reason:
        yield ("design",), reason


def _sources(study: Study) -> Iterable[Problem]:
    """Yield that a U-Net, which redraws a source image, has none."""
    varied = any(axis in ("data", "generator", "data.kind", "generator.kind") for axis in study.axes)
    if isinstance(study.generator, UNetSettings) and study.data.SOURCED is False and not varied:
        kind = f"data of kind {study.data.kind}"
        yield ("generator",), f"kind unet redraws a source image, and {kind} has none; use kind dcgan, or other data"


def _margin(study: Study) -> Iterable[Problem]:
    """Yield that an absolute margin is wider than all that the metric can differ by."""
    margin, (low, high) = study.measure.margin, metric_named(study.measure.primary).range
    if isinstance(margin, float | int) and margin >= high - low:
        yield (
            ("measure", "margin"),
            f"{margin:g} is no less than the whole range of {study.measure.primary}, {low:g} to {high:g}; write a "
            f"smaller difference, or {margin:g}% of the baseline's value",
        )


def assumptions(study: Study) -> Iterable[str]:
    """Yield what a study leaves to defaults although its verdicts rest on it."""
    if "margin" not in study.measure.model_fields_set:
        yield (
            f"measure.margin is not given: {study.measure.margin} of the baseline's {study.measure.primary} is taken "
            "as the smallest difference that matters"
        )


CHECKS: tuple[Callable[[Study], Iterable[Problem]], ...] = (
    lambda study: _unknown_axes(study.axes), _axis_problems, _control_problems, _refused_metrics, _empty_windows,
    _sources, _margin, _nothing_to_compare, _too_much,
)  # fmt: skip
OF_COMMANDS: tuple[Callable[[Study], Iterable[Problem]], ...] = (
    command_problems, _axis_problems, _control_problems, _margin, _nothing_to_compare, _too_much,
)  # fmt: skip
"""The checks of a study whose trials are commands."""
