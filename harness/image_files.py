"""The one place where image files are opened: bytes that nobody vouches for, bounded in kind, size and time."""

from __future__ import annotations

import io
import os
import stat
import struct
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
"""Names of images, in lower case: those that torchvision's ImageFolder takes."""

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP", "GIF")
"""Decoders that may see the bytes; Pillow would otherwise try dozens, one of which starts Ghostscript."""

MAX_PIXELS = 1 << 26
"""Larger images are refused before they are decoded (a small file can claim any size)."""

MAX_BYTES = 1 << 28
"""Larger files are refused before they are read; `MAX_PIXELS` without compression take less."""

SECONDS = 30.0
"""Of the processor; an image that takes longer is given up (a JPEG of 1 MB can hold 10,000 scans of all its pixels)."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
"""Pillow's modes of 8 bits or fewer a channel."""

_CHUNK = 4096
"""Bytes that a decoder gets at a time; the clock is read between two."""

_MALFORMED = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, MemoryError, struct.error,
    zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
"""What Pillow raises on files that are no sound images."""


class ImageError(DataError):
    """A file that is no image, or none that this program reads."""

    def __init__(self, where: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{where}: cannot be read as an image ({reason}); replace or remove it")


class _Clocked(io.BytesIO):
    """Bytes that can be read for `SECONDS` of this thread's processor time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._end = time.thread_time() + SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise TimeoutError(f"decoding takes more than {SECONDS:g} seconds")
        return super().read(size)


def read_image(path: Path, channels: int | None = None) -> Image.Image:
    """Return the image in a file; arguments, result and errors as of `decode`, and of `read_bytes`."""
    return decode(read_bytes(path), str(path), channels)


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file of at most `MAX_BYTES`; pipes and devices are never waited for.

    Raises:
        ImageError: No such file, no right to read it, something else than a regular file, or too large a one.
    """
    try:
        # A pipe without a writer would hold up an ordinary open for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(str(path), "not a regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(str(path), error.strerror or str(error)) from error
    if len(content) > MAX_BYTES:
        raise ImageError(str(path), f"more than {MAX_BYTES} bytes")
    return content


def decode(data: bytes, where: str, channels: int | None = None) -> Image.Image:
    """Return an image as grey (mode L) or RGB, upright as its EXIF data say, transparent parts on white.

    Palettes become colour; 16-bit grey is rounded to 8 bits; of several frames the first counts.

    Args:
        data: The content of a file of one of `FORMATS`.
        where: The file's name, for messages.
        channels: 1 for grey, 3 for RGB; None: as the image is.

    Raises:
        ImageError: The bytes are no image of `FORMATS`, are cut off, claim more than `MAX_PIXELS`, hold values of no
            known range, or take longer than `SECONDS` to decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(data, channels)
    except _MALFORMED as error:
        detail = "no image in a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ImageError(where, detail) from error


def _decode(data: bytes, channels: int | None) -> Image.Image:
    image: Image.Image = Image.open(_Clocked(data), formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} is more than {MAX_PIXELS} pixels")
    grey16 = image.mode.startswith("I;16")
    if image.mode not in MODES and not grey16:
        raise ValueError(f"mode {image.mode} has no known range; save it with 8 bits a channel, or as 16-bit grey")
    image.decodermaxblock = _CHUNK  # type: ignore[attr-defined]
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if grey16:
        image = Image.fromarray(np.round(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La") if channels is None else channels == 1
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("L" if grey else "RGB")
