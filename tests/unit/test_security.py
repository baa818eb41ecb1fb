from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

PACKAGE = Path(harness.__file__).parent
ROOT = PACKAGE.parent
IMPORTERS = {"harness/plugins.py", "harness/metrics/features.py"}
"""Files that import what a user names."""
LATE = {"harness/metrics/__init__.py"}
"""Files that import parts of this package by name, when they are first used."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield each call in the package: its file, what is called, and the call."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path.relative_to(ROOT).as_posix(), ast.unparse(node.func), node


def given(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(k.value) for k in call.keywords if k.arg == name), None)


def test_nothing_that_is_read_is_run() -> None:
    seen = set()
    for file, name, call in calls():
        assert name not in ("eval", "exec", "__import__", "os.system", "os.popen"), file
        assert not re.fullmatch(r"(pickle|marshal|shelve|joblib|cloudpickle|dill)\.(load|loads|open)", name), file
        assert name not in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"), file
        assert given(call, "shell") is None, file
        if name == "torch.load":
            assert given(call, "weights_only") is True, file
        if name in ("np.load", "np.lib.format.read_array"):
            assert given(call, "allow_pickle") is False, file
        seen.add(name)
    assert {"torch.load", "np.load", "np.lib.format.read_array", "importlib.import_module"} <= seen


def test_what_a_study_names_is_imported_in_two_places() -> None:
    named = {
        file
        for file, name, call in calls()
        if name == "importlib.import_module" and not isinstance(call.args[0], ast.Constant)
    }
    assert named == IMPORTERS | LATE


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/reliability.md"])
def test_each_test_that_a_page_of_promises_rests_on_is_there(name: str) -> None:
    page = (ROOT / name).read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in tests] == []
    assert [path for path in re.findall(r"`(harness/[\w/.]+)`", page) if not (ROOT / path).exists()] == []
