"""Trials that are commands: from a study file to verdicts, with everything that can go wrong on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import files_of, git, quick, study
from tiny import call

from harness.results.store import Store


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick(tmp_path_factory.mktemp("user") / "repository")


def test_flags_of_a_command_come_to_a_verdict_and_a_report(tmp_path: Path, repository: Path) -> None:
    before = files_of(repository)
    done = call("run", study(tmp_path, repository), "--results", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert "'flags=--harm 0.5' hurts: logged(val/l1) was 0." in done.stdout
    rows = Store(tmp_path / "results" / "own").tables().trials
    assert (rows["status"] == "complete").all()
    assert rows["commit"].unique().tolist() == [git(repository, "rev-parse", "HEAD")]
    harmed = rows[rows["arm"] != "baseline"].iloc[0]
    assert harmed["command"].startswith("python train.py --out '{out}' --seed ")
    assert harmed["command"].endswith(" --harm 0.5")
    assert rows["environment"].nunique() == 1
    assert (rows["peak_bytes"] > 2**20).all()
    assert (tmp_path / "results/own/report/report.html").stat().st_size > 10_000
    assert (tmp_path / "results/own/out/b000-baseline/metrics.jsonl").is_file()
    assert not (tmp_path / "results/own/revisions").exists(), "work trees are removed when the study is done"
    assert files_of(repository) == before, "the user's repository is only read"
