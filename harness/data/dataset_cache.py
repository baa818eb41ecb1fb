"""Data sets on disk under the hash of what they are made from; a file that is damaged or gone is made again."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from harness.atomic_write import atomic_write
from harness.data.dataset import Dataset, Split
from harness.errors import DataError

CODE_VERSION = 2
"""Raised whenever the same files and settings would give other pixels, or another split."""


def key_of(**parts: Any) -> str:
    """Return the hash of all that a data set is made from (JSON-able values), with the version of this code."""
    return hashlib.sha256(json.dumps([CODE_VERSION, parts], sort_keys=True).encode()).hexdigest()


def listing_digest(files: Iterable[Path], root: Path) -> str:
    """Return the hash of files' names below `root`, sizes and times of change; reads none of them."""
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        status = path.stat()
        digest.update(f"{name}|{status.st_size}|{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def cached(folder: Path | None, key: str, make: Callable[[], Dataset]) -> Dataset:
    """Return the data set stored under a key, or make and store it.

    The file is written whole, so several processes may do this at once, and a process that is killed leaves nothing
    half-written under the key.

    Args:
        folder: Where the data sets are kept; None keeps nothing.
        key: From `key_of`.
        make: Makes the data set.

    Raises:
        DataError: The folder cannot be written.
    """
    if folder is None:
        return make()
    path = folder / f"{key}.npz"
    stored = _read(path)
    if stored is not None:
        return stored
    dataset = make()
    _write(path, dataset)
    return dataset


def _write(path: Path, dataset: Dataset) -> None:
    meta: dict[str, Any] = {"styles": dataset.styles, "hash": dataset.hash, "notes": dataset.notes}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, split in (("train", dataset.train), ("heldout", dataset.heldout)):
        meta[f"{name}_labels"] = split.labels
        meta[f"{name}_aligned"] = split.aligned
        arrays[f"{name}_target"] = split.target.numpy()
        arrays[f"{name}_style"] = split.style.numpy()
        if split.source is not None:
            arrays[f"{name}_source"] = split.source.numpy()
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    try:
        with atomic_write(path, durable=False) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot store the data set ({error.strerror}); make room, or name another folder"
        ) from error


def _read(path: Path) -> Dataset | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            meta = json.loads(arrays["meta"].tobytes())
            train, heldout = (_split(arrays, meta, name) for name in ("train", "heldout"))
        dataset = Dataset.of(train, heldout, tuple(meta["styles"]), tuple(meta["notes"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    return dataset if dataset.hash == meta["hash"] else None


def _split(arrays: Any, meta: dict[str, Any], name: str) -> Split:
    source = f"{name}_source"
    return Split(
        target=torch.from_numpy(arrays[f"{name}_target"]),
        source=torch.from_numpy(arrays[source]) if source in arrays else None,
        style=torch.from_numpy(arrays[f"{name}_style"]),
        labels=tuple(meta[f"{name}_labels"]),
        aligned=meta.get(f"{name}_aligned", True),
    )
