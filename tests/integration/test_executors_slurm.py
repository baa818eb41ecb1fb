"""Trials as submitit's jobs: processes of this machine, and jobs of a real Slurm where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import factory
import pytest
import tiny

import harness.executors.slurm
from harness.driver import Driver, Happening, Retried
from harness.errors import HarnessError, MissingExtraError
from harness.executors.base import Finished, Lost
from harness.executors.local import Local
from harness.executors.slurm import Slurm
from harness.trial.task import TrialProgress


def slurm_runs_here() -> bool:
    try:
        done = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


CLUSTERS = [
    "local",
    pytest.param("slurm", marks=pytest.mark.skipif(not slurm_runs_here(), reason="no Slurm on this machine")),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in tiny.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(harness.executors.slurm, "LOOK", 2.0)


def test_without_submitit_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gan-ablation-harness\[slurm\]'"):
        list(tiny.events(Slurm(1, 0, None), [], tiny.place(tmp_path)))


def test_without_slurm_the_message_says_where_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(HarnessError, match="start it on a machine that can submit jobs"):
        list(tiny.events(Slurm(1, 0, None, cluster="slurm"), [], tiny.place(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_jobs_give_the_rows_of_this_machines_processes_also_when_one_is_killed(tmp_path: Path, cluster: str) -> None:
    pytest.importorskip("submitit")
    happened: list[Happening] = []

    def watch(event: Happening) -> None:
        first = not any(isinstance(e, TrialProgress) for e in happened)
        happened.append(event)
        if not first or not isinstance(event, TrialProgress):
            return
        for pid in tiny.processes(f"-m submitit.core._submit {tmp_path}"):
            tiny.kill(pid)

    study = factory.study(
        training={"steps": 400, "batch_size": 4}, design={"blocks": 1}, runner={"checkpoint_every": 0.5}
    )
    Driver(study, tmp_path / "jobs", executor=Slurm(1, 0, 2, cluster=cluster), watch=watch).run()
    assert 1 <= len([event for event in happened if isinstance(event, Retried)]) <= 2
    Driver(study, tmp_path / "local", executor=Local(2), watch=lambda _: None).run()
    assert tiny.rows(tmp_path / "jobs") == tiny.rows(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_each_job_pays_for_itself_alone(tmp_path: Path, cluster: str) -> None:
    pytest.importorskip("submitit")
    does = ["nothing", "sleep", "raise", "exit"]
    study = factory.study(
        generator={"kind": "awkward:generator", "options": {"does": "nothing"}},
        axes={"generator.options.does": does},
        design={"blocks": 1},
        training={"steps": 12, "batch_size": 4, "loss": {"constant": 0.0}},
    )
    tasks = tiny.tasks(study, tmp_path)
    outcomes = [
        event
        for event in tiny.events(Slurm(1, 0, 2, cluster=cluster), tasks, tiny.place(tmp_path, timeout=15.0))
        if isinstance(event, (Finished, Lost))
    ]
    found = {e.task.levels["generator.options.does"]: e.status if isinstance(e, Lost) else "rows" for e in outcomes}
    assert len(outcomes) == len(does)
    assert found == {"nothing": "rows", "sleep": "timeout", "raise": "failed", "exit": "lost"}


@pytest.mark.slow
def test_jobs_do_not_outlive_a_killed_driver_for_long(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    program = (
        "import sys, pathlib, tiny, harness.executors.slurm as s; from harness.driver import Driver\n"
        "s.ORPHANED = 3.0; folder = pathlib.Path(sys.argv[1])\n"
        "study = factory.study(training={'steps': 100_000, 'batch_size': 4})\n"
        "Driver(study, folder, executor=s.Slurm(1, 0, 2, cluster='local'), watch=lambda _: None).run()\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=tiny.environment())
    tiny.wait_until(lambda: len(list((tmp_path / "tiny" / "checkpoints").glob("*.pt"))) == 2)
    family = tiny.descendants(driver.pid)
    assert len(family) >= 4
    tiny.kill(driver.pid)
    driver.wait()
    tiny.wait_until(lambda: not any(map(tiny.alive, family)), 60)
