"""Trials on real Ray clusters of several nodes: the rows of this machine's processes, also when a node is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factory
import pytest
import tiny

from harness.driver import Driver, Happening, Retried
from harness.errors import HarnessError, MissingExtraError
from harness.executors.base import Event, Finished, Lost, Started
from harness.executors.local import Local
from harness.executors.ray import RayCluster
from harness.trial.task import TrialProgress

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def test_without_ray_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gan-ablation-harness\[ray\]'"):
        list(tiny.events(RayCluster(None, 1, 0, None), [], tiny.place(tmp_path)))


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs, on which the driver lives, and two nodes of one CPU."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paths = {"PYTHONPATH": tiny.environment()["PYTHONPATH"]}
    os.environ.update(paths)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


def undisturbed(folder: Path) -> tuple[str, str, str]:
    Driver(factory.study(), folder, executor=Local(2), watch=lambda _: None).run()
    return tiny.rows(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_loss_of_a_node_costs_nothing_but_time(tmp_path: Path, cluster: Any) -> None:
    happened: list[Happening] = []
    doomed = cluster.nodes[1]

    def watch(event: Happening) -> None:
        happened.append(event)
        both = sum(isinstance(e, Started) for e in happened) >= 2
        if both and isinstance(event, TrialProgress) and event.step > 5 and doomed in cluster.list_all_nodes():
            cluster.remove_node(doomed, allow_graceful=False)

    executor = RayCluster(cluster.address, cpus=1, gpus=0, workers=None)
    Driver(factory.study(), tmp_path / "ray", executor=executor, watch=watch).run()
    retried = [event for event in happened if isinstance(event, Retried)]
    assert len(retried) == 1
    assert "its node was lost" in retried[0].reason
    assert tiny.rows(tmp_path / "ray") == undisturbed(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_on_a_cluster_each_trial_pays_for_itself_alone(tmp_path: Path, cluster: Any) -> None:
    does = ["nothing", "sleep", "raise", "allocate", "exit", "kill-always"]
    study = factory.study(
        generator={"kind": "awkward:generator", "options": {"does": "nothing"}},
        axes={"generator.options.does": does},
        design={"blocks": 1},
        training={"steps": 12, "batch_size": 4, "loss": {"constant": 0.0}},
    )
    executor = RayCluster(cluster.address, cpus=1, gpus=0, workers=None)
    events: list[Event] = list(tiny.events(executor, tiny.tasks(study, tmp_path), tiny.place(tmp_path, timeout=10.0)))
    outcomes = [event for event in events if isinstance(event, (Finished, Lost))]
    found = {e.task.levels["generator.options.does"]: e.status if isinstance(e, Lost) else "rows" for e in outcomes}
    assert len(outcomes) == len(does)
    assert found == {
        "nothing": "rows",
        "sleep": "timeout",
        "raise": "failed",
        "allocate": "oom",
        "exit": "lost",
        "kill-always": "lost",
    }
    with pytest.raises(HarnessError, match=r"a trial takes 1 CPUs and 1 GPUs; the largest node .* has 1 and 0"):
        list(tiny.events(RayCluster(cluster.address, 1, 1, None), [], tiny.place(tmp_path)))


@pytest.mark.slow
def test_trials_on_a_local_cluster_end_with_their_killed_driver(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    driver = subprocess.Popen(
        tiny.command(tmp_path, "--executor", "ray", training={"steps": 100_000, "batch_size": 4}),
        env=tiny.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    tiny.wait_until(lambda: (tmp_path / "tiny" / "checkpoints").exists() or driver.poll() is not None, 300)
    computing = [pid for pid in tiny.descendants(driver.pid) if "ray::_compute" in tiny.command_line(pid)]
    assert computing
    tiny.kill(driver.pid)
    driver.wait()
    tiny.wait_until(lambda: not any(map(tiny.alive, computing)), 30)


def test_a_cluster_that_does_not_answer_is_one_message(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(HarnessError, match=r"--executor ray: 127\.0\.0\.1:9: no answer .*; `ray start --head`"):
        list(tiny.events(RayCluster("127.0.0.1:9", 1, 0, None), [], tiny.place(tmp_path)))
