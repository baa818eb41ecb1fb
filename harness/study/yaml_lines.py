"""Reading YAML safely, with the line of every key, and naming the traps of YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError, StudyError


@dataclass(frozen=True)
class Document:
    """A file's data and where each part of it stands."""

    data: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]

    def explain(self, problems: Iterable[tuple[Sequence[str | int], str]]) -> list[str]:
        """Return each problem as `line N: dotted.path: what is wrong`, in the order of the file."""
        found = []
        for where, message in problems:
            at = tuple(where)
            path = ".".join(str(part) for part in at)
            while at and at not in self.lines:
                at = at[:-1]
            line = self.lines.get(at)
            text = f"{path}: {message}" if path else message
            found.append((line or 0, f"line {line}: {text}" if line else text))
        return [text for _, text in sorted(found, key=lambda item: item[0])]


def read(path: Path) -> Document:
    """Return a YAML file's mapping with the lines of its keys.

    Raises:
        StudyError: No such file, not YAML, no mapping, or a key given twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
        raise HarnessError(
            f"{path}: cannot be read ({reason}); give the path of a study file, e.g. studies/quickstart.yaml"
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise StudyError(str(path), [f"{line}not YAML: {getattr(error, 'problem', None) or error}"]) from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(data, dict):
        raise StudyError(str(path), ["is not a mapping of settings; it begins with `study: name`"])
    lines: dict[tuple[str | int, ...], int] = {}
    twice = list(_walk(root, (), lines))
    if twice:
        raise StudyError(str(path), twice)
    return Document(data, lines)


def _walk(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> Iterable[str]:
    """Fill `lines` with the line of each key and item below a node; yield keys that are given twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = (*path, key.value)
            if at in lines:
                where = ".".join(map(str, at))
                yield f"line {key.start_mark.line + 1}: {where}: given twice, first on line {lines[at]}"
            lines[at] = key.start_mark.line + 1
            yield from _walk(value, at, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines)


def parse(text: str) -> Any:
    """Return one YAML value, e.g. of `--set`.

    Raises:
        HarnessError: Not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise HarnessError(f"'{text}': not a YAML value ({getattr(error, 'problem', error)})") from None


def trap(value: Any) -> str:
    """Return a hint where YAML 1.1 reads a value otherwise than people do, or nothing."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        mantissa, exponent = re.split("[eE]", value)
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        sign = exponent if exponent[0] in "+-" else f"+{exponent}"
        return f" (YAML reads {value} as text; write {mantissa}e{sign})"
    if isinstance(value, bool):
        return " (YAML reads on, yes, off and no as true and false; quote the word if that was meant)"
    return ""
