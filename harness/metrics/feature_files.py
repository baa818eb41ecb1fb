"""Features that somebody else extracted, from files that nobody vouches for; nothing in them is executed."""

from __future__ import annotations

import io
import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import DataError, shortened

SUFFIXES = (".npy", ".npz")
LARGEST = 1e15
"""Of a feature in absolute value: sums of squares of larger ones leave float32."""
MOST_FEATURES = 16_384
"""Of one image; a covariance of so many takes 2 GiB."""
SHARE_OF_MEMORY = 0.1
"""Of the machine's memory, at most this share for the features of one file."""

_MALFORMED = (
    ValueError, EOFError, OSError, LookupError, TypeError, SyntaxError, OverflowError, MemoryError, RuntimeError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What numpy and zipfile raise on files that are no sound arrays."""


def read_features(file: Path) -> Tensor:
    """Return the features (N, d) of a `.npy` file, or of a `.npz` file's only array or the one named ``features``.

    Raises:
        DataError: No such file, no table of finite numbers, or one too large for this machine.
    """
    if not file.is_file():
        raise DataError(
            f"{file}: no such file; a .npy or .npz file of features (N, d), or a folder of images, is needed"
        )
    try:
        with file.open("rb") as stream:
            npy = file.suffix.lower() == ".npy"
            array = _array(stream, os.fstat(stream.fileno()).st_size) if npy else _member(stream)
    except _MALFORMED as error:
        raise DataError(
            f"{file}: numpy cannot read it ({shortened(str(error), 200)}); a table of numbers by numpy.save is needed"
        ) from error
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    with np.errstate(over="ignore"):
        wide = array.astype(np.float32 if array.dtype == np.float32 else np.float64)
    bad = int((~np.isfinite(wide)).any(axis=1).sum())
    if bad:
        raise DataError(f"{file}: {bad} of {len(wide)} rows hold NaN or infinite values; all must be finite")
    largest = float(np.abs(wide).max())
    if largest > LARGEST:
        raise DataError(f"{file}: a feature of {largest:.3g}, at most {LARGEST:g}; divide both files by one number")
    return torch.from_numpy(wide)


def _member(stream: IO[bytes]) -> npt.NDArray[Any]:
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if "features" not in members and len(members) != 1:
            names = shortened(", ".join(members)) or "nothing"
            raise DataError(f"holds {names}; one array, or 'features', is needed")
        info = members.get("features") or next(iter(members.values()))
        with archive.open(info) as member:
            return _array(member, info.file_size)


def _array(stream: IO[bytes], length: int) -> npt.NDArray[Any]:
    """Return the array in a stream of some bytes, once its header is known to claim no more than these."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if len(shape) != 2 or min(shape) < 1 or dtype.kind not in "fiu":
        raise DataError(f"holds {dtype} of shape {shape}; numbers of shape (N, d) are needed")
    count, memory = math.prod(shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if shape[1] > MOST_FEATURES:
        raise DataError(f"{shape[1]} features for each image, at most {MOST_FEATURES}")
    if 8 * count > SHARE_OF_MEMORY * memory:
        raise DataError(f"{shape[0]} x {shape[1]} features take {8 * count / 1e9:.1f} GB of {memory / 1e9:.1f}")
    if count * dtype.itemsize > length - stream.tell():
        raise EOFError(f"its header claims {count} numbers, {length} bytes hold fewer")
    stream.seek(0)
    content = io.BytesIO(stream.read(length))
    array: npt.NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    return array
