"""Arrays kept on disk by the hash of what they were computed from; the folder can be deleted at any time."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.atomic_write import atomic_write
from harness.errors import HarnessError

Arrays = dict[str, np.ndarray[Any, Any]]


def kept(folder: Path | None, key: tuple[object, ...], compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays stored under this key, or compute and store them.

    Writers may race: each writes the file whole, so a reader sees all of one or none.
    A file that cannot be read (cut off by a power failure) is computed and written anew.

    Args:
        folder: Where to keep them; None computes each time.
        key: Everything that the arrays depend on.
        compute: Gives the arrays.

    Raises:
        HarnessError: The folder cannot be written.
    """
    if folder is None:
        return compute()
    file = folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.npz"
    stored = _read(file)
    if stored is not None:
        return stored
    arrays = compute()
    try:
        with atomic_write(file, durable=False) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    except OSError as error:
        raise HarnessError(
            f"{folder}: statistics of real images cannot be kept here ({error}); give another folder"
        ) from error
    return arrays


def _read(file: Path) -> Arrays | None:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (FileNotFoundError, NotADirectoryError, zipfile.BadZipFile, EOFError, ValueError):
        return None
