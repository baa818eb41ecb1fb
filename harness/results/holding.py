"""One driver for a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StoreError

HOLDER = ".holder"
"""The file that says who holds a folder."""


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is not there, against other processes; whoever does says so in `HOLDER`.

    Raises:
        StoreError: Another process holds it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"{folder}: in use by {_holder(folder)}; wait for it, stop it, or choose another --results"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); choose another --results") from error
    try:
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        return (folder / HOLDER).read_text(encoding="utf-8")
    except OSError:
        return "another process"
