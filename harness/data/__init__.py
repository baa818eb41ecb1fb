"""Data sets: glyph pairs from fonts, zi2zi's own files, image folders, faces, and a user's own."""

from __future__ import annotations

from pathlib import Path

from harness import doors
from harness.data.augmentation import augment
from harness.data.contract import check_dataset
from harness.data.dataset import Dataset, Split
from harness.data.glyphs import load_glyphs
from harness.data.images import load_faces, load_images
from harness.data.pairs import load_pairs
from harness.errors import DataError
from harness.settings import CustomData, DataSettings, Faces, Glyphs, Images, Pairs

__all__ = ["Dataset", "Split", "augment", "check_dataset", "load"]


def load(settings: DataSettings, cache: Path | None = None) -> Dataset:
    """Return the data set that a study's settings describe.

    Args:
        settings: The `data` group of a study.
        cache: A folder for decoded images; it can be deleted at any time. None keeps nothing. Faces and a user's own
            data are never kept.

    Raises:
        HarnessError: Something in the settings, fonts, files or folders is missing, broken or too little.
    """
    match settings:
        case Glyphs():
            return load_glyphs(settings, cache)
        case Pairs():
            return load_pairs(settings, cache)
        case Images():
            return load_images(settings, cache)
        case Faces():
            return load_faces(settings)
        case CustomData():
            return load_custom(settings)


def load_custom(settings: CustomData) -> Dataset:
    """Return what a user's own function returns, checked.

    The function is called with the study's `options`, and with `image_size`, `channels` and `holdout`, all by keyword.

    Raises:
        HarnessError: No such function, it returned something else, or the data set breaks `check_dataset`.
    """
    common = {"image_size": settings.image_size, "channels": settings.channels, "holdout": settings.holdout}
    taken = sorted(common.keys() & settings.options.keys())
    if taken:
        raise DataError(f"data.options: {', '.join(taken)} set here; they are fields of data itself")
    dataset = doors.call(settings.kind, Dataset, **settings.options, **common)
    check_dataset(dataset, where=settings.kind, image_size=settings.image_size, channels=settings.channels)
    return dataset
