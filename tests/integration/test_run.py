"""Whole commands on a study of seconds: what a user types, reads and gets back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import harness
from harness.store import Store
from harness.tables import TRIALS, comparable

TINY: dict[str, Any] = {
    "study": "tiny",
    "question": "Does <b>spectral</b> normalisation | help?",
    "data": {
        "kind": "glyphs",
        "targets": ["DejaVuSerif"],
        "characters": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "image_size": 16,
    },
    "generator": {"kind": "unet", "channels": 4, "style_channels": 4},
    "discriminator": {"kind": "zi2zi", "channels": 4},
    "training": {"steps": 6, "batch_size": 4, "optimizer": {"kind": "adam", "lr": 0.002}},
    "failures": {"diversity_floor": 0.0},
    "axes": {"discriminator.spectral_norm": ["none", "convs"]},
    "design": {"blocks": 2},
    "measure": {"primary": "ssim", "margin": 0.05, "also": ["l1"]},
}


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


def test_a_study_runs_from_file_to_verdict_and_again_does_nothing(study: Path, tmp_path: Path) -> None:
    first = run("run", study, "--results", tmp_path / "results", "--json")
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    (contrast,) = document["contrasts"]
    assert contrast["arm"] == "spectral_norm=convs"
    assert contrast["n"] == 2
    assert "Does <b>spectral</b> normalisation | help?" in first.stderr
    folder = tmp_path / "results" / "tiny"
    frame = pd.read_parquet(folder / "trials")
    assert len(frame) == 4
    assert set(frame["status"]) == {"complete"}
    assert {column.name for column in TRIALS} <= set(frame)
    assert set(frame["arm_discriminator.spectral_norm"]) == {"none", "convs"}
    assert frame["ssim"].notna().all()
    assert frame.set_index("trial_id")["matched_fraction"].tolist() == [1.0] * 4
    assert len(pd.read_parquet(folder / "measurements")) == 4 * 3 * 2
    assert {"loss_d", "loss_g", "d_real", "gradient_norm_g"} <= set(pd.read_parquet(folder / "signals"))
    for name in ("report.html", "report.md", "report.tex", "report.json"):
        assert (folder / "report" / name).stat().st_size > 200
    before = rows(folder)
    again = run("run", study, "--results", tmp_path / "results")
    assert again.returncode == 0, again.stderr
    assert "0 of 4 trials to compute" in again.stderr + again.stdout
    assert rows(folder) == before


def test_rows_are_equal_with_one_worker_or_two_and_in_two_rounds(study: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run("run", study, "--results", one, "--workers", 1).returncode == 0
    assert run("run", study, "--results", two, "--workers", 2, "--set", "design.blocks=1").returncode == 0
    assert run("run", study, "--results", two, "--workers", 2).returncode == 0
    assert rows(one / "tiny") == rows(two / "tiny")
    left, right = (harness.load(folder / "tiny") for folder in (one, two))
    for name in ("measurements", "signals"):
        key = [column for column in ("trial_id", "step", "metric") if column in getattr(left, name)]
        frames = [getattr(t, name).sort_values(key, ignore_index=True) for t in (left, right)]
        pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_a_diverged_trial_is_a_row_with_status_and_step_and_the_study_goes_on(tmp_path: Path) -> None:
    study = write(
        tmp_path, axes={"training.optimizer.lr": [2.0e-4, 1.0e6]}, training={"steps": 6, "batch_size": 4}
    )
    done = run("run", study, "--results", tmp_path / "results")
    assert done.returncode == 1, done.stderr
    frame = harness.load(tmp_path / "results" / "tiny").trials.set_index(["arm", "block"])
    assert frame.loc["baseline", "status"].tolist() == ["complete"] * 2
    assert frame.loc["lr=1000000.0", "status"].tolist() == ["diverged"] * 2
    assert (frame.loc["lr=1000000.0", "failed_at_step"] >= 1).all()
    assert frame.loc["lr=1000000.0", "ssim"].isna().all()
    measurements = harness.load(tmp_path / "results" / "tiny").measurements
    assert len(measurements) == 4 * 3 * 2
    assert "2 diverged" in done.stdout


def test_a_changed_study_is_refused_with_the_difference(study: Path, tmp_path: Path) -> None:
    assert run("run", study, "--results", tmp_path / "r", "--set", "design.blocks=1").returncode == 0
    refused = run("run", study, "--results", tmp_path / "r", "--set", "training.batch_size=5")
    assert refused.returncode == 2
    assert "training.batch_size: was 4, is 5" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(Store(tmp_path / "r" / "tiny").done()) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dta": {}}, "dta: no such setting; did you mean 'data'?"),
        ({"training": {"steps": "many"}}, "training.steps: expected a whole number, got 'many'"),
        ({"axes": {"discriminator.spectral_norm": ["none", "convz"]}}, "did you mean 'convs'?"),
        ({"data": {**TINY["data"], "image_size": 17}}, "17 is no power of two; the nearest are 16 and 32"),
        ({"data": {**TINY["data"], "targets": ["DejaVuSerrif"]}}, "DejaVuSerif"),
        ({"data": {**TINY["data"], "characters": "漢字仮名"}}, "漢"),
    ],
    ids=["unknown key", "wrong type", "unknown level", "size", "missing font", "nothing in common"],
)
def test_a_users_mistake_is_one_message_and_exit_code_2_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    study = write(tmp_path, **changes)
    failed = run("run", study, "--results", tmp_path / "results")
    assert failed.returncode == 2, failed.stderr
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list((tmp_path / "results").rglob("*.parquet"))


def test_a_folder_that_cannot_be_written_is_told(study: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file in the way")
    failed = run("run", study, "--results", tmp_path / "results")
    assert failed.returncode == 2
    assert "cannot be written" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_planning_and_reporting_need_no_torch(study: Path, tmp_path: Path) -> None:
    assert run("run", study, "--results", tmp_path / "results").returncode == 0
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not installed')\n")
    for arguments in (
        ("--help",),
        ("plan", study, "--no-build"),
        ("report", "tiny", "--results", tmp_path / "results"),
        ("status", "tiny", "--results", tmp_path / "results"),
        ("schema",),
        ("compare", tmp_path / "results" / "tiny" / "trials", "--unit", "block", "--arm", "arm", "--value", "ssim", "--baseline", "baseline"),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)


def test_plan_prints_what_run_will_do(study: Path, tmp_path: Path) -> None:
    done = run("plan", study, "--results", tmp_path / "results", "--json")
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
    schema = json.loads(run("schema").stdout)
    assert schema["properties"]["study"]
    assert "glyphs" in json.dumps(schema)
