"""zi2zi's own formats: pictures with the target on the left and the source on the right, in a folder or packed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness.data.dataset import Dataset, Split
from harness.data.dataset_cache import cached, key_of, listing_digest
from harness.data.obj import read_obj
from harness.data.pixels import Pixels, to_pixels
from harness.data.split import hold_out
from harness.errors import DataError
from harness.image_files import SUFFIXES, decode, read_bytes
from harness.study.data_settings import ImagePairSettings
from harness.study_folder import located

NAME = re.compile(r"(\d{1,9})_(\d+)")


@dataclass(frozen=True)
class ImagePair:
    """One picture, cut in two."""

    style: int
    """The label in the file's name, or in its pickle."""
    label: str
    target: Pixels
    source: Pixels

    @property
    def character(self) -> str:
        """The hash of the source half: equal for one character in all styles, since the source font is the same."""
        return hashlib.sha256(self.source.tobytes()).hexdigest()

    @property
    def order(self) -> tuple[str, int, str, str]:
        """A place among the pairs that depends on content only."""
        return self.character, self.style, hashlib.sha256(self.target.tobytes()).hexdigest(), self.label


def load_pairs(settings: ImagePairSettings, cache: Path | None = None) -> Dataset:
    """Return the pairs of a folder, or of `train.obj` with `val.obj` beside it.

    Where `val.obj` exists it is the held-out part, as zi2zi made it; otherwise whole characters (equal source halves)
    are held out by hash.

    Raises:
        DataError: No such path, no pairs in it, a name that is not LABEL_NUMBER, a picture that is broken or not twice
            as wide as high, or an `.obj` file with anything but pairs in it.
    """
    train, val = _files(located(settings.path))
    files = [*train, *val]
    key = key_of(
        kind="pairs",
        files=listing_digest(files, files[0].parent),
        settings=settings.model_dump(include={"image_size", "channels", "holdout"}),
    )
    return cached(cache, key, lambda: _make(settings, train, val))


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the files to train on, and those held out: pictures and nothing, or one `.obj` file and its `val.obj`."""
    if path.is_dir() and not (path / "train.obj").is_file():
        pictures = sorted(
            p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "." and not p.is_dir()
        )
        strangers = [p.name for p in pictures if not NAME.fullmatch(p.stem)]
        if strangers:
            raise DataError(
                f"{path}: {len(strangers)} pictures are not named LABEL_NUMBER, such as 3_00017.png: "
                f"{', '.join(strangers[:5])}; rename or remove them"
            )
        if not pictures:
            raise DataError(f"{path}: no LABEL_NUMBER.jpg or .png in it, and no train.obj; name a folder that has them")
        return pictures, []
    obj = path / "train.obj" if path.is_dir() else path
    if not obj.is_file():
        raise DataError(f"data.path: no file or folder {path}; give a folder of pairs, or zi2zi's train.obj")
    if obj.suffix != ".obj":
        raise DataError(f"{obj}: neither a folder nor an .obj file; give a folder of pairs, or zi2zi's train.obj")
    val = obj.with_name("val.obj")
    return [obj], [val] if obj.name == "train.obj" and val.is_file() else []


def _make(settings: ImagePairSettings, train_files: Sequence[Path], val_files: Sequence[Path]) -> Dataset:
    where = str(Path(settings.path))
    pairs = sorted(_read(train_files, settings), key=lambda pair: pair.order)
    val = sorted(_read(val_files, settings), key=lambda pair: pair.order)
    if val_files and not (pairs and val):
        raise DataError(f"{where}: {'val.obj' if pairs else 'train.obj'} is empty; both need at least one pair")
    if val_files:
        train, heldout = pairs, val
    else:
        characters = [pair.character for pair in pairs]
        held = hold_out(where, characters, [()] * len(pairs), settings.holdout)
        train = [pair for pair, out in zip(pairs, held, strict=True) if not out]
        heldout = [pair for pair, out in zip(pairs, held, strict=True) if out]
    known = {pair.style for pair in train}
    unknown = sorted({pair.style for pair in heldout} - known)
    if unknown:
        raise DataError(
            f"{where}: held-out labels {unknown} have no pair in training; a style is learnt from its pairs"
        )
    styles = sorted(known)
    return Dataset.of(
        _split(train, styles), _split(heldout, styles), tuple(str(style) for style in styles), _notes(train, heldout)
    )


def _notes(train: Sequence[ImagePair], heldout: Sequence[ImagePair]) -> tuple[str, ...]:
    trained = {pair.character for pair in train}
    held = {pair.character for pair in heldout}
    counts = f"{len(train)} pairs of {len(trained)} characters for training, {len(heldout)} of {len(held)} held out."
    both = len(trained & held)
    if not both:
        return (counts,)
    return counts, f"{both} of the {len(held)} held-out characters are trained on in another style (val.obj is so)."


def _read(files: Iterable[Path], settings: ImagePairSettings) -> Iterator[ImagePair]:
    for path in files:
        if path.suffix == ".obj":
            for number, record in enumerate(read_obj(path)):
                where = f"{path}: pair {number} at byte {record.offset}"
                yield _cut(record.picture, where, record.label, f"{record.label}_{number:05d}", settings)
        else:
            style = int(path.stem.partition("_")[0])
            yield _cut(read_bytes(path), str(path), style, path.name, settings)


def _cut(data: bytes, where: str, style: int, label: str, settings: ImagePairSettings) -> ImagePair:
    image = decode(data, where, settings.channels)
    width, height = image.size
    if width != 2 * height:
        raise DataError(
            f"{where}: {width} x {height} is not twice as wide as high; left half target, right half source"
        )
    size = (settings.image_size, settings.image_size)
    target, source = (
        to_pixels(image.crop((left, 0, left + height, height)).resize(size, Image.Resampling.BILINEAR))
        for left in (0, height)
    )
    return ImagePair(style, label, target, source)


def _split(pairs: Sequence[ImagePair], styles: Sequence[int]) -> Split:
    return Split(
        target=torch.from_numpy(np.stack([pair.target for pair in pairs])),
        source=torch.from_numpy(np.stack([pair.source for pair in pairs])),
        style=torch.tensor([styles.index(pair.style) for pair in pairs]),
        labels=tuple(pair.label for pair in pairs),
    )
