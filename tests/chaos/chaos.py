"""Chaos: kills, stops, full disks, vanished folders, damaged files, two drivers and sick trials, one after another.

``nox -s chaos -- [--minutes 20] [--seed 0] [--table FILE]``. After each, `run` is called until it finishes, and every
row, measurement, signal and picture must equal that of a run that nobody disturbed. The study's trials are formulas (as
in tests/dummy.py), so that hundreds of runs fit in; `trained` scenarios train the tiny study of tests/tiny.py.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import dummy
import pyarrow.parquet as pq
import tiny
import yaml
from plan import Outcome, Turn, table, turns

from harness.results.store import Store

FORMULA = dummy.study(3, 16, name="chaos", signals=20)
BIGGEST_FILE = 3_000
"""Bytes, where a small disk is played by a limit: less than a trial's signals take."""


@dataclass
class Lab:
    """One study in a folder of its own, and the ways to run and to compare it."""

    folder: Path
    reference: Path
    executor: str
    luck: random.Random
    trained: bool
    begun: list[int] = field(default_factory=list)
    """Drivers that were started, each the leader of a group of processes."""
    family: set[int] = field(default_factory=set)
    """Processes below a driver that was at work, in whatever group, for the hunt for orphans."""

    @property
    def study(self) -> Path:
        """The folder of the results."""
        return self.folder / ("tiny" if self.trained else "chaos")

    def command(self) -> list[str]:
        """Return the command that runs the study."""
        if self.trained:
            return [*tiny.command(self.folder), "--executor", self.executor]
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(FORMULA.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
        program = [sys.executable, str(tiny.ROOT / "tests" / "dummy.py"), "cli", "run", str(file)]
        return [*program, "--results", str(self.folder), "--workers", "2", "--executor", self.executor]

    def start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Start the study in a group of processes of its own."""
        driver = subprocess.Popen(
            self.command(),
            env=tiny.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - a limit on the size of files
        )
        self.begun.append(driver.pid)
        return driver

    def run(self, before: Callable[[], None] | None = None) -> tuple[int, str]:
        """Run the study to its end, and return its exit code and what it printed."""
        driver = self.start(before)
        out, _ = driver.communicate(timeout=1200)
        return driver.returncode, out

    def at_work(self, driver: subprocess.Popen[str]) -> None:
        """Wait until trials are computed, and a random moment longer."""
        some = self.luck.randint(0, 12 if not self.trained else 1)
        place = self.study / ("checkpoints" if self.trained and not some else "trials")
        end = time.monotonic() + 900
        while driver.poll() is None and len(_names(place)) < max(1, some) and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(self.luck.uniform(0.0, 0.02))
        self.family |= set(tiny.descendants(driver.pid))

    def workers(self, driver: subprocess.Popen[str]) -> list[int]:
        """Return the processes that compute trials; the driver itself, where it computes or none is left."""
        match self.executor:
            case "ray":
                pids = [pid for pid in tiny.descendants(driver.pid) if "ray::_compute" in tiny.command_line(pid)]
            case "slurm":
                pids = tiny.processes(f"submitit.core._submit {self.folder}")
            case _:
                pids = tiny.workers(driver.pid)
        return pids or [driver.pid]

    def settled(self) -> None:
        """Run until it is finished, and require the rows of an undisturbed run, no orphan and no scratch."""
        for _ in range(3):
            code, out = self.run()
            assert "Traceback" not in out, out
            if tiny.ended(code, out):
                break
        assert tiny.ended(code, out), out
        assert tiny.rows(self.folder, self.study.name) == tiny.rows(self.reference, self.study.name), "rows differ"
        for picture in sorted((self.reference / self.study.name / "samples").glob("*.png")):
            assert (self.study / "samples" / picture.name).read_bytes() == picture.read_bytes(), picture.name
        assert not list(self.study.rglob(".scratch-*")), "scratch is left"
        end = time.monotonic() + 20
        while (left := [*filter(_group, self.begun), *filter(tiny.alive, self.family)]) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left, f"processes outlive their driver's group: {left}"


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _group(leader: int) -> bool:
    """Whether a group of processes has a member that is not a zombie."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
            if int(fields[2]) == leader and fields[0] != "Z":
                return True
    return False


# ---- what is done to a study ----------------------------------------------------------------------------------------


def kill_driver(lab: Lab) -> None:
    """SIGKILL the driver."""
    driver = lab.start()
    lab.at_work(driver)
    tiny.kill(driver.pid)
    driver.communicate()


def kill_worker(lab: Lab) -> None:
    """SIGKILL a process that computes a trial."""
    driver = lab.start()
    lab.at_work(driver)
    tiny.kill(lab.luck.choice(lab.workers(driver)))
    driver.communicate(timeout=1200)


def kill_group(lab: Lab) -> None:
    """SIGKILL the driver and all its processes at once."""
    driver = lab.start()
    lab.at_work(driver)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


def _ended_by(lab: Lab, number: signal.Signals) -> None:
    driver = lab.start()
    lab.at_work(driver)
    driver.send_signal(number)
    out, _ = driver.communicate(timeout=600)
    assert tiny.ended(driver.returncode, out) or driver.returncode == 128 + number, (driver.returncode, out)
    assert "Traceback" not in out, out


def terminate(lab: Lab) -> None:
    """SIGTERM the driver: exit code 143, unless it was done."""
    _ended_by(lab, signal.SIGTERM)


def interrupt(lab: Lab) -> None:
    """SIGINT the driver: exit code 130, unless it was done."""
    _ended_by(lab, signal.SIGINT)


def stop_and_go_on(lab: Lab) -> None:
    """SIGSTOP the driver or a worker for a while, then SIGCONT."""
    driver = lab.start()
    lab.at_work(driver)
    pid = lab.luck.choice([driver.pid, *lab.workers(driver)])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(lab.luck.uniform(0.2, 2.0))
        os.kill(pid, signal.SIGCONT)
    out, _ = driver.communicate(timeout=1200)
    assert tiny.ended(driver.returncode, out), out


def full_disk(lab: Lab) -> None:
    """Fill the disk: a small tmpfs for root, a limit on the size of files for others; exit code 2, then room."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    size = lab.luck.randint(150, 500)
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(lab.folder)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        code, out = lab.run(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (BIGGEST_FILE, BIGGEST_FILE)))
        assert code == 2, out
        return
    code, out = lab.run()
    assert code == 2, out
    assert "No space left on device" in out, out
    subprocess.run(["mount", "-o", "remount,size=64m", str(lab.folder)], check=True)


def vanished_folder(lab: Lab) -> None:
    """Delete a folder of the results while the driver is at work."""
    driver = lab.start()
    lab.at_work(driver)
    gone = lab.luck.choice(["trials", "measurements", "signals", ".cache", "checkpoints", "report", ""])
    shutil.rmtree(lab.study / gone, ignore_errors=True)
    out, _ = driver.communicate(timeout=1200)
    assert driver.returncode in (0, 1, 2), out
    assert "Traceback" not in out, out


def damaged_tables(lab: Lab) -> None:
    """Truncate or flip bits of some stored tables."""
    lab.run()
    for path in lab.luck.sample(sorted(lab.study.glob("*/*.parquet")), 5):
        _damage(path, lab.luck)


def damaged_json(lab: Lab) -> None:
    """Damage the plan, the environment, or the study as it was written down: that one is named, and deleted."""
    lab.run()
    name = lab.luck.choice(["plan.json", "environment.json", "study.json"])
    _damage(lab.study / name, lab.luck)
    if name == "study.json":
        code, out = lab.run()
        assert code in (0, 2), out
        assert "Traceback" not in out, out
        (lab.study / name).unlink()


def damaged_cache(lab: Lab) -> None:
    """Damage or delete what makes reading fast."""
    lab.run()
    for path in sorted((lab.study / ".cache").rglob("*.parquet")):
        _damage(path, lab.luck)


def _damage(path: Path, luck: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if luck.random() < 0.5:
        content = content[: luck.randrange(len(content))]
    else:
        for _ in range(luck.randint(1, 4)):
            content[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
    path.write_bytes(content)


def two_drivers(lab: Lab) -> None:
    """Start a second driver while the first is at work: it is refused by name, exit code 2."""
    first = lab.start()
    lab.at_work(first)
    code, out = lab.run()
    assert code == 2 or first.poll() is not None, out
    assert code in (0, 2), out
    out, _ = first.communicate(timeout=1200)
    assert tiny.ended(first.returncode, out), out


SCENARIOS: dict[str, Callable[[Lab], None]] = {
    scenario.__name__.replace("_", " "): scenario
    for scenario in (
        kill_driver,
        kill_worker,
        kill_group,
        terminate,
        interrupt,
        stop_and_go_on,
        full_disk,
        vanished_folder,
        damaged_tables,
        damaged_json,
        damaged_cache,
        two_drivers,
    )
}
TRAINED = ("kill driver", "kill worker", "kill group", "terminate", "stop and go on")
HERE = ("local", "in-process")
SICK = {
    "raise": "failed",
    "exit": "failed",
    "kill-always": "lost",
    "python-memory": "oom",
    "spoil": "failed",
    "shout": "complete",
    "sleep": "timeout",
}
"""What a sick network does in its fifth update, and the status that its trial must have."""
CALM = "nothing-either"
STATUSES = {**SICK, CALM: "complete"}


def sick(does: str, folder: Path) -> str:
    """Train an arm whose network does something in worker processes, and return the other arm's measurements."""
    options = {"does": "nothing", "in_workers": True}
    done = tiny.run(
        folder,
        generator={"kind": "awkward:generator", "options": options},
        axes={"generator.options.does": ["nothing", does]},
        train_no_ops=True,
        design={"blocks": 1},
        training={"steps": 12, "batch_size": 4, "loss": {"constant": 0.0}},
        runner={"checkpoint_every": 0.1, **({"trial_timeout": 30.0} if does == "sleep" else {})},
    )
    assert tiny.ended(done.returncode, done.stdout), (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr, (done.stdout, done.stderr)
    tables = Store(folder / "tiny").tables()
    statuses = tables.trials.set_index("arm")["status"].to_dict()
    assert statuses == {"baseline": "complete", f"does={does}": STATUSES[does]}, statuses
    return repr(pq.read_table(folder / "tiny" / "measurements" / "b000-baseline.parquet").to_pylist())


@contextlib.contextmanager
def folder_for(turn: Turn) -> Iterator[Path]:
    """Give a folder that is gone afterwards, small disk included."""
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as root:
        folder = Path(root, "results")
        try:
            yield folder
        finally:
            if turn.scenario == "full disk":
                subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def one(turn: Turn, references: dict[bool, Path], calm: str) -> Outcome:
    """Do one thing to a study, and say what came of it."""
    start, why = time.monotonic(), ""
    with folder_for(turn) as folder:
        try:
            if turn.kind == "sick":
                assert sick(turn.scenario, folder) == calm, "the other arm's rows differ"
            else:
                trained = turn.kind != "formula"
                lab = Lab(folder, references[trained], turn.executor, random.Random(turn.seed), trained)
                SCENARIOS[turn.scenario](lab)
                lab.settled()
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            why = f"{type(error).__name__}: {error}"[-3000:]
    return Outcome(turn, time.monotonic() - start, why)


def clusters() -> tuple[str, ...]:
    """Return the executors of clusters that are here: Ray where it is installed, Slurm where it answers."""
    slurm = importlib.util.find_spec("submitit") and shutil.which("sinfo")
    answers = slurm and not subprocess.run(["sinfo"], capture_output=True, check=False).returncode
    return (*(["ray"] if importlib.util.find_spec("ray") else []), *(["slurm"] if answers else []))


def main() -> int:
    """Take turns until the time is over, and print the table of what was tried and survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="formula,trained,cluster,sick")
    parser.add_argument("--first", type=int, default=0, help="turns of this seed that are passed over")
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    end, outcomes = time.monotonic() + 60 * asked.minutes, list[Outcome]()
    kinds = asked.kinds.split(",")
    with tempfile.TemporaryDirectory(prefix="chaos-reference-") as root:
        references = {False: Path(root, "formula"), True: Path(root, "trained")}
        for trained in (False, True):
            if {"trained", "cluster"} & {*kinds} if trained else "formula" in kinds:
                code, out = Lab(references[trained], references[trained], "in-process", random.Random(), trained).run()
                assert tiny.ended(code, out), out
        calm = sick(CALM, Path(root, "calm")) if "sick" in kinds else ""
        every = {
            "formula": (tuple(SCENARIOS), HERE),
            "trained": (TRAINED, HERE),
            "cluster": (TRAINED, clusters()),
            "sick": (tuple(SICK), HERE[:1]),  # in the driver's own process they would take it along
        }
        for turn in itertools.islice(turns(asked.seed, {kind: every[kind] for kind in kinds}), asked.first, None):
            if time.monotonic() > end:
                break
            outcomes.append(one(turn, references, calm))
            print(outcomes[-1], flush=True)
            if asked.table:
                asked.table.write_text(table(outcomes), encoding="utf-8")
    print(table(outcomes))
    return int(any(outcome.why for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
