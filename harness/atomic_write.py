"""A file written whole: under a scratch name, flushed to the disk, then renamed; never half under its own name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SCRATCH = ".scratch-"
"""How the names of scratch files begin; what begins so and belongs to no living process can be deleted."""


def scratch_for(path: Path) -> Path:
    """Return the scratch name of a file: beside it, of this thread on this machine alone."""
    return path.with_name(f"{SCRATCH}{os.uname().nodename}-{threading.get_native_id()}-{path.name}")


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give a file to write to that takes its name only when all of it is written; its folder is made.

    Args:
        path: The file's name; what stood there before is replaced.
        durable: Flush it to the disk first, so that a power cut leaves the old file or the new one. A cache, which can
            be made again, does without.

    Raises:
        OSError: The disk is full or read-only; nothing is left behind.
    """
    scratch = scratch_for(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with scratch.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def remove_scratch(folder: Path) -> None:
    """Delete what writers that were killed left below a folder; no other writer may be at work there."""
    for path in folder.rglob(f"{SCRATCH}*"):
        with suppress(OSError):
            path.unlink(missing_ok=True)
