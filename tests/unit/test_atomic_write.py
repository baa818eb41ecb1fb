from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.atomic_write import SCRATCH, atomic_write, remove_scratch, scratch_for


def test_a_file_takes_its_name_only_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"whole")
        assert not path.exists()
        assert scratch_for(path).exists()
    assert path.read_bytes() == b"whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("no")])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("durable", [True, False])
def test_what_must_last_is_flushed_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    path, flushed = tmp_path / "file.bin", []

    def fsync(_descriptor: int) -> None:
        flushed.append((path.exists(), scratch_for(path).read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(path, durable=durable) as file:
        file.write(b"whole")
    assert flushed == ([(False, b"whole")] if durable else [])


def test_what_killed_writers_left_is_deleted_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    keep = [tmp_path / "file", tmp_path / "a" / "scratch-file", tmp_path / ".hidden"]
    left = [tmp_path / f"{SCRATCH}x", tmp_path / "a" / "b" / f"{SCRATCH}host-12-file.pt"]
    for path in keep + left:
        path.write_bytes(b"")
    remove_scratch(tmp_path)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(keep)
