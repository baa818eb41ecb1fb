"""Folders of anybody's images, read into one tensor."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harness import image_files
from harness.errors import DataError
from harness.image_files import ImageError, read_image

SUFFIXES = image_files.SUFFIXES | {".gif"}
_SHARE_OF_MEMORY = 0.25
"""Of the machine's memory, at most this share for the images of one folder."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadImages:
    """The images of one folder as 8-bit arrays (H, W) or (H, W, 3), in the order of their names."""

    folder: Path
    names: tuple[str, ...]
    """Path inside the folder without suffix."""
    arrays: tuple[np.ndarray[Any, Any], ...]

    def colour(self) -> bool:
        """Return whether any image has colour channels."""
        return any(array.ndim == 3 for array in self.arrays)

    def sizes(self) -> collections.Counter[str]:
        """Return how many images there are of each height x width."""
        return collections.Counter(f"{array.shape[0]} x {array.shape[1]}" for array in self.arrays)

    def tensor(self, *, colour: bool) -> Tensor:
        """Return all images (N, C, H, W), float32 in [0, 1]; where there is colour, grey is repeated to 3 channels."""
        height, width = self.arrays[0].shape[:2]
        images = torch.empty(len(self.arrays), 3 if colour else 1, height, width)
        for index, array in enumerate(self.arrays):
            image = torch.from_numpy(array).to(torch.float32) / 255
            images[index] = image.permute(2, 0, 1) if image.ndim == 3 else image
        return images


def read_pictures(folder: Path, size: int | None = None) -> ReadImages:
    """Return all images in a folder and the folders inside it; files of other kinds and hidden ones are passed over.

    Args:
        folder: Where the images are.
        size: Resize every image of another size to this side by Pillow's bicubic filter, which does not alias.

    Raises:
        DataError: No such folder, no image in it, or files that are no readable images; the message names them.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; a folder of images, or a .npy or .npz file of features, is needed")
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    shown = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
    return read_files(folder, shown, size)


def read_files(folder: Path, files: Iterable[Path], size: int | None = None) -> ReadImages:
    """Return some images of a folder, in the order of their names.

    Args:
        folder: Where they are.
        files: Their paths below it.
        size: Resize every image of another size to this side by Pillow's bicubic filter, which does not alias.

    Raises:
        DataError: There are none, or files that are no readable images; the message names them.
    """
    files = sorted(files, key=lambda path: (str(path.with_suffix("")), path.suffix))
    if not files:
        raise DataError(f"{folder}: holds no images; allowed: {', '.join(sorted(SUFFIXES))}")
    arrays: list[np.ndarray[Any, Any]] = []
    broken, values = [], 0
    for file in files:
        try:
            arrays.append(_array(folder / file, size))
        except ImageError as error:
            broken.append(f"{file} ({error.reason})")
            continue
        values += arrays[-1].size
        _require_memory(folder, len(files), arrays[0], values)
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise DataError(f"{folder}: cannot read {'; '.join(broken[:3])}{more}; remove or repair them")
    names = tuple(str(file.with_suffix("")) for file in files)
    return ReadImages(folder, names, tuple(arrays))


def _array(file: Path, size: int | None) -> np.ndarray[Any, Any]:
    image = read_image(file)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(image)


def _require_memory(folder: Path, count: int, first: np.ndarray[Any, Any], values: int) -> None:
    """Refuse as early as possible what will not fit: `count` images like the first, or the values read so far."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = 4 * max(count * first.size, values)
    if needed > _SHARE_OF_MEMORY * memory:
        size = f"{first.shape[0]} x {first.shape[1]}"
        found = f"{count} images (the first of {size}) take {needed / 1e9:.1f} GB of {memory / 1e9:.1f}"
        raise DataError(f"{folder}: {found}; give a smaller size, fewer images, or files of features (.npy)")
