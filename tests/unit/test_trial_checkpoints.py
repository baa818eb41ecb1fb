from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.trial import checkpoints


def state() -> dict[str, Any]:
    return {"trainer": {"step": 3, "weights": torch.arange(4.0)}, "rows": '[{"value": 0.1}]'}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert checkpoints.save(tmp_path / "deep" / "a.pt", "key", state())
    found = checkpoints.load(tmp_path / "deep" / "a.pt", "key", "cpu")
    assert found is not None
    assert torch.equal(found["trainer"]["weights"], torch.arange(4.0))
    assert found["rows"] == '[{"value": 0.1}]'


def test_a_checkpoint_of_something_else_is_not_loaded(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a.pt", "key", state())
    assert checkpoints.load(tmp_path / "a.pt", "other", "cpu") is None
    assert checkpoints.load(tmp_path / "b.pt", "key", "cpu") is None


@pytest.mark.parametrize("keep", [0, 1, 7, 100, 0.5, 0.9, 0.999])
def test_a_torn_checkpoint_is_not_loaded(tmp_path: Path, keep: float) -> None:
    file = tmp_path / "a.pt"
    checkpoints.save(file, "key", state())
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    assert checkpoints.load(file, "key", "cpu") is None


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"key": "key", "trap": Trap()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"key": "key", "trap": Trap()}, protocol=2))
    assert checkpoints.load(tmp_path / "a.pt", "key", "cpu") is None
    assert checkpoints.load(tmp_path / "b.pt", "key", "cpu") is None
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_costs_the_checkpoint_and_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path / "a.pt", "key", state())

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not checkpoints.save(tmp_path / "a.pt", "key", {"trainer": None})
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    found = checkpoints.load(tmp_path / "a.pt", "key", "cpu")
    assert found is not None
    assert found["trainer"]["step"] == 3
