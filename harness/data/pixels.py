"""From images to arrays of one size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def to_pixels(image: Image.Image) -> Pixels:
    """Return uint8 (C, H, W) of a grey or RGB picture."""
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def fit(image: Image.Image, size: int) -> Image.Image:
    """Return the middle square of a picture, `size` x `size`: shorter side resized to `size`, then cropped.

    Antialiased and rounded as torchvision's Resize and CenterCrop do, which post 004 uses.
    """
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    wide, high = (size, other) if width <= height else (other, size)
    resized = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return resized.crop((left, top, left + size, top + size))
