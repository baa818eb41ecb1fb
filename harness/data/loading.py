"""From settings to a data set, by its kind."""

from __future__ import annotations

from pathlib import Path

from harness import plugins as doors
from harness.data.class_folders import load_classes
from harness.data.dataset import Dataset
from harness.data.dataset_check import check_dataset
from harness.data.glyphs import load_glyphs
from harness.data.image_folders import load_faces, load_images
from harness.data.image_pairs import load_pairs
from harness.data.two_kinds import load_side_by_side, load_unpaired
from harness.errors import DataError
from harness.study.data_settings import (
    ClassFolderSettings,
    CustomDataSettings,
    DataSettings,
    FaceSettings,
    GlyphSettings,
    ImageFolderSettings,
    ImagePairSettings,
    SideBySideSettings,
    UnpairedSettings,
)


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
        case ImageFolderSettings():
            return load_images(settings, cache)
        case GlyphSettings():
            whole = load_glyphs(settings, cache)
        case ImagePairSettings():
            whole = load_pairs(settings, cache)
        case ClassFolderSettings():
            whole = load_classes(settings, cache)
        case SideBySideSettings():
            whole = load_side_by_side(settings, cache)
        case UnpairedSettings():
            whole = load_unpaired(settings, cache)
        case FaceSettings():
            whole = load_faces(settings)
        case CustomDataSettings():
            whole = load_custom(settings)
    return whole.limited(settings.limit)


def load_custom(settings: CustomDataSettings) -> Dataset:
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
