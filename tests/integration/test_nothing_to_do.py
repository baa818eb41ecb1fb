"""A study whose every trial has its row is done with at once: nothing is proved, timed, loaded or mirrored again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dummy
import pytest
import tiny
import yaml

PROGRAM = """
import sys
from pathlib import Path
import dummy
dummy.without_torch()
dummy.drive(dummy.study(2, 3, signals=3), Path(sys.argv[1]))
"""
COMMAND = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = ("torch", "optuna", "matplotlib", "harness.preflight.preflight", "harness.data",
             "scipy.stats", "scipy.optimize", "statsmodels", "PIL")
    print("imported:", *[name for name in heavy if name in sys.modules])
"""


def python(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=tiny.environment(), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_run_on_a_finished_study_imports_nothing_heavy_and_leaves_its_files_alone(
    tmp_path: Path, formula: None
) -> None:
    file, results = tmp_path / "study.yaml", ("--results", tmp_path)
    file.write_text(yaml.safe_dump(dummy.study(2, 4, signals=3).model_dump(mode="json", exclude_unset=True)))
    assert tiny.call("run", file, *results).returncode == 0
    first = tiny.call("run", file, *results)
    report = {path: path.stat().st_mtime_ns for path in (tmp_path / "load" / "report").iterdir()}
    again = python(COMMAND, "run", file, *results)
    assert again.splitlines()[-1] == "imported:"
    assert again.splitlines()[:-1] == first.stdout.splitlines()
    assert {path: path.stat().st_mtime_ns for path in report} == report
    assert "0 of 8 trials to compute" in again
    (tmp_path / "load" / "report" / "report.md").unlink()
    assert tiny.call("run", file, *results).returncode == 0
    assert (tmp_path / "load" / "report" / "report.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["damaged", "of another code"])
def test_a_plan_that_does_not_belong_is_made_again(tmp_path: Path, harm: str) -> None:
    python(PROGRAM, tmp_path)
    path = tmp_path / "load" / "plan.json"
    whole = path.read_text()
    path.write_text(whole[:-20] if harm == "damaged" else json.dumps({**json.loads(whole), "of": {"sources": "x"}}))
    python(PROGRAM, tmp_path)
    assert json.loads(path.read_text()) == json.loads(whole)
