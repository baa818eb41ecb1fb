"""What is wrong with a study, in sentences: where, what was found, and what is allowed or near."""

from __future__ import annotations

import functools
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import MANY_PROBLEMS, did_you_mean, shortened
from harness.study import yaml_lines
from harness.study.fields import Settings
from harness.study.settings import TrialSettings

Place = tuple[str | int, ...]
Problem = tuple[Place, str]
"""Where in the file, and what is wrong there."""

EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a group of settings",
    "model_attributes_type": "a group of settings",
    "string_pattern_mismatch": "letters, digits, _, . and -, a letter or digit first",
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "greater than or equal to {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "less than or equal to {le:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_long": "at most {max_length} characters",
}
"""What pydantic's types of errors expected; numbers are those of the setting."""


def settings_problems(error: ValidationError, model: type[Settings], data: Any) -> list[Problem]:
    """Return what pydantic found wrong with a file's data; where it tried several types, one problem for all."""
    problems: list[Problem] = []
    expected: dict[Place, list[str]] = {}
    inputs: dict[Place, Any] = {}
    for item in error.errors(include_url=False):
        place = _place(item["loc"], data)
        if item["type"] in EXPECTED:
            words = EXPECTED[item["type"]].format_map(item.get("ctx", {}))
            expected.setdefault(place, []).append(words)
            inputs[place] = item["input"]
        else:
            problems += _sentences(item, place, model, data, hints=len(problems) < MANY_PROBLEMS)
    for place, alternatives in expected.items():
        what = LEVELS if place[:1] == ("axes",) and len(place) == 2 else " or ".join(dict.fromkeys(alternatives))
        hint = yaml_lines.quoted_number(inputs[place]) if "number" in what else ""
        problems.append((place, f"expected {what}, got {shown(inputs[place])}{hint or yaml_lines.trap(inputs[place])}"))
    return list(dict.fromkeys(problems))


LEVELS = "levels as a list, such as [none, convs], or as a mapping of their names to values"


def _place(location: Sequence[str | int], data: Any) -> Place:
    """Return where in the file an error is: its location without what pydantic adds, such as the tags of unions."""
    place: list[str | int] = []
    for number, part in enumerate(location):
        inside = isinstance(data, Mapping) and part in data
        if inside or (isinstance(data, Sequence) and isinstance(part, int) and part < len(data)):
            data = data[part]
            place.append(part)
        elif number == len(location) - 1 and isinstance(part, str if isinstance(data, Mapping) else int):
            place.append(part)
    return tuple(place)


def _sentences(item: ErrorDetails, place: Place, model: type[Settings], data: Any, *, hints: bool) -> list[Problem]:
    value, context = item.get("input"), item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            return [(place, _unknown(place, model, data) if hints else "no such setting")]
        case "literal_error":
            allowed = context["expected"].replace(" or ", ", ").replace("'", "")
            hint = did_you_mean(value, allowed.split(", ")) if isinstance(value, str) else f"; allowed: {allowed}"
            return [(place, f"found {shown(value)}{hint}{yaml_lines.trap(value)}")]
        case "union_tag_invalid" | "union_tag_not_found":
            return [_no_kind(value, place, model, context.get("tag"))]
        case "missing":
            return [(place, "is missing")]
        case "value_error":
            return [(place, line) for line in str(context["error"]).splitlines()]
    return [(place, f"is refused ({item['msg']}), got {shown(value)}")]


def _no_kind(value: Any, place: Place, model: type[Settings], tag: Any) -> Problem:
    """Return what to say of a group whose kind is missing, or none that there is."""
    if not isinstance(value, Mapping):
        return place, f"expected a group of settings that begins with kind, got {shown(value)}"
    if tag is None:
        return (*place, "kind"), "is missing; say which kind it is"
    kinds = [kind for option in _options(_annotation(model, place)) if (kind := _kind(option))]
    hint = did_you_mean(str(tag), kinds)
    return (*place, "kind"), f"no '{shortened(str(tag))}'{hint} (or your own package.module:function)"


def _unknown(place: Place, model: type[Settings], data: Any) -> str:
    """Return what to say of a key that is no setting: of which other kind it is one, or which is near."""
    *group, name = map(str, place)
    options = _options(_annotation(model, tuple(group))) if group else [model]
    chosen = _of_kind(options, functools.reduce(lambda inner, key: inner[key], place[:-1], data))
    others = [kind for option in options if name in option.model_fields and (kind := _kind(option))]
    if others and len(chosen) == 1:
        return f"no setting of kind {_kind(chosen[0]) or 'package.module:function'}, but of {', '.join(others)}"
    return no_such_setting(name, [field for option in chosen for field in option.model_fields], setting_paths(model))


def no_such_setting(name: str, near: Iterable[str], paths: Iterable[str]) -> str:
    """Return that a name is no setting, with those of that name elsewhere, or one that is near."""
    same = sorted(path for path in paths if path.endswith(f".{name.rpartition('.')[2]}"))
    if same and len(same) <= 4:
        return f"no such setting; did you mean {' or '.join(repr(path) for path in same)}?"
    return f"no such setting{did_you_mean(name, near)}"


def _options(annotation: Any) -> list[type[Settings]]:
    """Return the settings classes that a type may be: one, or one for each kind."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [option for argument in typing.get_args(annotation) for option in _options(argument)]


def _kind(option: type[BaseModel]) -> str | None:
    """Return the kind by which a settings class is chosen; None for a user's own, and where there are no kinds."""
    field = option.model_fields.get("kind")
    return None if field is None or field.is_required() else str(field.default)


def _of_kind(options: Sequence[type[Settings]], group: Any) -> list[type[Settings]]:
    """Return the classes that a group of the file may be meant for."""
    kind = group.get("kind") if isinstance(group, Mapping) else None
    own = [option for option in options if _kind(option) == (None if ":" in str(kind) else kind)]
    return own if kind is not None and len(own) == 1 else list(options)


def _annotation(model: type[Settings], place: Place) -> Any:
    """Return the type of the setting at a place, over all kinds; None where there is none."""
    classes, annotation = [model], None
    for part in place:
        if isinstance(part, str):
            fields = [option.model_fields[part] for option in classes if part in option.model_fields]
            annotation = fields[0].annotation if fields else None
            classes = _options(annotation)
    return annotation


def shown(value: Any) -> str:
    """Return a value as a message prints it, in JSON's form, shortened."""
    return f"'{shortened(value)}'" if isinstance(value, str) else shortened(json.dumps(value, default=str))


@functools.cache
def setting_paths(model: type[Settings] = TrialSettings) -> frozenset[str]:
    """Return the dotted path of every setting of a model, groups included, over all kinds."""
    return frozenset(_paths(model, ""))


@functools.cache
def axis_paths() -> frozenset[str]:
    """Return the dotted path of every setting of a built-in trial: each can be an axis."""
    return frozenset(path for path in setting_paths() if path.split(".")[0] not in ("trial", "real"))


def _paths(model: type[Settings], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        single = typing.get_origin(field.annotation) is not tuple
        for option in _options(field.annotation) if single else ():
            yield from _paths(option, f"{prefix}{name}.")
