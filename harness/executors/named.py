"""Executors by name, as `--executor` and `harness.run` take them."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast, get_args

from harness.errors import HarnessError, did_you_mean

if TYPE_CHECKING:
    from harness.executors.base import Executor

ExecutorName = Literal["local", "in-process", "ray", "slurm"]
"""Each is a file of this folder with a function `executor(resources)`: a new one is its file and its name here."""
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
    from harness.executors.base import Resources

    if name not in EXECUTORS:
        raise HarnessError(f"executor: no '{name}'{did_you_mean(name, EXECUTORS)}")
    module = import_module(f"harness.executors.{name.replace('-', '_')}")
    return cast("Executor", module.executor(Resources(workers=workers, cpus=cpus, gpus=gpus, address=address)))
