"""A folder for each class: unpaired images whose styles are the classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness.data.dataset import Dataset, Split
from harness.data.dataset_cache import cached, key_of, listing_digest
from harness.data.pictures import folder_of, pictures_below, read_all
from harness.data.pixels import Pixels, fit
from harness.data.split import hold_out
from harness.errors import DataError
from harness.study.data_settings import ClassFolderSettings


def load_classes(settings: ClassFolderSettings, cache: Path | None = None) -> Dataset:
    """Return the pictures of a folder's sub-folders, each of which is a class; classes are in the order of their names.

    Shorter side resized, middle cropped. Files of equal content stay on one side of the split.

    Raises:
        DataError: No such folder, fewer than two classes, one without pictures or without any to train on, or broken
            pictures (all of them are named).
    """
    root = folder_of(settings.path)
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")
    if len(names) < 2:
        raise DataError(f"{settings.path}: {len(names)} sub-folders; data of kind classes has one for each class")
    files = {name: pictures_below(root / name) for name in names}
    if empty := [name for name in names if not files[name]]:
        raise DataError(f"{settings.path}: no pictures in {', '.join(empty)}; remove these folders, or fill them")
    key = key_of(
        kind="classes",
        files=listing_digest([file for name in names for file in files[name]], root),
        settings=settings.model_dump(include={"image_size", "channels", "holdout"}),
    )
    numbered = [(number, file) for number, name in enumerate(names) for file in files[name]]
    return cached(cache, key, lambda: _make(settings, numbered, names))


def _make(settings: ClassFolderSettings, files: Sequence[tuple[int, Path]], names: Sequence[str]) -> Dataset:
    pixels = read_all([file for _, file in files], settings, lambda picture: fit(picture, settings.image_size))
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    style = np.array([number for number, _ in files], dtype=np.int64)
    order = sorted(range(len(files)), key=lambda i: (style[i], digests[i], files[i][1].name))
    held = hold_out(settings.path, digests, [()] * len(files), settings.holdout)
    untrained = [name for i, name in enumerate(names) if held[style == i].all()]
    if untrained:
        raise DataError(f"{settings.path}: no picture of {', '.join(untrained)} is left to train on; add some")
    labels = [f"{names[number]}/{file.name}" for number, file in files]
    train, heldout = (_split(pixels, style, labels, [i for i in order if held[i] == out]) for out in (False, True))
    if len(heldout) < 2:
        raise DataError(f"{settings.path}: {len(files)} pictures leave {len(heldout)} to be held out; 2 are needed")
    counts = f"{len(train)} pictures of {len(names)} classes for training, {len(heldout)} held out."
    return Dataset.of(train, heldout, tuple(names), (counts,))


def _split(pixels: Pixels, style: npt.NDArray[np.int64], labels: Sequence[str], chosen: Sequence[int]) -> Split:
    return Split(
        target=torch.from_numpy(pixels[chosen]),
        source=None,
        style=torch.from_numpy(style[chosen]),
        labels=tuple(labels[i] for i in chosen),
    )
