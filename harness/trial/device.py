"""Where trials compute: which device, with which arithmetic, and how its time is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch


def timed_device(gpus: float) -> str | None:
    """Return the device whose pace tells that of a study's trials; None where they take a GPU and none is here."""
    if not gpus:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else None


def exact_arithmetic() -> None:
    """Ask a GPU for what a CPU does anyway: float32 in full, and the same bits each time.

    TF32, torch's default in convolutions, keeps 10 of float32's 23 bits. Kernels that have no deterministic form are
    used all the same; torch warns of each, which is kept with what the trial prints. Before the first use of a GPU in
    the process, as cuBLAS reads its variable then.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def clock_of(device: str) -> Callable[[], float]:
    """Return the clock of one thread's work: processor time, which other programs on the machine do not disturb.

    A GPU's work does not show in it; there it is the time of day, once the device has done all that it was given.
    """
    return time.thread_time if device == "cpu" else _synchronised


def _synchronised() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
