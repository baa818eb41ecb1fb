"""Shards of a study become one folder, or are refused with what keeps them apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from pretended import fill, study

from harness.errors import StoreError
from harness.results.merge import merge
from harness.results.store import Store
from harness.study.study import Declarable
from harness.verdicts.judge import judge_stored

BLOCKS = 4


def shard(folder: Path, blocks: Sequence[int], **changes: Any) -> Store:
    """Return the results of some of the study's blocks."""
    store = fill(folder, study(**{"design": {"blocks": BLOCKS}, **changes}))
    for trial_id in store.done():
        if int(trial_id[1:4]) not in blocks:
            store.remove_rows([trial_id])
            (folder / "samples" / f"{trial_id}.png").unlink()
    return store


@pytest.fixture
def shards(tmp_path: Path) -> list[Store]:
    return [shard(tmp_path / "one", [0, 2]), shard(tmp_path / "two", [1, 3])]


def change(store: Store, file: str, **values: Any) -> None:
    path = store.folder / file
    old = pq.read_table(path)
    rows = old.to_pylist()
    rows[0] |= values
    pq.write_table(pa.Table.from_pylist(rows, schema=old.schema), path)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for table in ("trials", "measurements", "signals", "samples")
        for path in (folder / table).iterdir()
    }


def test_merged_shards_are_the_study_that_was_computed_in_one_folder(shards: list[Store], tmp_path: Path) -> None:
    whole = fill(tmp_path / "whole", study(design={"blocks": BLOCKS}))
    (shards[1].folder / "checkpoints").mkdir()
    (shards[1].folder / "checkpoints" / "b009-baseline.pt").write_bytes(b"state")
    merged = merge(shards, Store(tmp_path / "merged"))
    assert contents(tmp_path / "merged") == contents(whole.folder)
    assert [counts[1:] for counts in merged.trials] == [(6, 0), (6, 0)]
    assert merged.total == 12
    a, b = judge_stored(tmp_path / "merged")[1], judge_stored(whole)[1]
    assert (a.contrasts, a.notes) == (b.contrasts, b.notes)
    assert (tmp_path / "merged" / "checkpoints" / "b009-baseline.pt").read_bytes() == b"state"


def test_the_command_says_what_it_did_and_does_nothing_twice(shards: list[Store], tmp_path: Path) -> None:
    words = ["merge", *(one.folder for one in shards), "--into", tmp_path / "merged"]
    first = tiny.call(*words)
    assert first.returncode == 0, first.stderr
    assert f"{shards[0].folder}: 6 trials taken" in first.stdout
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "merged" / "trials").iterdir()}
    again = tiny.call(*words, "--json")
    assert json.loads(again.stdout)["trials"] == [[str(one.folder), 0, 6] for one in shards]
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "merged" / "trials").iterdir()}
    assert tiny.call("report", tmp_path / "merged").returncode == 0


def test_shards_run_with_other_steps_and_learning_rate_are_refused_setting_by_setting(tmp_path: Path) -> None:
    one = shard(tmp_path / "one", [0, 2])
    two = shard(tmp_path / "two", [1, 3], training={"steps": 90, "optimizer": {"lr": 1e-3}})
    refused = tiny.call("merge", one.folder, two.folder, "--into", tmp_path / "merged")
    assert refused.returncode == 2
    assert f"training.steps: 300 in {one.folder}, 90 in {two.folder}" in refused.stderr
    assert f"training.optimizer.lr: 0.0002 in {one.folder}, 0.001 in {two.folder}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "merged" / "study.json").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("code_version", "0.2.0+def"),
        ("packages", "{}"),
        ("device", "another GPU"),
        ("data_hash", "other"),
        ("heldout_hash", "other"),
        ("feature_id", "other"),
        ("precision", "bfloat16"),
    ],
)
def test_shards_that_were_computed_otherwise_are_refused(
    shards: list[Store], tmp_path: Path, column: str, value: str
) -> None:
    change(shards[1], "trials/b001-baseline.parquet", **{column: value})
    with pytest.raises(StoreError, match=f"{column} of arm 'baseline' differs") as error:
        merge(shards, Store(tmp_path / "merged"))
    assert f"{value} in 1 trials of {shards[1].folder}" in str(error.value)
    assert ("where that moves no number: `harmless: [" in str(error.value)) == (column in get_args(Declarable))
    assert not (tmp_path / "merged" / "trials").exists()


@pytest.mark.parametrize("column", get_args(Declarable))
def test_a_difference_that_the_study_declares_harmless_is_no_obstacle(tmp_path: Path, column: str) -> None:
    shards = [shard(tmp_path / str(b), [b], harmless=[column]) for b in (0, 1)]
    change(shards[1], "trials/b001-baseline.parquet", **{column: "other"})
    assert merge(shards, Store(tmp_path / "merged")).total == 6


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("trials/b001-baseline.parquet", {"ssim": 0.5}, "ssim: 0.5 and "),
        ("measurements/b001-baseline.parquet", {"value": 50.0}, "measurements"),
        ("signals/b001-baseline.parquet", {"loss_d": 0.75}, "signals"),
    ],
)
def test_a_trial_that_two_shards_hold_with_different_rows_is_refused(
    shards: list[Store], tmp_path: Path, file: str, values: dict[str, float], said: str
) -> None:
    other = shard(tmp_path / "three", [1])
    assert merge([*shards, other], Store(tmp_path / "equal")).trials[2][1:] == (0, 3)
    change(other, file, **values)
    with pytest.raises(StoreError, match=r"b001-baseline is in .* with different rows") as error:
        merge([other, *shards], Store(tmp_path / "merged"))
    assert said in str(error.value)


def test_rows_that_differ_in_times_alone_are_equal(shards: list[Store], tmp_path: Path) -> None:
    other = shard(tmp_path / "three", [1])
    change(other, "trials/b001-baseline.parquet", wall_seconds=99.0, attempts=3)
    assert merge([*shards, other], Store(tmp_path / "merged")).total == 12


def test_a_shard_with_rows_that_are_not_sound_or_damaged_is_refused(shards: list[Store], tmp_path: Path) -> None:
    change(shards[1], "trials/b001-baseline.parquet", status="great")
    with pytest.raises(StoreError, match="there is no such status"):
        merge(shards, Store(tmp_path / "merged"))
    (shards[1].folder / "trials" / "b001-baseline.parquet").write_bytes(b"x")
    with pytest.raises(StoreError, match="is damaged"):
        merge(shards, Store(tmp_path / "merged"))


def test_a_merge_that_was_interrupted_goes_on(
    shards: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into, write = Store(tmp_path / "merged"), Store.write_file

    def breaks(store: Store, name: str, content: bytes) -> None:
        if name == "measurements/b001-baseline.parquet":
            raise KeyboardInterrupt
        write(store, name, content)

    monkeypatch.setattr(Store, "write_file", breaks)
    with pytest.raises(KeyboardInterrupt):
        merge(shards, into)
    monkeypatch.undo()
    assert len(into.done()) == 6
    merge(shards, into)
    whole = fill(tmp_path / "whole", study(design={"blocks": BLOCKS}))
    assert contents(into.folder) == contents(whole.folder)


def test_a_folder_is_not_merged_into_itself_nor_into_one_in_use(shards: list[Store], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is one of the shards"):
        merge(shards, Store(shards[0].folder))
    into = Store(tmp_path / "merged")
    with into.held(), pytest.raises(StoreError, match="in use by process"):
        merge(shards, Store(tmp_path / "merged"))


def test_changes_that_all_shards_made_are_one_change(tmp_path: Path) -> None:
    shards = [shard(tmp_path / str(b), [b]) for b in (0, 1)]
    for store in shards:
        store.freeze(study(design={"blocks": 6}), {})
    merge(shards, into := Store(tmp_path / "merged"))
    merge(shards, into)
    (amendment,) = into.history()
    assert (amendment.trials, amendment.blocks) == (6, 2)
    shutil.rmtree(tmp_path / "merged")
    shards[0].freeze(study(design={"blocks": 8}), {})
    with pytest.raises(StoreError, match=r"design\.blocks: 8 in .*, 6 in "):
        merge(shards, Store(tmp_path / "merged"))
