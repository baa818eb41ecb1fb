"""Whole commands on a study of seconds: what a user types, reads and gets back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import factory
import pandas as pd
import pytest
import tiny
import yaml
from tiny import call, ended

import harness
from harness.results.schema import TRIAL_COLUMNS, comparable

TINY = factory.asked(
    question="Does <b>spectral</b> normalisation | help?",
    training={"steps": 6, "batch_size": 4, "optimizer": {"kind": "adam", "lr": 0.002}},
    failures={"diversity_floor": 0.0},
    measure={"primary": "ssim", "margin": 0.05, "also": ["l1"]},
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return path


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=300,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    tables = harness.load(folder)
    frame = tables.trials.astype(object).where(tables.trials.notna(), None)
    return {row["trial_id"]: comparable(row) for row in frame.to_dict("records")}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A study that was run by two workers: its folder with the study file, and what the command said."""
    folder = tmp_path_factory.mktemp("done")
    return folder, run("run", write(folder), "--results", folder / "results", "--workers", 2, "--json")


def test_a_study_runs_from_file_to_verdict(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, first = done
    assert first.returncode == 2, first.stderr  # six steps teach nothing, so no verdict is valid
    document = json.loads(first.stdout)
    (contrast,) = document["contrasts"]
    assert contrast["arm"] == "spectral_norm=convs"
    assert contrast["n"] == 2
    assert "Does <b>spectral</b> normalisation | help?" in first.stderr
    results = folder / "results" / "tiny"
    frame = pd.read_parquet(results / "trials")
    assert len(frame) == 4
    assert set(frame["status"]) == {"complete"}
    assert {column.name for column in TRIAL_COLUMNS} <= set(frame)
    assert set(frame["arm_discriminator.spectral_norm"]) == {"none", "convs"}
    assert frame["ssim"].notna().all()
    assert frame.set_index("trial_id")["matched_fraction"].tolist() == [1.0] * 4
    assert len(pd.read_parquet(results / "measurements")) == 4 * 3 * 2
    assert {"loss_d", "loss_g", "d_real", "gradient_norm_g", "diversity"} <= set(pd.read_parquet(results / "signals"))
    for name in ("report.html", "report.md", "report.tex", "report.json"):
        assert (results / "report" / name).stat().st_size > 200


def test_the_same_study_again_computes_nothing(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    before = rows(folder / "results" / "tiny")
    again = call("run", folder / "tiny.yaml", "--results", folder / "results", "--executor", "local", "--workers", 2)
    assert ended(again.returncode, again.stdout), again.stderr
    assert "0 of 4 trials to compute" in again.stdout
    assert rows(folder / "results" / "tiny") == before


def test_rows_are_equal_by_two_workers_or_in_one_process_and_in_two_rounds(
    done: tuple[Path, subprocess.CompletedProcess[str]], study: Path, tmp_path: Path
) -> None:
    for extra in (("--set", "design.blocks=1"), ()):
        part = call("run", study, "--results", tmp_path / "results", *extra)
        assert ended(part.returncode, part.stdout), part.stderr
    folders = done[0] / "results" / "tiny", tmp_path / "results" / "tiny"
    assert rows(folders[0]) == rows(folders[1])
    left, right = (harness.load(folder) for folder in folders)
    for name in ("measurements", "signals"):
        key = [column for column in ("trial_id", "step", "metric") if column in getattr(left, name)]
        frames = [getattr(t, name).sort_values(key, ignore_index=True) for t in (left, right)]
        pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_another_seed_is_a_replication_in_a_folder_of_its_own(
    done: tuple[Path, subprocess.CompletedProcess[str]], study: Path, tmp_path: Path
) -> None:
    seeded = call("run", study, "--results", tmp_path / "r", "--workers", 1, "--set", "design.seed=1")
    assert ended(seeded.returncode, seeded.stdout), seeded.stderr
    first, again = rows(done[0] / "results" / "tiny"), rows(tmp_path / "r" / "tiny+seed1")
    assert first.keys() == again.keys()
    assert {row["data_hash"] for row in again.values()} == {row["data_hash"] for row in first.values()}
    assert not {row["study_hash"] for row in again.values()} & {row["study_hash"] for row in first.values()}
    assert all(again[trial]["l1"] != first[trial]["l1"] for trial in first)
    assert {row["matched_fraction"] for row in again.values()} == {1.0}


def test_a_diverged_trial_is_a_row_with_status_and_step_and_the_study_goes_on(tmp_path: Path) -> None:
    study = write(tmp_path, axes={"training.optimizer.lr": [2.0e-4, 1.0e6]})
    diverged = call("run", study, "--results", tmp_path / "results")
    assert ended(diverged.returncode, diverged.stdout), diverged.stderr
    frame = harness.load(tmp_path / "results" / "tiny").trials.set_index(["arm", "block"])
    assert frame.loc["baseline", "status"].tolist() == ["complete"] * 2
    assert frame.loc["lr=1000000.0", "status"].tolist() == ["diverged"] * 2
    assert (frame.loc["lr=1000000.0", "failed_at_step"] >= 1).all()
    assert frame.loc["lr=1000000.0", "ssim"].isna().all()
    measurements = harness.load(tmp_path / "results" / "tiny").measurements
    assert len(measurements) == 4 * 3 * 2
    assert "2 diverged" in diverged.stdout


def test_a_changed_study_is_refused_with_the_difference(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = done
    frozen = (folder / "results" / "tiny" / "study.json").read_text()
    refused = call("run", folder / "tiny.yaml", "--results", folder / "results", "--set", "training.batch_size=5")
    assert refused.returncode == 2
    assert "training.batch_size: was 4, is 5" in refused.stderr
    assert (folder / "results" / "tiny" / "study.json").read_text() == frozen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dta": {}}, "dta: no such setting; did you mean 'data'?"),
        ({"training": {"steps": "many"}}, "training.steps: expected a whole number, got 'many'"),
        ({"axes": {"discriminator.spectral_norm": ["none", "convz"]}}, "did you mean 'convs'?"),
        ({"data": {**TINY["data"], "image_size": 17}}, "17 is no power of two; the nearest are 16 and 32"),
        ({"data": {**TINY["data"], "targets": ["DejaVuSerrif"]}}, "DejaVuSerif"),
        ({"data": {**TINY["data"], "characters": "漢字仮名"}}, "no character of 4"),
        ({"data": {"kind": "faces", "image_size": 16}, "measure": {"primary": "ssim"}}, "needs pairs"),
    ],
    ids=["unknown key", "wrong type", "unknown level", "size", "missing font", "nothing in common", "no pairs"],
)
def test_a_users_mistake_is_one_message_and_exit_code_2_and_leaves_no_row(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    refused = call("run", write(tmp_path, **changes), "--results", tmp_path / "results")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_a_folder_that_cannot_be_written_is_told(study: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the way")
    refused = call("run", study, "--results", tmp_path / "results")
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


def test_a_mistake_shows_no_traceback(tmp_path: Path) -> None:
    failed = run("run", tmp_path / "none.yaml")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert "Traceback" not in failed.stderr


WITHOUT_TORCH = """
import sys, tiny
for line in sys.stdin.read().splitlines():
    told = tiny.call(*line.split("\t"))
    assert told.returncode == 0, (line, told.stderr)
"""


def test_asking_and_analysing_need_no_torch(
    done: tuple[Path, subprocess.CompletedProcess[str]], study: Path, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not installed')\n")
    results = done[0] / "results"
    columns = ("--unit", "block", "--arm", "arm", "--value", "ssim", "--baseline", "baseline")
    commands = (
        ("--help",),
        ("plan", study, "--no-build"),
        ("report", "tiny", "--results", results, "--out", tmp_path / "report"),
        ("status", "tiny", "--results", results),
        ("compare", results / "tiny" / "trials", *columns),
    )
    lines = "\n".join("\t".join(map(str, command)) for command in commands)
    asked = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input=lines,
        cwd=tmp_path,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert asked.returncode == 0, asked.stderr


def test_plan_prints_what_run_will_do(study: Path, tmp_path: Path) -> None:
    done = call("plan", study, "--results", tmp_path / "results", "--workers", 1, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["trials"] == 4
    assert document["estimated_seconds"] > 0
    base, arm = document["arms"]
    assert base["arm"] == "baseline"
    assert arm["proof"] is None
    assert arm["parameters_d"] == base["parameters_d"] > 1000
    assert arm["matched_fraction"] == 1.0
    assert not (tmp_path / "results" / "tiny").exists()


def test_the_schema_accepts_every_study_of_the_repository() -> None:
    schema = json.loads(call("schema").stdout)
    assert schema["properties"]["study"]
    assert "glyphs" in json.dumps(schema)
