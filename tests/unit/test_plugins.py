from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny import call

STUDY = """
study: own
data: {kind: glyphs}
generator: {kind: "MODULE:network"}
axes: {discriminator.spectral_norm: [none, convs]}
measure: {margin: 10%}
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "no module named 'own_part'; install it, or put it beside the study's file"),
        ("def broken(:", "own_part:network: importing 'own_part' raised SyntaxError"),
        ("value = 1\n1 / 0", "own_part:network: importing 'own_part' raised ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", "own_part:network: no module named 'nothing_of_this_name'"),
        ("value = 1", "own_part:network: module 'own_part' has no 'network'"),
    ],
)
def test_a_module_of_ones_own_that_is_missing_or_broken_is_one_line(
    code: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_part", raising=False)
    if code is not None:
        (tmp_path / "own_part.py").write_text(code)
    (tmp_path / "own.yaml").write_text(STUDY.replace("MODULE", "own_part"))
    done = call("plan", tmp_path / "own.yaml", "--results", tmp_path / "results")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_a_missing_module_is_seen_without_building_anything(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(STUDY.replace("MODULE", "nowhere_to_be_seen.deep"))
    done = call("plan", "--no-build", tmp_path / "own.yaml", "--results", tmp_path / "results")
    assert done.returncode == 2
    assert "no module named 'nowhere_to_be_seen'" in done.stderr
