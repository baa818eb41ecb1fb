"""Published results are read like a working folder: the same rows, the same verdicts, and they can be gone on with."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiny

from harness.errors import StoreError
from harness.report.write import document
from harness.results.merge import merge
from harness.results.published import publish
from harness.results.schema import DOCUMENTS, TABLES
from harness.results.store import Store
from harness.verdicts.judge import judge_stored

WORKING = tiny.ROOT / "tests" / "stored" / "format_0" / "tiny"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return publish(Store(WORKING), tmp_path / "published")


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ("trial_id", "step", "metric") if name in frame]
    return frame.sort_values(keys, ignore_index=True)[sorted(frame.columns)]


def test_published_rows_are_those_of_the_working_folder_in_three_files(published: Path) -> None:
    assert sorted(path.name for path in published.glob("*.parquet")) == [f"{name}.parquet" for name in sorted(TABLES)]
    was, now = Store(WORKING), Store(published)
    assert now.done() == was.done()
    for name in TABLES:
        pd.testing.assert_frame_equal(in_order(getattr(now, name)()), in_order(getattr(was, name)()))


def test_published_rows_are_judged_alike(published: Path) -> None:
    was, now = (json.dumps(document(judge_stored(Store(folder))[1])) for folder in (WORKING, published))
    assert now == was


def test_a_trials_own_file_comes_before_what_was_published(published: Path) -> None:
    for name in TABLES:
        shutil.copytree(WORKING / name, published / name)
    assert len(Store(published).trials()) == len(Store(WORKING).trials())
    assert len(Store(published).signals()) == len(Store(WORKING).signals())


def test_published_results_can_be_published_and_merged_again(published: Path, tmp_path: Path) -> None:
    again = publish(Store(published), tmp_path / "again")
    for name in TABLES:
        assert (again / f"{name}.parquet").read_bytes() == (published / f"{name}.parquet").read_bytes()
    merged = Store(tmp_path / "merged")
    assert merge([Store(published), Store(WORKING)], merged).total == len(Store(WORKING).done())
    for name in TABLES:
        assert len(list((merged.folder / name).iterdir())) == 9
        pd.testing.assert_frame_equal(in_order(getattr(merged, name)()), in_order(getattr(Store(WORKING), name)()))


def test_a_byte_that_changed_in_a_published_file_is_named_or_changes_no_row(published: Path) -> None:
    file = published / "trials.parquet"
    content, sound = file.read_bytes(), Store(published).rows("trials")
    outcomes = Counter[str]()
    for position in random.Random(0).sample(range(len(content)), 60):
        file.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            rows = Store(published).rows("trials")
        except StoreError as error:
            outcomes["named" if "trials.parquet: is damaged" in str(error) else str(error)] += 1
        else:
            outcomes["equal" if rows is not None and rows.equals(sound) else "other rows"] += 1
    assert set(outcomes) == {"named", "equal"}
    # The rest are bytes that nobody reads: statistics of columns, and the frames of pages.
    assert outcomes["named"] > 40


def test_all_that_stands_beside_the_rows_goes_with_them(tmp_path: Path) -> None:
    working = tmp_path / "working" / "tiny"
    shutil.copytree(WORKING, working)
    for name in DOCUMENTS:
        if not (working / name).exists():
            (working / name).write_text("{}")
    published = publish(Store(working), tmp_path / "published")
    merged = tmp_path / "merged"
    merge([Store(published)], Store(merged))
    for name in DOCUMENTS:
        assert (published / name).read_bytes() == (merged / name).read_bytes() == (working / name).read_bytes()


def test_no_row_is_taken_out_of_what_was_published(published: Path) -> None:
    with pytest.raises(StoreError, match="is published, and nothing is taken out of it"):
        Store(published).remove_rows(sorted(Store(published).done())[:1])


def test_nothing_is_published_over_itself_or_without_rows(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="publish into another folder"):
        publish(Store(WORKING), WORKING.parent)
    empty = tmp_path / "tiny"
    empty.mkdir()
    shutil.copy(WORKING / "study.json", empty)
    with pytest.raises(StoreError, match="no trial has its rows yet"):
        publish(Store(empty), tmp_path / "published")


def test_the_command_writes_a_folder_with_a_report(tmp_path: Path) -> None:
    done = tiny.call("publish", WORKING, "--into", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 trials" in done.stdout
    folder = tmp_path / "tiny"
    assert {"report.html", "report.md", "report.json"} <= {path.name for path in (folder / "report").iterdir()}
    assert pq.read_table(folder / "trials.parquet").num_rows == 9
