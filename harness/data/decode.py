"""Pictures from bytes that nobody vouches for: decoded, checked, and brought to one size."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from harness.errors import DataError

Pixels = npt.NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
"""Names of pictures, in lower case: those that torchvision's ImageFolder takes."""

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP")
"""Decoders that may see the bytes; Pillow would otherwise try dozens, one of which starts Ghostscript."""

MAX_PIXELS = 1 << 26
"""Larger pictures are refused before they are decoded (a small file can claim any size)."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
"""Pillow's modes of 8 bits or fewer a channel."""

MALFORMED = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
"""What Pillow raises on files that are no sound pictures."""


def decode(data: bytes, where: str, channels: int) -> Image.Image:
    """Return a picture as grey (1 channel) or RGB (3), 8 bits, transparent parts on white.

    Raises:
        DataError: The bytes are no picture of `FORMATS`, are cut off, claim more than `MAX_PIXELS`, or hold more than
            8 bits a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(data, channels)
    except MALFORMED as error:
        detail = "no picture in a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"{where}: cannot be read as a picture ({detail}); replace or remove it") from error


def _decode(data: bytes, channels: int) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} is more than {MAX_PIXELS} pixels")
    if image.mode not in MODES:
        raise ValueError(f"mode {image.mode} is not 8 bits a channel")
    image.load()
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


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


def listing_digest(files: Iterable[Path], root: Path) -> str:
    """Return the hash of files' names below `root`, sizes and times of change; reads none of them."""
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        status = path.stat()
        digest.update(f"{name}|{status.st_size}|{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
