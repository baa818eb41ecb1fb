"""Pictures of two kinds, A and B: pix2pix's, each A with its own B, and CycleGAN's, where none belongs to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness.data.dataset import Dataset, Split
from harness.data.dataset_cache import cached, key_of, listing_digest
from harness.data.dataset_check import check_dataset
from harness.data.pictures import folder_of, pictures_below, read_all
from harness.data.pixels import Pixels, fit
from harness.data.split import hold_out
from harness.errors import DataError
from harness.study.data_settings import SideBySideSettings, UnpairedSettings

HELD_OUT = ("test", "val")
"""Folders whose pictures are held out, the first that is there; without any they are chosen by hash."""
NAMED = {"image_size", "channels", "holdout", "direction"}
"""Settings that touch pixels or split."""


def load_side_by_side(settings: SideBySideSettings, cache: Path | None = None) -> Dataset:
    """Return pix2pix's pairs: A on the left and B on the right of one picture; or folders A and B, by equal names.

    Halves are resized to a square whatever their sides are, as pix2pix does (Isola 2017, arXiv:1611.07004). Pictures
    in a folder `test`, or else `val`, are held out; without one, equal sources together are, by hash.

    Raises:
        DataError: No such folder, no pictures, a name that A or B alone has, an odd width, or broken pictures.
    """
    root = folder_of(settings.path)
    files = pictures_below(root)
    key = key_of(kind="pix2pix", files=listing_digest(files, root), settings=settings.model_dump(include=NAMED))
    return cached(cache, key, lambda: _side_by_side(settings, root))


def _side_by_side(settings: SideBySideSettings, root: Path) -> Dataset:
    apart = all((root / kind).is_dir() for kind in "AB")
    train, held = _parts(root / "A" if apart else root)
    sides = _both_folders(root, [*train, *held]) if apart else ([*train, *held],) * 2
    if not sides[0]:
        raise DataError(f"{settings.path}: no pictures in it or below; see the layouts of kind pix2pix in docs/data.md")
    size = (settings.image_size, settings.image_size)

    def side(right: bool) -> Pixels:
        def shaped(image: Image.Image) -> Image.Image:
            half = image if apart else _half(image, right)
            return half.resize(size, Image.Resampling.BILINEAR)

        return read_all(sides[right], settings, shaped)

    a, b = side(False), side(True)
    source, target = (a, b) if settings.direction == "AtoB" else (b, a)
    labels = [file.name for file in sides[0]]
    digests = _digests(source)
    if held:
        out = np.arange(len(labels)) >= len(train)
    else:
        out = hold_out(
            settings.path,
            [x + y for x, y in zip(digests, _digests(target), strict=True)],
            [[d] for d in digests],
            settings.holdout,
        )
    order = sorted(range(len(labels)), key=lambda i: (digests[i], labels[i]))
    splits = [_split(source, target, labels, [i for i in order if out[i] == wanted]) for wanted in (False, True)]
    return _made(
        settings.path,
        splits,
        settings.direction[-1],
        f"{len(splits[0])} pairs for training, {len(splits[1])} held out.",
    )


def _half(image: Image.Image, right: bool) -> Image.Image:
    width, height = image.size
    if width % 2:
        raise DataError(f"{width} x {height} has no two equal halves")
    return image.crop((width // 2 * right, 0, width // 2 * (right + 1), height))


def _both_folders(root: Path, files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the pictures of A, and those of B with the same names, whatever kind of file they are."""

    def named(kind: str) -> dict[str, Path]:
        return {p.relative_to(root / kind).with_suffix("").as_posix(): p for p in pictures_below(root / kind)}

    a, b = named("A"), named("B")
    if alone := sorted(a.keys() ^ b.keys()):
        raise DataError(
            f"{root}: {len(alone)} names are in A or in B alone, such as {', '.join(alone[:5])}; "
            "a pair has one name in both"
        )
    names = [file.relative_to(root / "A").with_suffix("").as_posix() for file in files]
    return [a[name] for name in names], [b[name] for name in names]


def _parts(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the pictures to train on, and those that a folder of their own holds out."""
    held = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    if held is None:
        return pictures_below(folder / "train" if (folder / "train").is_dir() else folder), []
    apart = {folder / name for name in HELD_OUT}
    train = [file for file in pictures_below(folder) if not apart & set(file.parents)]
    return train, pictures_below(held)


def load_unpaired(settings: UnpairedSettings, cache: Path | None = None) -> Dataset:
    """Return CycleGAN's two kinds of pictures (Zhu 2017, arXiv:1703.10593), of which none is another's source.

    Shorter side resized, middle cropped. `testA` and `testB` are held out; without them, of each kind by hash. An epoch
    has as many items as the larger kind has pictures; the smaller one's come again in turn. As many of each are held
    out. A training draws both in orders of their own.

    Raises:
        DataError: No such folders, too few pictures, or broken ones.
    """
    root = folder_of(settings.path)
    names = ("trainA", "trainB") if (root / "trainA").is_dir() else ("A", "B")
    folders = [root / name for name in names]
    if missing := [folder.name for folder in folders if not folder.is_dir()]:
        raise DataError(f"{settings.path}: no folder {' or '.join(missing)}; trainA and trainB, or A and B, are needed")
    tests = [root / name for name in ("testA", "testB")] if all((root / f"test{x}").is_dir() for x in "AB") else []
    files = [file for folder in (*folders, *tests) for file in pictures_below(folder)]
    key = key_of(kind="unpaired", files=listing_digest(files, root), settings=settings.model_dump(include=NAMED))
    return cached(cache, key, lambda: _unpaired(settings, folders, tests))


def _unpaired(settings: UnpairedSettings, folders: Sequence[Path], tests: Sequence[Path]) -> Dataset:
    kinds = [_kind(settings, folder, tests[i] if tests else None) for i, folder in enumerate(folders)]
    (source_train, source_held), (target_train, target_held) = kinds if settings.direction == "AtoB" else kinds[::-1]
    most, least = max(len(source_train), len(target_train)), min(len(source_held), len(target_held))
    splits = [
        _zipped(source_train, target_train, most),
        _zipped(source_held, target_held, least),
    ]
    note = f"{len(source_train)} sources and {len(target_train)} targets to train on; {least} of each held out."
    return _made(settings.path, splits, settings.direction[-1], note)


def _kind(settings: UnpairedSettings, folder: Path, test: Path | None) -> tuple[list[Named], list[Named]]:
    """Return the pictures of one kind to train on, and those held out, each in the order of their hashes."""
    train = _read(settings, folder)
    keys = [digest for digest, _, _ in train]
    if test is not None:
        held = _read(settings, test)
        if known := [name for digest, name, _ in held if digest in keys]:
            raise DataError(f"{test}: {len(known)} pictures are in {folder.name} too, such as {known[0]}; remove them")
        return train, held
    out = hold_out(str(folder), keys, [()] * len(keys), settings.holdout)
    return [x for x, held in zip(train, out, strict=True) if not held], [
        x for x, held in zip(train, out, strict=True) if held
    ]


Named = tuple[str, str, Pixels]
"""A picture's hash, the name of its file, and its pixels."""


def _read(settings: UnpairedSettings, folder: Path) -> list[Named]:
    files = pictures_below(folder)
    if not files:
        raise DataError(f"{folder}: no pictures in it or below")
    pixels = read_all(files, settings, lambda image: fit(image, settings.image_size))
    named = zip(_digests(pixels), (file.name for file in files), pixels, strict=True)
    return sorted(named, key=lambda each: each[:2])


def _zipped(sources: Sequence[Named], targets: Sequence[Named], count: int) -> Split:
    """Return so many items; the fewer pictures come again in turn."""
    source, target = ([kind[i % len(kind)] for i in range(count)] for kind in (sources, targets))
    return Split(
        target=torch.from_numpy(np.stack([pixels for _, _, pixels in target])),
        source=torch.from_numpy(np.stack([pixels for _, _, pixels in source])),
        style=torch.zeros(count, dtype=torch.int64),
        labels=tuple(name for _, name, _ in source),
        aligned=False,
    )


def _split(source: Pixels, target: Pixels, labels: Sequence[str], chosen: Sequence[int]) -> Split:
    return Split(
        target=torch.from_numpy(target[chosen]),
        source=torch.from_numpy(source[chosen]),
        style=torch.zeros(len(chosen), dtype=torch.int64),
        labels=tuple(labels[i] for i in chosen),
    )


def _made(where: str, splits: Sequence[Split], style: str, note: str) -> Dataset:
    train, heldout = splits
    if len(train) == 0 or len(heldout) < 2:
        raise DataError(f"{where}: {len(train)} items to train on, {len(heldout)} held out; 1 and 2 are the fewest")
    dataset = Dataset.of(train, heldout, (style,), (note,))
    check_dataset(dataset, where=where)
    return dataset


def _digests(pixels: Iterable[Pixels]) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
