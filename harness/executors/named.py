"""Executors by name, as `--executor` and `harness.run` take them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, get_args

from harness.errors import HarnessError, did_you_mean

if TYPE_CHECKING:
    from harness.executors.base import Executor

ExecutorName = Literal["local", "ray", "slurm"]
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor_named(
    name: ExecutorName, *, workers: int | None, cpus: float, gpus: float, address: str | None = None
) -> Executor:
    """Return the executor of a name.

    Args:
        name: One of `EXECUTORS`.
        workers: Trials at a time at most; None: as many as there are cores, or as the cluster has room for.
        cpus: CPUs that a trial takes on a cluster.
        gpus: GPUs that a trial takes.
        address: Of a Ray cluster.

    Raises:
        HarnessError: There is no executor of that name.
    """
    match name:
        case "local":
            from harness.executors.local import Local

            return Local(workers or cores(), gpus=gpus)
        case "ray":
            from harness.executors.ray import RayCluster

            return RayCluster(address=address, cpus=cpus, gpus=gpus, workers=workers)
        case "slurm":
            from harness.executors.slurm import Slurm

            return Slurm(cpus=cpus, gpus=gpus, workers=workers)
    raise HarnessError(f"executor: no '{name}'{did_you_mean(name, EXECUTORS)}")
