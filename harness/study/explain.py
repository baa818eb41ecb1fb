"""What a setting is: its meaning, values, range and default, read from the schema of study files."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError, did_you_mean
from harness.study.problems import axis_paths, setting_paths
from harness.study.study import Study

GROUP = "a group of settings"
OWN = "package.module:function"
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """One setting, in the kinds of its group in which it is the same."""

    setting: str
    meaning: str
    values: str
    """Type and range, in words."""
    default: Any
    required: bool
    axis: bool
    """Whether a study can vary it."""
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each group around it that comes in kinds, by the setting that says which: those that have this setting."""
    settings: dict[str, str] = field(default_factory=dict)
    """Of a group: what is in it, with its meaning."""


def explain(setting: str) -> tuple[Explanation, ...]:
    """Return what a dotted setting is; several explanations where it differs by the kind of its group.

    Raises:
        HarnessError: There is no such setting; the message names the nearest.
    """
    found: list[Explanation] = []
    for node, required, kinds in _nodes(_schema(), tuple(setting.split(".")), {}):
        one = _explanation(setting, node, required=required, kinds=kinds)
        same = next((i for i, other in enumerate(found) if _same(one, other)), None)
        if same is None:
            found.append(one)
        else:
            found[same] = dataclasses.replace(found[same], kinds=_joined(found[same].kinds, one.kinds))
    if not found:
        raise HarnessError(f"explain: no setting '{setting}'{did_you_mean(setting, setting_paths(Study))}")
    return tuple(found)


def settings() -> dict[str, str]:
    """Return the settings at the top of a study file with their meanings."""
    return {name: _meaning(node) for name, node in _schema()["properties"].items()}


def render_explanation(explanations: Sequence[Explanation]) -> str:
    """Return explanations for people, a block each."""
    return "\n\n".join("\n".join(_lines(one)) for one in explanations)


def render_settings(listed: Mapping[str, str], indent: str = "") -> str:
    """Return settings with the first sentence of their meanings, aligned."""
    width = max(map(len, listed))
    return "\n".join(
        f"{indent}{name:<{width}}  {meaning.split('. ')[0].rstrip('.')}" for name, meaning in listed.items()
    )


def reference() -> str:
    """Return all settings as the page docs/settings.md, a table for each setting at the top of a study file."""
    parts = [REFERENCE]
    for name, meaning in settings().items():
        paths = sorted(path for path in setting_paths(Study) if path == name or path.startswith(f"{name}."))
        rows = [_row(one) for path in paths for one in explain(path) if one.values != GROUP]
        table = "\n".join(["| setting | values | default | meaning |", "| --- | --- | --- | --- |", *rows])
        parts.append(f"## {name}\n\n{meaning}\n\n{table}")
    return "\n\n".join(parts) + "\n"


REFERENCE = """# All settings

Made from the code; `python -m harness explain SETTING` prints one of them. Settings below `data`, `generator`,
`discriminator`, `training` and `failures` can be axes. Kinds that have a setting stand behind it in brackets. To make
this page anew:

```sh
python -c "from harness.study.explain import reference; print(reference(), end='')" > docs/settings.md
```"""


def _row(one: Explanation) -> str:
    kinds = "; ".join(", ".join(names) for names in one.kinds.values())
    default = "" if one.required else f"`{_shown(one.default)}`"
    cells = (f"`{one.setting}`{f' ({kinds})' if kinds else ''}", one.values, default, one.meaning)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _lines(one: Explanation) -> Iterator[str]:
    yield one.setting
    yield f"  {one.meaning}"
    for kind, names in one.kinds.items():
        yield f"  where    {kind} is {' or '.join(names)}"
    if one.settings:
        yield f"  a group of settings; more by `explain {one.setting}.NAME`:"
        yield render_settings(one.settings, "    ")
        if one.values == GROUP:
            return
    yield f"  values   {one.values}"
    default = "none: it must be given" if one.required else _shown(one.default)
    yield f"  default  {default}"
    if one.axis:
        yield f"  axis     axes: {{{one.setting}: [first, second]}}; for one call --set {one.setting}=VALUE"


@functools.cache
def _schema() -> dict[str, Any]:
    return Study.model_json_schema()


def _resolved(node: Node) -> Node:
    """Return a node with what it refers to laid under it."""
    if "$ref" not in node:
        return node
    return {**_schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]], **{k: v for k, v in node.items() if k != "$ref"}}


def _options(node: Node) -> list[Node]:
    """Return the forms that a node may take, without null."""
    node = _resolved(node)
    forms = [*node.get("oneOf", ()), *node.get("anyOf", ()), *node.get("allOf", ())]
    return (
        [form for given in forms for form in _options(given)] if forms else [] if node.get("type") == "null" else [node]
    )


def _kind(form: Node) -> str | None:
    """Return which kind of its group a form is; None for groups of one kind."""
    kind = form.get("properties", {}).get("kind")
    if kind is None:
        return None
    return str(kind["const"]) if "const" in kind else OWN if "pattern" in kind else None


def _nodes(
    node: Node, parts: tuple[str, ...], kinds: dict[str, tuple[str, ...]], path: str = "", *, required: bool = False
) -> Iterator[tuple[Node, bool, dict[str, tuple[str, ...]]]]:
    """Yield the places of a schema that a path leads to, with the kinds on the way."""
    if not parts:
        yield node, required, kinds
        return
    forms = _options(node)
    for outer in forms:
        form = _resolved(outer.get("items", outer)) if outer.get("type") == "array" else outer
        child = form.get("properties", {}).get(parts[0])
        if child is None:
            continue
        kind = _kind(form) if len(forms) > 1 and parts[0] != "kind" else None
        now = kinds if kind is None else {**kinds, f"{path}kind": (kind,)}
        must = parts[0] in form.get("required", ())
        yield from _nodes(child, parts[1:], now, f"{path}{parts[0]}.", required=must)


def _explanation(setting: str, node: Node, *, required: bool, kinds: dict[str, tuple[str, ...]]) -> Explanation:
    inside = {
        name: _meaning(child)
        for form in reversed(_options(node))
        for name, child in _resolved(form.get("items", form)).get("properties", {}).items()
    }
    return Explanation(
        setting=setting,
        meaning=_meaning(node),
        values=GROUP if inside and all("properties" in form for form in _options(node)) else _values(node),
        default=node.get("default"),
        required=required,
        axis=setting in axis_paths(),
        kinds=kinds,
        settings=inside,
    )


def _meaning(node: Node) -> str:
    return " ".join(str(_resolved(node).get("description", "")).split())


def _same(one: Explanation, other: Explanation) -> bool:
    return dataclasses.replace(one, kinds={}) == dataclasses.replace(other, kinds={})


def _joined(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(dict.fromkeys((*names, *other.get(kind, ())))) for kind, names in one.items()}


WORDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
BOUNDS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "to {}"),
    ("exclusiveMaximum", "below {}"),
)


def _values(node: Node) -> str:
    """Return what may stand there, in words."""
    node = _resolved(node)
    forms = [*node.get("oneOf", ()), *node.get("anyOf", ())]
    if forms:
        return " or ".join(dict.fromkeys(map(_values, forms)))
    if "enum" in node or "const" in node:
        values = node.get("enum", [node.get("const")])
        return f"{'one of ' if len(values) > 1 else ''}{', '.join(map(_shown, values))}"
    return _of_type(node, node.get("type", "anything"))


def _of_type(node: Node, name: str) -> str:
    if name == "array" and "prefixItems" in node:
        return f"a list of {len(node['prefixItems'])}: {'; '.join(map(_values, node['prefixItems']))}"
    if name == "array":
        return f"a list; each item {_values(node['items'])}"
    if name == "object":
        return GROUP if "properties" in node else "a mapping"
    if ":" in node.get("pattern", ""):
        return f"text, {OWN}"
    bounds = [words.format(f"{node[bound]:g}") for bound, words in BOUNDS if bound in node]
    joint = " " if bounds and bounds[-1].startswith("to ") else " and "
    return " ".join([WORDS.get(name, name), joint.join(bounds)]).rstrip()


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
