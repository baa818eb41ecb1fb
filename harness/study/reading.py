"""Reading a study file: all problems at once, each with its line, what was found, and the nearest match."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import MANY_PROBLEMS, HarnessError, StudyError, did_you_mean, shortened
from harness.metrics.catalogue import metric_named, refusal
from harness.study import yaml_lines
from harness.study.design import excess
from harness.study.settings import Settings, TrialSettings
from harness.study.study import Study, level_name, put


def read_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read and check a study file.

    Args:
        path: A YAML file.
        overrides: `dotted.path=value` settings laid over the file, values in YAML.

    Raises:
        StudyError: All problems of the file at once, each with its line, what was found, and the nearest match.
    """
    document = yaml_lines.read(path)
    return _checked(document, str(path), overrides)


def checked(study: Study | str | Path, overrides: Iterable[str] = ()) -> Study:
    """Return a study that was made in Python, or is read from a file, after all checks that a file gets.

    Raises:
        StudyError: All problems at once.
    """
    if not isinstance(study, Study):
        return read_study(Path(study), overrides)
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
        found = [*_problems(error, Study), *_unknown_axes(data.get("axes"))]
        raise StudyError(where, document.explain(found)) from None
    problems = [*_unknown_axes(study.axes), *_axis_problems(study), *_refused_metrics(study), *_empty_windows(study)]
    too_much = excess(study)
    if too_much:
        problems.append((("design",), too_much))
    if problems:
        raise StudyError(where, document.explain(problems))
    return study


Problem = tuple[tuple[str | int, ...], str]
"""Where in the file, and what is wrong there."""


def _refused_metrics(study: Study) -> Iterable[Problem]:
    """Yield the metrics that the data cannot have."""
    data = study.data
    if data.PAIRED is None:
        return
    if study.measure.generated is not None and data.PAIRED:
        yield (
            ("measure", "generated"),
            "each held-out pair gives one generated image; leave it out, and set measure.images and data.holdout",
        )
    for name in study.measure.metrics:
        reason = refusal(metric_named(name), paired=data.PAIRED, characters=data.CHARACTERS)
        if reason:
            yield ("measure", "primary" if name == study.measure.primary else "also"), reason


def _empty_windows(study: Study) -> Iterable[Problem]:
    """Yield the measures of signals whose window holds too few logged steps."""
    total = study.training.steps
    every = max(1, total // study.measure.signals)
    logged = {*range(every, total + 1, every), total}
    for name in study.measure.metrics:
        d = metric_named(name).derivation
        if d is None or d.of_metric is not None or d.function == "column":
            continue
        steps = study.measure.steps(total) if d.where_measured else logged
        count = sum(d.inside(step, total) for step in steps)
        if count < d.least:
            way = "measure.at: more steps" if d.where_measured else "raise measure.signals, or widen the window"
            yield (
                ("measure", "primary" if name == study.measure.primary else "also"),
                f"{name}: {count} logged steps lie in its window, {d.least} are needed; {way}",
            )


def _is_setting(axis: str) -> bool:
    return axis in setting_paths() or bool(re.match(r"(data|generator|discriminator)\.options\.", axis))


def _unknown_axes(axes: Any) -> Iterable[Problem]:
    """Yield the axes that are no settings."""
    for axis in axes if isinstance(axes, Mapping) else ():
        if not _is_setting(str(axis)):
            yield ("axes", axis), f"no such setting{did_you_mean(str(axis), setting_paths())}"


def _axis_problems(study: Study) -> Iterable[Problem]:
    """Yield what is wrong with the axes that are settings: unknown levels, unknown baselines."""
    for axis, given in study.axes.items():
        levels = list(given.values()) if isinstance(given, dict) else given
        names = list(given) if isinstance(given, dict) else [level_name(v) for v in given]
        if not _is_setting(axis):
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
                for _, message in _problems(error, TrialSettings):
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


def _problems(error: ValidationError, model: type[Settings]) -> list[Problem]:
    """Turn pydantic's errors into sentences: what was found, and what is allowed or near."""
    found: list[Problem] = []
    for item in error.errors(include_url=False):
        where = tuple(part for part in item["loc"] if not _is_tag(part))
        kind, value, context = item["type"], item.get("input"), item.get("ctx", {})
        if kind == "extra_forbidden":
            near = len(found) < MANY_PROBLEMS
            hint = did_you_mean(str(where[-1]), _siblings(model, tuple(map(str, where[:-1])))) if near else ""
            found.append((where, f"no such setting{hint}"))
        elif kind == "literal_error":
            allowed = context["expected"].replace(" or ", ", ").replace("'", "")
            hint = did_you_mean(value, allowed.split(", ")) if isinstance(value, str) else f"; allowed: {allowed}"
            found.append((where, f"found {_show(value)}{hint}{yaml_lines.trap(value)}"))
        elif kind == "union_tag_invalid":
            tags = [t for t in re.findall(r"'([^']+)'", context["expected_tags"]) if t != "custom"]
            found.append(
                (
                    (*where, "kind"),
                    f"no '{context['tag']}'{did_you_mean(context['tag'], tags)} (or your own package.module:function)",
                )
            )
        elif kind == "union_tag_not_found":
            found.append(((*where, "kind"), "is missing; say which kind it is"))
        elif kind == "missing":
            found.append((where, "is missing"))
        elif kind == "value_error":
            found += [(where, line) for line in str(context["error"]).splitlines()]
        else:
            found.append((where, f"{_expected(item['msg'])}, got {_show(value)}{yaml_lines.trap(value)}"))
    return list(dict.fromkeys(found))


def _is_tag(part: str | int) -> bool:
    """Tell a tag that pydantic puts into the place of an error from a key of the file."""
    return isinstance(part, str) and (
        part in _tags() or bool(re.match(r"^(constrained|function|tuple|literal|Looks|nullable)", part))
    )


@functools.cache
def _tags() -> frozenset[str]:
    """Return the kinds of all groups, as their settings classes name them, and the names of other alternatives."""
    definitions = TypeAdapter(TrialSettings).json_schema()["$defs"].values()
    kinds = {group["properties"]["kind"].get("const") for group in definitions if "kind" in group["properties"]}
    return frozenset({*(kind for kind in kinds if kind), "custom", "number", "schedule", "int", "float", "str"})


def _expected(message: str) -> str:
    return (
        message.replace("Input should be", "expected")
        .replace("a valid integer", "a whole number")
        .replace("a valid number", "a number")
        .replace("a valid string", "text")
        .replace("a valid boolean", "true or false")
    )


def _show(value: Any) -> str:
    return f"'{shortened(value)}'" if isinstance(value, str) else shortened(json.dumps(value, default=str))


@functools.cache
def setting_paths(model: type[Settings] = TrialSettings) -> frozenset[str]:
    """Return the dotted path of every setting of a model, groups included, over all kinds."""
    return frozenset(_paths(TypeAdapter(model).json_schema()))


@functools.cache
def _siblings(model: type[Settings], group: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the settings in a group of a model, over all its kinds."""
    paths = [path.split(".") for path in setting_paths(model)]
    return frozenset(p[len(group)] for p in paths if len(p) > len(group) and tuple(p[: len(group)]) == group)


def _paths(schema: Mapping[str, Any]) -> Iterable[str]:
    definitions = schema.get("$defs", {})

    def walk(node: Mapping[str, Any], prefix: str) -> Iterable[str]:
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        for option in (*node.get("oneOf", ()), *node.get("anyOf", ()), *node.get("allOf", ())):
            yield from walk(option, prefix)
        for name, child in node.get("properties", {}).items():
            yield f"{prefix}{name}"
            yield from walk(child, f"{prefix}{name}.")

    return walk(schema, "")
