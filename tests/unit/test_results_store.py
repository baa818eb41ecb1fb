from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness.results.parquet_cache
from harness.errors import StoreError
from harness.results.schema import TrialRows, comparable
from harness.results.store import Store

AXES = ["discriminator.spectral_norm"]
METRICS = ["fid_efficientnet"]


def rows(trial_id: str, **changes: Any) -> TrialRows:
    trial = {
        "study": "x",
        "study_hash": "h",
        "trial_id": trial_id,
        "arm": "baseline",
        "block": 0,
        "arm_discriminator.spectral_norm": "none",
        "status": "complete",
        "fid_efficientnet": 12.5,
        "started_at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        **changes,
    }
    measured = ({"trial_id": trial_id, "step": 3, "metric": "fid_efficientnet", "value": trial["fid_efficientnet"]},)
    return TrialRows(trial, measured, ({"step": 1, "loss_d": 0.5},), {"generated": b"png", "source": b"src"})


def write(store: Store, *ids: str, **changes: Any) -> None:
    for trial_id in ids:
        store.write(rows(trial_id, **changes), axes=AXES, metrics=METRICS)


@given(
    value=st.none() | st.floats(allow_nan=False),
    block=st.integers(0, 2**40),
    status=st.sampled_from(["complete", "diverged"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, value: float | None, block: int, status: str
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    write(store, "a", fid_efficientnet=value, block=block, status=status)
    row = store.trials().iloc[0]
    assert row["block"] == block
    assert row["status"] == status
    assert (pd.isna(row["fid_efficientnet"]) and value is None) or row["fid_efficientnet"] == value
    assert store.measurements()["step"].tolist() == [3]
    assert store.signals()["loss_d"].tolist() == [0.5]


def test_pandas_reads_the_folder_of_trials_as_one_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a", "b", "c")
    frame = pd.read_parquet(tmp_path / "trials")
    assert sorted(frame["trial_id"]) == ["a", "b", "c"]
    assert frame["arm_discriminator.spectral_norm"].tolist() == ["none"] * 3


def test_a_trial_is_done_when_its_row_is_there_and_not_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a", "b")
    (tmp_path / "trials" / "b.parquet").unlink()
    assert store.done() == {"a"}
    assert store.measurements()["trial_id"].tolist() == ["a"]
    assert store.signals()["trial_id"].tolist() == ["a"]


def test_no_half_written_file_is_ever_read_as_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    write(store, "a")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write(store, "b")
    monkeypatch.undo()
    assert store.done() == {"a"}
    assert not list(tmp_path.rglob(".scratch-*"))


def test_a_damaged_file_is_named_and_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a", "b")
    damaged = tmp_path / "trials" / "b.parquet"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"b\.parquet: is damaged"):
        store.trials()
    assert store.set_aside_damaged() == [damaged]
    assert store.done() == {"a"}
    assert damaged.with_suffix(".damaged").exists()


def test_a_flipped_bit_gives_the_same_rows_or_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a")
    file = tmp_path / "trials" / "a.parquet"
    whole, row = file.read_bytes(), str(store.trials().to_dict("records"))
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # names and types, which reading compares
    for place in range(0, footer, 11):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            assert str(Store(tmp_path).trials().to_dict("records")) == row
        except StoreError as error:
            assert "a.parquet: is damaged" in str(error)  # noqa: PT017 - either is right


def test_a_column_whose_name_is_no_text_is_a_damaged_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a")
    file = tmp_path / "trials" / "a.parquet"
    file.write_bytes(file.read_bytes().replace(b"trial_id", b"trial\xffid"))
    with pytest.raises(StoreError, match=r"a\.parquet: is damaged"):
        Store(tmp_path).trials()


def test_damaged_measurements_cost_the_trial_its_row_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "a", "b")
    (tmp_path / "measurements" / "b.parquet").write_bytes(b"nothing")
    store.set_aside_damaged()
    assert store.done() == {"a"}


def test_folded_files_follow_every_change_of_the_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.results.parquet_cache, "FOLD_AFTER", 1)
    store = Store(tmp_path)
    write(store, "a", "b", "c")
    assert len(store.trials()) == 3
    assert list((tmp_path / ".cache" / "trials").glob("*.parquet"))
    write(store, "b", block=7)
    (tmp_path / "trials" / "c.parquet").unlink()
    write(store, "d")
    found = store.trials().set_index("trial_id")["block"].to_dict()
    assert found == {"a": 0, "b": 7, "d": 0}
    for large in (tmp_path / ".cache" / "trials").glob("*.parquet"):
        large.write_bytes(b"rubbish")
    assert len(store.trials()) == 3


def test_two_drivers_cannot_hold_one_folder(tmp_path: Path) -> None:
    with Store(tmp_path / "x").held(), pytest.raises(StoreError, match=rf"in use by process {os.getpid()} on"):
        with Store(tmp_path / "x").held():
            pass
    with Store(tmp_path / "x").held():
        pass


def test_a_folder_that_holds_no_study_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study; start one with"):
        Store(tmp_path).tables()


def test_the_columns_that_depend_on_pace_are_left_out_of_comparisons() -> None:
    left = comparable(
        {"trial_id": "a", "wall_seconds": 1.0, "seconds_per_step": 2.0, "peak_bytes": 3, "started_at": 4, "fid": 5}
    )
    assert left == {"trial_id": "a", "fid": 5}
