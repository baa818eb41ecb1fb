from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tiny import call

from harness.cli.init import STARTS
from harness.provenance import VERSION
from harness.study.reading import read_study

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("start", STARTS)
def test_a_start_is_written_with_commands_that_the_command_line_takes(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("init", start)
    assert done.returncode == 0, done.stderr
    first, *commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert first == f"cd {start}"
    monkeypatch.chdir(tmp_path / start)
    for command in commands:
        words = shlex.split(command)
        if words[2] == "pytest":
            continue
        assert words[:3] == ["python", "-m", "harness"]
        if words[3] == "plan" and "--matching" not in words:
            planned = call(*words[3:], *(() if "--no-build" in words else ("--no-build",)))
            assert planned.returncode == 0, planned.stderr
            assert "The data was not looked at" in planned.stdout
        elif words[3] == "compare":
            assert "helps" in call(*words[3:]).stdout
        else:
            assert (words[3], words[4]) in (
                ("run", "study.yaml"),
                ("plan", "study.yaml"),
                ("report", read_study(Path("study.yaml")).study),
            )


@pytest.mark.parametrize(
    ("start", "name", "study"),
    [
        ("quickstart", "study.yaml", "quickstart.yaml"),
        *(("own-network", name, f"own_gan/{name}") for name in ("study.yaml", "networks.py", "test_networks.py")),
    ],
)
def test_a_start_has_the_files_of_the_study_that_it_is(start: str, name: str, study: str) -> None:
    written = ROOT / "harness" / "cli" / "starts" / start / name
    assert written.read_bytes() == (ROOT / "studies" / study).read_bytes()


def test_a_start_writes_over_nothing_and_an_unknown_one_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("mine")
    taken = call("init", "quickstart", tmp_path)
    assert (taken.returncode, taken.stderr.count("\n")) == (2, 1)
    assert "holds study.yaml already" in taken.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]
    assert "did you mean 'quickstart'?" in call("init", "quikstart", tmp_path / "other").stderr


@pytest.mark.slow
def test_the_start_with_a_script_runs_to_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("init", "own-script", tmp_path / "own").returncode == 0
    monkeypatch.chdir(tmp_path / "own")
    done = call("run", "study.yaml", "--set", "design.blocks=2", "--json")
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert findings["trials_done"] == 6
    (control,) = findings["controls"]
    assert control["blocks"] == 2
    assert control["estimate"] > 0.02  # a quarter of the steps leaves more than twice the error
    (contrast,) = findings["contrasts"]
    assert contrast["verdict"] in ("helps", "hurts", "inconclusive")  # with two blocks nothing is equivalent
    assert Path("results/own_script/report/report.html").is_file()


def test_the_version_is_printed() -> None:
    assert call("--version").stdout == f"gan-ablation-harness {VERSION}\n"
