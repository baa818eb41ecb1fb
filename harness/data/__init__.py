"""Data sets: glyph pairs from fonts, zi2zi's own files, image folders, faces, and a user's own."""

from __future__ import annotations

from pathlib import Path

from harness.data.augmentation import augment
from harness.data.dataset import Dataset, Split
from harness.data.glyphs import load_glyphs
from harness.errors import DataError
from harness.settings import DataSettings, Glyphs

__all__ = ["Dataset", "Split", "augment", "load"]


def load(settings: DataSettings, cache: Path | None = None) -> Dataset:
    """Return the data set that a study's settings describe.

    Args:
        settings: The `data` group of a study.
        cache: A folder for decoded images, addressed by content; it can be deleted at any time. None keeps nothing.

    Raises:
        HarnessError: Something in the settings, fonts, files or folders is missing, broken or too little.
    """
    if isinstance(settings, Glyphs):
        return load_glyphs(settings, cache)
    raise DataError(f"data.kind: no '{settings.kind}'")
