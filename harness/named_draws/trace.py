"""What a program drew, in order: places, shapes and digests of draws, batches, and weights before their first step."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import weakref
from pathlib import Path
from typing import IO, Any

from harness.named_draws.command import Matching
from harness.named_draws.places import IMPORT
from harness.named_draws.streams import Draw, rank_text

FORMAT = 1
"""Of the file; another number is another format."""
MOST_LINES = 500_000
"""Longest trace; what follows is counted, and said at its end."""


class Trace:
    """The trace of one process, a JSON document a line; children of fork do not write into their parent's."""

    def __init__(self, path: Path, matching: Matching) -> None:
        self._path, self._matching = path, matching
        self._process = os.getpid()
        self._file: IO[str] | None = None
        self._lines = self._left_out = 0
        self._batches = 0
        self._optimizers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._optimizer_count = 0
        self._lock = threading.Lock()

    def draw(self, draw: Draw, result: object) -> None:
        """Write a draw, unless it belongs to the import of a library, which happens once a process."""
        name = draw.name
        if name.place.inner == IMPORT:
            return
        self._write(
            {
                "draw": str(name.place),
                "function": name.function,
                "shape": name.shape,
                "parameter": name.parameter,
                "sequence": draw.sequence,
                "number": draw.number,
                "digest": digest(result),
            }
        )

    def batch(self, batch: object) -> None:
        """Write a batch that a DataLoader has given to the program."""
        self._write({"batch": self._batches, "digest": digest(batch)})
        self._batches += 1

    def step(self, optimizer: Any) -> None:
        """Write the weights that an optimizer is about to move for the first time."""
        if optimizer in self._optimizers:
            return
        self._optimizers.add(optimizer)
        self._optimizer_count += 1
        about = {"optimizer": self._optimizer_count, "kind": type(optimizer).__name__}
        for group in optimizer.param_groups:
            for weight in group["params"]:
                self._write({"weight": about, "shape": list(weight.shape), "digest": digest(weight)})

    def close(self, report: dict[str, Any]) -> None:
        """Write what the process came to, and close the file."""
        if not self._is_ours() or (self._file is None and self._path.exists()):
            return
        if self._file is None:
            self._file = self._opened()
        left_out = {"left_out": self._left_out} if self._left_out else {}
        self._file.write(json.dumps({"end": {**report, **left_out}}, ensure_ascii=False) + "\n")
        self._file.close()

    def _is_ours(self) -> bool:
        """Whether this process writes here: not after a fork, nor in DataLoader's workers, whose batches say it."""
        return os.getpid() == self._process and not multiprocessing.current_process().daemon

    def _write(self, document: dict[str, Any]) -> None:
        if not self._is_ours():
            return
        with self._lock:
            if self._file is None:
                self._file = self._opened()
            if self._lines >= MOST_LINES:
                self._left_out += 1
                return
            self._lines += 1
            self._file.write(json.dumps(document, ensure_ascii=False) + "\n")

    def _opened(self) -> IO[str]:
        """Open this process's file: the first one has the name that was asked for, others have theirs added."""
        rank = rank_text().strip().replace(" ", "")
        path = self._path.with_name(f"{self._path.name}.{rank}") if rank else self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            file = path.with_name(f"{path.name}.{os.getpid()}").open("w", encoding="utf-8")
        matching = self._matching
        about = {"block": matching.block, "seed": matching.seed, "named": matching.name, "command": sys.orig_argv}
        file.write(json.dumps({"trace": FORMAT, **about}, ensure_ascii=False) + "\n")
        return file


def digest(value: object) -> str:
    """Return what stands for the values of a draw, a batch or a weight: equal exactly when they are, bit for bit."""
    hashed = hashlib.blake2b(digest_size=8)
    _feed(hashed, value)
    return hashed.hexdigest()


def _feed(hashed: Any, value: Any) -> None:
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        tensor = value.detach().cpu()
        hashed.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        if tensor.layout is not sys.modules["torch"].strided:
            tensor = tensor.to_dense()
        hashed.update(tensor.contiguous().reshape(-1).view(sys.modules["torch"].uint8).numpy())
    elif hasattr(value, "tobytes"):
        hashed.update(f"{getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}".encode())
        hashed.update(value.tobytes())
    elif isinstance(value, dict):
        for key, inner in value.items():
            hashed.update(str(key).encode())
            _feed(hashed, inner)
    elif isinstance(value, (list, tuple)):
        hashed.update(f"{len(value)}:".encode())
        for inner in value:
            _feed(hashed, inner)
    elif value is None or isinstance(value, (str, bytes, int, float, complex)):
        hashed.update(repr(value).encode())
    else:
        hashed.update(type(value).__name__.encode())
