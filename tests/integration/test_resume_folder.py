"""What a results folder refuses, and what it takes: the whole command, with a dummy trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dummy
import pytest
import tiny
import yaml

from harness.results.store import Store
from harness.study.study import Study


def command(folder: Path, study: Study, results: Path | None = None) -> list[str]:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    program = str(tiny.ROOT / "tests" / "dummy.py")
    return [sys.executable, program, "cli", "run", str(file), "--results", str(results or folder), "--workers", "1"]


def run(folder: Path, study: Study, results: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, study, results),
        env=tiny.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def changed(study: Study, **changes: Any) -> Study:
    return Study.model_validate({**study.model_dump(exclude_unset=True), **changes})


@pytest.mark.slow
def test_a_changed_study_is_refused_with_the_difference_and_more_blocks_are_added(tmp_path: Path) -> None:
    study = dummy.study(2, 2, signals=3)
    assert run(tmp_path, study).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "load" / "trials").iterdir()}
    refused = run(tmp_path, changed(study, training={"steps": 50}))
    assert refused.returncode == 2
    assert "training.steps: was 100, is 50" in refused.stderr
    assert refused.stderr.count("error:") == 1
    assert "Traceback" not in refused.stderr
    assert run(tmp_path, changed(study, design={"blocks": 4})).returncode == 0
    assert len(Store(tmp_path / "load").done()) == 8
    assert before.items() <= {p: p.stat().st_mtime_ns for p in (tmp_path / "load" / "trials").iterdir()}.items()


@pytest.mark.slow
def test_the_second_of_two_drivers_names_the_first_and_exits_with_2(tmp_path: Path) -> None:
    study = dummy.study(4, 500, signals=3)
    first = subprocess.Popen(
        command(tmp_path, study), env=tiny.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        tiny.wait_until((tmp_path / "load" / "trials").exists)
        second = run(tmp_path, study)
        assert first.poll() is None
    finally:
        tiny.kill(first.pid)
        first.wait()
    assert second.returncode == 2
    assert f"in use by process {first.pid} on {os.uname().nodename}" in second.stderr
    assert "Traceback" not in second.stderr


def mounted(folder: Path, options: str) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or not mounted(folder, "size=300k"):
        pytest.skip("a small disk takes root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_with_room_the_command_goes_on(tmp_path: Path, small_disk: Path) -> None:
    study = dummy.study(2, 20, signals=20)
    full = run(tmp_path, study, small_disk)
    assert full.returncode == 2
    assert "No space left on device" in full.stderr
    assert full.stderr.count("error:") == 1
    assert "Traceback" not in full.stderr
    assert not list(small_disk.rglob(".scratch-*"))
    done = len(Store(small_disk / "load").done())
    assert 0 < done < 40
    assert len(Store(small_disk / "load").trials()) == done
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert run(tmp_path, study, small_disk).returncode == 0
    assert run(tmp_path, study).returncode == 0
    assert tiny.rows(small_disk, "load") == tiny.rows(tmp_path, "load")


@pytest.mark.slow
def test_a_read_only_folder_is_one_message(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = run(tmp_path, dummy.study(2, 2), small_disk)
    assert refused.returncode == 2
    assert "cannot be written (Read-only file system); choose another --results" in refused.stderr
    assert "Traceback" not in refused.stderr
