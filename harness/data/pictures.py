"""Folders of picture files: found, read into one array, and what is broken said all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.pixels import Pixels, to_pixels
from harness.errors import DataError
from harness.image_files import SUFFIXES, ImageError, read_image
from harness.study.data_settings import ImageSettings
from harness.study_folder import located


def folder_of(path: str) -> Path:
    """Return the folder that `data.path` names.

    Raises:
        DataError: There is none.
    """
    root = located(path)
    if not root.is_dir():
        raise DataError(f"data.path: no folder {path}; give the folder that holds the images")
    return root


def is_picture(name: str) -> bool:
    """Return whether a file is called as a picture is; hidden ones are not."""
    return name[0] != "." and Path(name).suffix.lower() in SUFFIXES


def pictures_below(root: Path) -> list[Path]:
    """Return all pictures in a folder and below, in the order of their paths."""
    return sorted(Path(folder, name) for folder, _, names in os.walk(root) for name in names if is_picture(name))


def read_all(files: Sequence[Path], settings: ImageSettings, shaped: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Return pictures as uint8 (N, C, S, S).

    Args:
        files: One or more.
        settings: Size and channels.
        shaped: Makes a picture of that size of each.

    Raises:
        DataError: Some cannot be read; all of them are named.
    """
    pixels = np.empty((len(files), settings.channels, settings.image_size, settings.image_size), dtype=np.uint8)
    broken: list[str] = []
    for item, path in enumerate(files):
        try:
            pixels[item] = to_pixels(shaped(read_image(path, settings.channels)))
        except ImageError as error:
            broken.append(f"{path} ({error.reason})")
        except DataError as error:
            broken.append(f"{path} ({error})")
    if broken:
        count = f"{len(broken)} picture{'s' if len(broken) > 1 else ''}"
        raise DataError(f"{count} cannot be used: {', '.join(broken)}; mend or remove them")
    return pixels
