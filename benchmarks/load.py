"""What the harness itself costs per trial as a study grows, and per command on many stored trials; nothing is trained.

``python benchmarks/load.py`` prints both tables; ``--stored 0`` leaves out the second, which writes 300,000 files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import dummy

from harness.driver import Driver, Happening, Stored
from harness.results.schema import MEASUREMENT_COLUMNS, trial_columns
from harness.results.store import Store, _schema
from harness.study.design import arms as arms_of
from harness.study.design import trials as trials_of
from harness.study.study import Study


def cost_per_trial(count: int, folder: Path) -> tuple[float, float, float]:
    """Return milliseconds per trial over a whole study, over its first and over its last hundred trials."""
    stored: list[float] = []

    def watch(event: Happening) -> None:
        if isinstance(event, Stored):
            stored.append(time.perf_counter())

    dummy.without_torch()
    began = time.perf_counter()
    Driver(dummy.study(10, count // 10), folder, executor=dummy.Formula(), watch=watch).run()
    whole = time.perf_counter() - began
    window = min(100, len(stored) - 1)
    return (
        whole / count * 1e3,
        (stored[window] - stored[0]) / window * 1e3,
        (stored[-1] - stored[-1 - window]) / window * 1e3,
    )


def fill(study: Study, folder: Path, processes: int = 2) -> float:
    """Store a row for every trial of a study, without waiting for the disk, and return the seconds it took."""
    began = time.perf_counter()
    every = trials_of(arms_of(study), range(study.design.most_blocks))
    driver = Driver(study, folder, executor=dummy.Formula(), watch=lambda _: None)
    driver.store.freeze(study, {})
    first = driver._task(every[0])
    driver.store.write(dummy.rows(first), axes=list(study.axes), metrics=study.measure.metrics)
    signals = pq.read_table(driver.store.folder / "signals" / f"{first.trial_id}.parquet")
    children = []
    for part in range(processes):
        pid = os.fork()
        if pid == 0:
            for trial in every[part::processes]:
                rows = dummy.rows(driver._task(trial), signals=False)
                own = signals.set_column(0, "trial_id", pa.array([trial.trial_id] * len(signals)))
                tables = {
                    "signals": own,
                    "measurements": pa.Table.from_pylist(list(rows.measurements), schema=_schema(MEASUREMENT_COLUMNS)),
                    "trials": pa.Table.from_pylist(
                        [rows.trial], schema=_schema(trial_columns(list(study.axes), study.measure.metrics))
                    ),
                }
                for name, table in tables.items():
                    pq.write_table(table, driver.store.folder / name / f"{trial.trial_id}.parquet")
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return time.perf_counter() - began


def command(*arguments: str) -> tuple[float, float]:
    """Run a command of the harness and return its seconds and its peak memory in GiB."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "harness", *arguments], stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    return time.perf_counter() - began, used.ru_maxrss / 2**20


def commands(study: Study, results: Path) -> None:
    """Time the commands that read what is stored: once as a merged folder has it, then with the caches a run leaves."""
    file = results / f"{study.study}.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    asked = {
        "plan --no-build": ("plan", str(file), "--no-build", "--results", str(results)),
        "status": ("status", study.study, "--results", str(results)),
        "report": ("report", study.study, "--results", str(results)),
    }
    shutil.rmtree(results / study.study / ".cache", ignore_errors=True)
    plans = [("status", "no caches"), ("plan --no-build", "caches"), ("status", "caches"), ("report", "caches")]
    for name, caches in plans:
        if caches == "caches":
            Store(results / study.study).fold()
        seconds, memory = command(*asked[name])
        print(f"{name:>16} {caches:>10} {seconds:8.1f} s {memory:6.2f} GiB", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--arms", type=int, nargs="*", default=[40, 2])
    parser.add_argument("--folder", type=Path, default=None, help="keep the stored trials here, and use them again")
    given = parser.parse_args()
    print("milliseconds per trial: whole study, first hundred, last hundred", flush=True)
    for count in given.trials:
        with tempfile.TemporaryDirectory() as folder:
            whole, first, last = cost_per_trial(count, Path(folder))
            print(f"{count:>8,} trials {whole:8.2f} {first:8.2f} {last:8.2f}", flush=True)
    for arms in given.arms if given.stored else ():
        with tempfile.TemporaryDirectory() as scratch:
            results = given.folder or Path(scratch)
            study = dummy.study(arms, given.stored // arms, name=f"stored-{arms}")
            if len(Store(results / study.study).done()) < given.stored:
                print(f"{arms} arms: {given.stored:,} trials written in {fill(study, results):.0f} s", flush=True)
            print(f"{given.stored:,} stored trials: {arms} arms, {given.stored // arms:,} blocks", flush=True)
            commands(study, results)


if __name__ == "__main__":
    main()
