"""Trials on a Ray cluster: an existing one by its address, or one that is started on this machine."""

from __future__ import annotations

import functools
import logging
import os
import socket
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError, MissingExtraError
from harness.executors.base import (
    Compute,
    Event,
    Finished,
    Lost,
    Patience,
    Place,
    ProcessChanged,
    Resources,
    Running,
    Started,
)
from harness.executors.worker import ONE_THREAD, compute, warm_up
from harness.results.schema import LOST
from harness.trial.task import TrialProgress, TrialTask

POLL = 0.5
"""Seconds between two looks at the trials' signs."""
ANSWER = 10.0
"""Seconds that a cluster may take to accept a connection."""


@dataclass(frozen=True)
class RayCluster:
    """Computes each trial in a Ray task; Ray's workers live across trials, and Ray decides on which node."""

    address: str | None
    """As `ray.init` takes it; None starts a cluster of this machine alone."""
    cpus: float
    """CPUs that a trial takes: what Ray books. It computes with one thread."""
    gpus: float
    """GPUs that a trial takes; fractions share one."""
    workers: int | None
    """At most so many trials at a time; as many as the cluster has room for unless given."""

    @contextmanager
    def opened(self, place: Place, expected: int) -> Iterator[Compute]:  # noqa: ARG002 - Ray starts its own processes
        """Connect to the cluster.

        Raises:
            MissingExtraError: Ray is not installed.
            HarnessError: The cluster cannot be reached, or none of its nodes has what a trial takes.
        """
        ray = _connected(self.address)
        self._fits(ray)
        yield functools.partial(self._events, ray, place)

    def _events(self, ray: Any, place: Place, tasks: Iterable[TrialTask]) -> Generator[Event]:
        """Compute the tasks as the cluster has room."""
        signs = _start_signs(ray)
        # Retries are the driver's, which counts them; Ray's own would hide them.
        remote = ray.remote(max_retries=0, num_cpus=self.cpus, num_gpus=self.gpus)(_compute)
        patience = Patience(place.trial_timeout)
        waiting, under_way = deque(tasks), dict[Any, Running]()
        try:
            while waiting or under_way:
                while waiting and len(under_way) < self._room(ray):
                    task = waiting.popleft()
                    under_way[remote.remote(task, place, signs, self.gpus > 0)] = Running(task, patience)
                done, _ = ray.wait(list(under_way), num_returns=len(under_way), timeout=POLL, fetch_local=False)
                by_id = {running.task.trial_id: running for running in under_way.values()}
                for sign in ray.get(signs.take.remote()):
                    yield from _received(sign, by_id)
                for reference in done:
                    running = under_way.pop(reference)
                    if running.sign():
                        yield Started(running.task)
                    yield _outcome(ray, reference, running.task)
                for reference, running in list(under_way.items()):
                    if lost := running.given_up():
                        del under_way[reference]
                        ray.cancel(reference, force=True)
                        yield lost
        finally:
            for reference in under_way:
                ray.cancel(reference, force=True)
            ray.kill(signs)

    def _room(self, ray: Any) -> int:
        """Return how many trials may be under way: nodes come and go."""
        has = ray.cluster_resources()
        room = has.get("CPU", 0) / self.cpus
        if self.gpus:
            room = min(room, has.get("GPU", 0) / self.gpus)
        return max(1, min(int(room + 1e-9), self.workers or int(room + 1e-9)))

    def _fits(self, ray: Any) -> None:
        """Raise where no node has what one trial takes: Ray would wait for such a node for ever."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(n.get("CPU", 0) >= self.cpus and n.get("GPU", 0) >= self.gpus for n in nodes):
            most = {kind: max((n.get(kind, 0) for n in nodes), default=0) for kind in ("CPU", "GPU")}
            raise HarnessError(
                f"runner: a trial takes {self.cpus:g} CPUs and {self.gpus:g} GPUs; "
                f"the largest node of the Ray cluster has {most['CPU']:g} and {most['GPU']:g}"
            )


def executor(resources: Resources) -> RayCluster:
    """Return the executor."""
    return RayCluster(resources.address, cpus=resources.cpus, gpus=resources.gpus, workers=resources.workers)


Sign = str | TrialProgress | ProcessChanged
"""The id of a trial that begins, its progress, or what it changed."""


@dataclass
class _Signs:
    """An actor beside the driver that keeps the trials' signs of life; no trial waits for it."""

    signs: list[Sign] = field(default_factory=list)

    def add(self, sign: Sign) -> None:
        """Keep a sign."""
        self.signs.append(sign)

    def take(self) -> list[Sign]:
        """Return all signs since the last time."""
        signs, self.signs = self.signs, []
        return signs


def _start_signs(ray: Any) -> Any:
    """Start the actor on the driver's own node, whose loss ends the study anyway."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(_Signs).remote()


def _compute(task: TrialTask, place: Place, signs: Any, gpu: bool) -> Finished | Lost:
    """Compute one trial on a node."""
    warm_up()  # before the clock of trial_timeout runs
    signs.add.remote(task.trial_id)
    for event in compute(task, place, gpu=gpu):
        if isinstance(event, (Finished, Lost)):
            outcome = event
        else:
            signs.add.remote(event)
    return outcome


def _received(sign: Sign, by_id: dict[str, Running]) -> Iterator[Event]:
    """Yield what a sign says of a trial that is still under way."""
    match sign:
        case str():
            running = by_id.get(sign)
        case TrialProgress():
            running = by_id.get(sign.trial_id)
        case ProcessChanged():
            running = by_id.get(sign.task.trial_id)
    if running is not None:
        if running.sign():
            yield Started(running.task)
        if not isinstance(sign, str):
            yield sign


def _outcome(ray: Any, reference: Any, task: TrialTask) -> Finished | Lost:
    """Return what a task came to; the loss of its process or node is not the trial's fault."""
    try:
        outcome: Finished | Lost = ray.get(reference)
    except ray.exceptions.OutOfMemoryError as error:
        return Lost(task, "oom", f"Ray ended the worker for want of memory: {_first_line(error)}")
    except ray.exceptions.RayTaskError as error:
        return Lost(task, "failed", f"the Ray worker could not compute: {_first_line(error.cause)}", str(error))
    except ray.exceptions.RayError as error:
        return Lost(task, LOST, f"the Ray worker or its node was lost in the middle of the trial: {_name(error)}")
    return outcome


def _name(error: BaseException) -> str:
    return type(error).__name__


def _first_line(error: BaseException) -> str:
    return f"{_name(error)}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _answers(address: str | None) -> None:
    """Raise where nothing answers at an address: Ray itself would go on trying for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER).close()
        except OSError as error:
            raise HarnessError(
                f"--executor ray: {address}: no answer ({error}); `ray start --head` prints a cluster's address"
            ) from error


def _connected(address: str | None) -> Any:
    """Return the module `ray`, connected; a connection that is there is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError(
            "--executor ray: the package ray is not installed; pip install 'gan-ablation-harness[ray]'"
        ) from None
    if not ray.is_initialized():
        _answers(address)
        try:
            ray.init(
                address=address,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": dict(ONE_THREAD)},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise HarnessError(f"--executor ray: {address or 'a local cluster'}: {_first_line(error)}") from error
    return ray
