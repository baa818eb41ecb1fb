"""Folders of anybody's images, read into one tensor."""

from __future__ import annotations

import collections
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from harness.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".pgm", ".ppm"})
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

    Transparent is white; palettes become colour; 16-bit grey is rounded to 8 bits; of several frames the first counts.

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
    files = sorted(shown, key=lambda path: (str(path.with_suffix("")), path.suffix))
    if not files:
        raise DataError(f"{folder}: holds no images; allowed: {', '.join(sorted(SUFFIXES))}")
    arrays, broken = [], []
    for file in files:
        try:
            arrays.append(_array(folder / file, size))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            broken.append(f"{file} ({error})")
        _require_memory(folder, len(files), arrays[:1])
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise DataError(f"{folder}: cannot read {'; '.join(broken[:3])}{more}; remove or repair them")
    names = tuple(str(file.with_suffix("")) for file in files)
    return ReadImages(folder, names, tuple(arrays))


def _array(file: Path, size: int | None) -> np.ndarray[Any, Any]:
    with Image.open(file) as image:
        picture = _eight_bits(image)
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(picture)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit grey or RGB."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{image.mode}: 32-bit values have no known range; save it with 8 or 16 bits")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, image.convert("RGBA"))
        return flat.convert("L" if image.mode in ("L", "LA", "La", "1") else "RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _require_memory(folder: Path, count: int, first: list[np.ndarray[Any, Any]]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = 4 * count * sum(array.size for array in first)
    if needed > _SHARE_OF_MEMORY * memory:
        size = f"{first[0].shape[0]} x {first[0].shape[1]}"
        found = f"{count} images of {size} take {needed / 1e9:.1f} GB of {memory / 1e9:.1f}"
        raise DataError(f"{folder}: {found}; give a smaller size, fewer images, or files of features (.npy)")
