"""Thousands of trials of a dummy trainer under kills, shards, and reading many small files."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

import harness.results.parquet_cache
from harness.results.parquet_cache import Folder
from harness.results.store import Store

SHARDS = """
import sys, pathlib, dummy
from harness.driver import Shard
dummy.without_torch()
folder = pathlib.Path(sys.argv[1])
def computed(events):
    return sum(type(event).__name__ == "Stored" for event in events)
for i, of in ((0, 2), (1, 2), (0, 1)):
    print(computed(dummy.drive(dummy.study(3, 5, signals=3), folder / f"{i}of{of}", shard=Shard(i, of))))
"""
AGAIN = """
import sys, pathlib, dummy
dummy.without_torch()
print(sum(type(e).__name__ == "Stored" for e in dummy.drive(dummy.study(3, 5, signals=3), pathlib.Path(sys.argv[1]))))
"""


def python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    assert python(SHARDS, str(folder)).split() == ["9", "6", "15"]
    return folder


@pytest.fixture
def whole(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards / "0of1", tmp_path / "whole"))


def test_shards_compute_whole_blocks_and_merge_by_copying_their_files(shards: Path, tmp_path: Path) -> None:
    blocks = [set(Store(shards / name / "load").trials()["block"]) for name in ("0of2", "1of2")]
    assert blocks == [{0, 2, 4}, {1, 3}]
    for name in ("0of2", "1of2"):
        shutil.copytree(shards / name / "load", tmp_path / "load", dirs_exist_ok=True)
    assert tiny.rows(tmp_path, "load") == tiny.rows(shards / "0of1", "load")
    assert python(AGAIN, str(tmp_path)).split() == ["0"]
    assert tiny.rows(tmp_path, "load") == tiny.rows(shards / "0of1", "load")


@pytest.mark.slow
def test_2337_trials_with_kills_of_workers_and_drivers_are_each_stored_once(tmp_path: Path) -> None:
    """2,337 = 41 arms x 57 blocks: the number of trials of the largest published ablation of this kind."""
    arms, blocks = 41, 57
    luck, kills = random.Random(3), {"driver": 0, "workers": 0}
    command = [sys.executable, str(tiny.ROOT / "tests" / "dummy.py"), str(tmp_path), str(arms), str(blocks), "2"]
    done = tmp_path / "load" / "trials"
    end = time.monotonic() + 500
    while True:
        driver = subprocess.Popen(command, env=tiny.environment())
        while driver.poll() is None:
            assert time.monotonic() < end
            time.sleep(luck.uniform(0.2, 2.0))
            workers = tiny.workers(driver.pid)
            count = len(list(done.glob("*.parquet")))
            if count >= 0.9 * arms * blocks:
                continue
            if workers and luck.random() < 0.75:
                tiny.kill(luck.choice(workers))
                kills["workers"] += 1
            elif count > 250 * (kills["driver"] + 1):
                tiny.kill(driver.pid)
                kills["driver"] += 1
        if driver.wait() == 0:
            break
        tiny.wait_until(lambda driver=driver: not any(map(tiny.alive, tiny.workers(driver.pid))), 10)
    assert kills["workers"] >= 5
    assert kills["driver"] >= 3
    tables = Store(tmp_path / "load").tables()
    assert len(tables.trials) == arms * blocks
    assert not tables.trials.duplicated(["arm", "block"]).any()
    assert (tables.trials["status"] == "complete").all()
    assert len(tables.measurements) == arms * blocks * 6
    assert not tables.measurements.duplicated(["trial_id", "step", "metric"]).any()
    assert len(tables.signals) == arms * blocks * 5
    assert not tables.signals.duplicated(["trial_id", "step"]).any()


CHANGES = st.lists(
    st.tuples(st.sampled_from(["write", "write", "write", "delete", "read", "fold"]), st.integers(0, 30))
)


@given(changes=CHANGES)
def test_the_folded_table_is_the_table_of_the_small_files(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("folder")
    small = root / "small"
    small.mkdir()
    folder = Folder(small, root / "cache", lambda table, _: table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.results.parquet_cache, "FOLD_AFTER", 2)
        patch.setattr(harness.results.parquet_cache, "MOST", 6)
        for number, (what, which) in enumerate(changes):
            file = small / f"{which:02d}.parquet"
            if what == "write":
                count = number % 3
                pq.write_table(pa.table({"name": [f"{which:02d}"] * count, f"x{which % 2}": [number] * count}), file)
                os.utime(file, ns=(number, number))
            elif what == "delete":
                file.unlink(missing_ok=True)
            elif what == "fold":
                assert folder.fold() == []
            else:
                folder.read()
        found = folder.read()
        parts = [pq.read_table(file) for file in small.glob("*.parquet")]
    expected = pa.concat_tables(parts, promote_options="default") if parts else None
    assert texts(found) == texts(expected)


def texts(table: pa.Table | None) -> list[str]:
    rows = [] if table is None else table.to_pylist()
    return sorted(json.dumps({k: v for k, v in row.items() if v is not None}, sort_keys=True) for row in rows)


def test_a_flipped_bit_and_a_missing_file_are_noticed_and_their_trials_computed_again(
    shards: Path, whole: Path
) -> None:
    flipped, missing, *_ = sorted((whole / "load" / "measurements").glob("*.parquet"))
    content = bytearray(flipped.read_bytes())
    # The first page of values lies behind the magic bytes and a page header.
    content[60] ^= 1
    flipped.write_bytes(content)
    missing.unlink()
    assert python(AGAIN, str(whole)).split() == ["2"]
    assert flipped.with_suffix(".damaged").exists()
    assert tiny.rows(whole, "load") == tiny.rows(shards / "0of1", "load")
