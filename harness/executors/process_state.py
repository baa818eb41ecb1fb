"""What one trial can change for those that follow it in the same process: noted before, compared and put back after."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

HANDLED = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


@dataclass(frozen=True)
class _Part:
    """One piece of a process's state: its name in messages, and how it is read and put back."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], Any]


def _general_filters() -> list[Any]:
    """Return the filters of Python's own kinds of warnings; libraries, when imported, add some for their own kinds."""
    return [entry for entry in warnings.filters if entry[2].__module__ == "builtins"]


def _put_back_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _put_back_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _put_back_deterministic(before: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _put_back_cudnn(before: tuple[bool, bool, bool]) -> None:
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = before


def _put_back_device(before: str) -> None:
    torch.set_default_device(None if before == "cpu" else before)


PARTS = (
    _Part("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    _Part("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    _Part("torch's default device", lambda: str(torch.get_default_device()), _put_back_device),
    _Part(
        "torch's deterministic algorithms",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        _put_back_deterministic,
    ),
    _Part(
        "cuDNN's flags",
        lambda: (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        _put_back_cudnn,
    ),
    _Part("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _Part("torch's threads", torch.get_num_threads, torch.set_num_threads),
    _Part("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    _Part(
        "torch's autocast", lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)
    ),
    _Part("numpy's error handling", np.geterr, lambda before: np.seterr(**before)),
    _Part("the warnings filters", _general_filters, lambda before: _replace(warnings.filters, before)),
    _Part("the signal handlers", lambda: {number: signal.getsignal(number) for number in HANDLED}, _put_back_handlers),
    _Part("the environment", lambda: dict(os.environ), _put_back_environment),
    _Part("the working directory", os.getcwd, os.chdir),
    _Part("sys.path", lambda: list(sys.path), lambda before: _replace(sys.path, before)),
    _Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Part("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
)
"""numpy's and Python's own random streams are not among them: they begin anew with every step, as torch's does."""


def _replace(items: Any, before: list[Any]) -> None:
    items[:] = before


@contextmanager
def kept() -> Iterator[list[str]]:
    """Put the process's state back as it was, and the random streams; give a list of the names of what had changed."""
    before = [part.read() for part in PARTS]
    streams = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - the global one
    names: list[str] = []
    try:
        yield names
    finally:
        for part, value in zip(PARTS, before, strict=True):
            if _now(part) != value:
                names.append(part.name)
                with suppress(Exception):  # what cannot be put back is named: the process is replaced
                    part.put_back(value)
        torch.set_rng_state(streams[0])
        np.random.set_state(streams[1])  # noqa: NPY002
        random.setstate(streams[2])


def _now(part: _Part) -> Any:
    try:
        return part.read()
    except Exception:  # noqa: BLE001 - a working directory that is gone cannot be read: it is not as it was
        return None
