"""Reading YAML safely and within bounds, with the line of every key, and naming the traps of YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from harness.errors import HarnessError, StudyError, shortened

MOST_BYTES = 1 << 18
"""Longer files are refused; long sets of characters have files of their own."""
MOST_VALUES = 5_000
"""Keys, items and values of a file, those that aliases repeat counted each time."""
DEEPEST = 32
"""Lists and mappings inside of each other."""
LONGEST_NUMBER = 64
"""Characters of a number; converting long ones takes the square of their length."""
_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge"))


class _BoundedLoader(yaml.SafeLoader):
    """Builds what JSON can say too, at most `MOST_VALUES`, `DEEPEST` deep; an alias counts as all that it names."""

    yaml_constructors: ClassVar = {
        tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag in {*_PLAIN, None}
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._depth += 1
        if self._depth > DEEPEST:
            raise ComposerError(None, None, f"nested more than {DEEPEST} deep", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        alias = isinstance(event, yaml.AliasEvent)
        if alias:
            if id(node) not in self._sizes:
                raise ComposerError(None, None, f"'{event.anchor}' contains itself", event.start_mark)
            self._values += self._sizes[id(node)]
        else:
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > MOST_VALUES:
            raise ComposerError(None, None, f"more than {MOST_VALUES} values", event.start_mark)
        return node

    def construct_scalar(self, node: yaml.Node) -> Any:
        if node.tag in (f"{_TAG}int", f"{_TAG}float") and len(node.value) > LONGEST_NUMBER:
            raise ConstructorError(None, None, f"a number of {len(node.value)} characters", node.start_mark)
        return super().construct_scalar(node)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Document:
    """A file's data and where each part of it stands."""

    data: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]

    def explain(self, problems: Iterable[tuple[Sequence[str | int], str]]) -> list[str]:
        """Return each problem as `line N: dotted.path: what is wrong`, in the order of the file."""
        numbered = []
        for where, message in problems:
            at = tuple(where)
            path = shortened(".".join(str(part) for part in at), 120)
            while at and at not in self.lines:
                at = at[:-1]
            line = self.lines.get(at)
            text = f"{path}: {message}" if path else message
            numbered.append((line or 0, f"line {line}: {text}" if line else text))
        return [text for _, text in sorted(numbered, key=lambda item: item[0])]


def read(path: Path) -> Document:
    """Return a YAML file's mapping with the lines of its keys.

    Raises:
        StudyError: Not YAML, no mapping, beyond one of this module's bounds, or a key given twice.
        HarnessError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise StudyError(str(path), [f"has more than {MOST_BYTES} bytes; long texts belong in files of their own"])
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
        raise HarnessError(
            f"{path}: cannot be read ({reason}); give the path of a study file, e.g. studies/quickstart.yaml"
        ) from error
    lines: dict[tuple[str | int, ...], int] = {}
    data = _data(text, str(path), lines)
    if not isinstance(data, dict):
        raise StudyError(str(path), ["is not a mapping of settings; it begins with `study: name`"])
    return Document(data, lines)


def _data(text: str, where: str, lines: dict[tuple[str | int, ...], int]) -> Any:
    """Return the data of a text, and fill `lines` with where its keys and items stand.

    Raises:
        StudyError: Not YAML, keys that are given twice or are no text, or beyond one of this module's bounds.
    """
    try:
        loader = _BoundedLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        problems = list(_walk(root, (), lines))
        data = loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise StudyError(where, [f"{line}not YAML: {reason}"]) from None
    except (ValueError, LookupError) as error:
        # A tag that its text does not fit: `!!int x`, `!!int ""`, `!!bool x`.
        raise StudyError(where, [f"not YAML: {error}"]) from None
    if problems:
        raise StudyError(where, problems)
    return data


def _walk(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> Iterable[str]:
    """Fill `lines` with the line of each key and item below a node; yield keys given twice, and others than text."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            at = (*path, name)
            where = f"line {key.start_mark.line + 1}: {'.'.join(map(str, at))}"
            if at in lines:
                yield f"{where}: given twice, first on line {lines[at]}"
            if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                yield f'{where}: a name must be text; write "{name}"'
            lines[at] = key.start_mark.line + 1
            yield from _walk(value, at, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines)


def parse(text: str) -> Any:
    """Return one YAML value, e.g. of `--set`.

    Raises:
        HarnessError: Not YAML, or beyond one of this module's bounds.
    """
    try:
        return _data(text, "value", {})
    except StudyError as error:
        raise HarnessError(f"'{shortened(text)}': not a YAML value ({error.problems[0]})") from None


def quoted_number(value: Any) -> str:
    """Return a hint where a number stands in quotes, or nothing."""
    number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?", value)
    return f", which is text; write {value} without quotes" if number else ""


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
