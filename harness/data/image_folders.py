"""Images without pairs: a tree of image files, and the faces that scikit-image ships."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness.data.dataset import Dataset, Split
from harness.data.dataset_cache import cached, key_of, listing_digest
from harness.data.pictures import folder_of, pictures_below
from harness.data.pixels import Pixels, fit, to_pixels
from harness.data.split import hold_out
from harness.errors import DataError, MissingExtraError
from harness.image_files import SUFFIXES, decode, read_bytes
from harness.study.data_settings import FaceSettings, ImageFolderSettings

FACES = 100
"""The first images of `lfw_subset` are faces, the other 100 are not (its docstring)."""


def load_images(settings: ImageFolderSettings, cache: Path | None = None) -> Dataset:
    """Return the pictures below a folder: CelebA's `img_align_celeba`, or any tree that ImageFolder reads.

    Shorter side resized, middle cropped. In the order of the hashes of the files, in which `limit` takes the first;
    files of equal content stay on one side of the split. Sub-folders are not told apart.

    Raises:
        DataError: No such folder, fewer than two pictures, or broken ones (all of them are named).
    """
    root = folder_of(settings.path)
    files = pictures_below(root)
    if not files:
        raise DataError(f"{settings.path}: no pictures in it or below; looked for {', '.join(sorted(SUFFIXES))}")
    key = key_of(
        kind="images",
        files=listing_digest(files, root),
        settings=settings.model_dump(include={"image_size", "channels", "holdout", "limit"}),
    )
    return cached(cache, key, lambda: _make(settings, files))


def _make(settings: ImageFolderSettings, files: Sequence[Path]) -> Dataset:
    order = sorted((hashlib.sha256(read_bytes(path)).hexdigest(), path.name, path) for path in files)[: settings.limit]
    shape = (len(order), settings.channels, settings.image_size, settings.image_size)
    pixels = np.empty(shape, dtype=np.uint8)
    broken: list[str] = []
    for item, (_, _, path) in enumerate(order):
        try:
            picture = decode(read_bytes(path), path.name, settings.channels)
            pixels[item] = to_pixels(fit(picture, settings.image_size))
        except DataError:
            broken.append(str(path))
    if broken:
        raise DataError(f"{settings.path}: {_count(len(broken))} cannot be read: {', '.join(broken)}; remove them")
    digests = [digest for digest, _, _ in order]
    copies = len(digests) - len(set(digests))
    notes = (f"{_count(copies)} are copies of others and stay on their side of the split.",) if copies else ()
    return _unpaired(settings.path, pixels, digests, [name for _, name, _ in order], settings.holdout, "images", notes)


def _count(number: int) -> str:
    return f"{number} picture{'s' if number != 1 else ''}"


def load_faces(settings: FaceSettings) -> Dataset:
    """Return the 100 faces of scikit-image's `lfw_subset`, 25 x 25 grey, resized: real faces with no download.

    Too few for a Fréchet distance worth quoting; enough to see a DCGAN learn.

    Raises:
        MissingExtraError: This scikit-image does not ship them and cannot fetch them.
    """
    from skimage.data import lfw_subset

    try:
        faces = lfw_subset()[:FACES]
    except (OSError, ModuleNotFoundError) as error:
        raise MissingExtraError(f"data.kind: faces: scikit-image has no lfw_subset here ({error})") from error
    originals = [np.rint(face * 255).astype(np.uint8) for face in faces]
    grey = np.stack([to_pixels(fit(Image.fromarray(face), settings.image_size)) for face in originals])
    pixels = np.repeat(grey, settings.channels, axis=1)
    keys = [hashlib.sha256(face.tobytes()).hexdigest() for face in originals]
    labels = [f"face {number}" for number in range(len(keys))]
    return _unpaired("data.kind: faces", pixels, keys, labels, settings.holdout, "faces", ())


def _unpaired(
    where: str,
    pixels: Pixels,
    keys: Sequence[str],
    labels: Sequence[str],
    holdout: float,
    style: str,
    notes: tuple[str, ...],
) -> Dataset:
    held = hold_out(where, keys, [()] * len(keys), holdout) if len(keys) > 2 else np.zeros(len(keys), dtype=bool)
    if held.sum() < 2:
        raise DataError(
            f"{where}: {_count(len(keys))} leave {int(held.sum())} to be held out, and distances between sets "
            "of images need 2 or more; add pictures, or raise data.holdout"
        )
    train, heldout = (
        Split(
            target=torch.from_numpy(pixels[mask]),
            source=None,
            style=torch.zeros(int(mask.sum()), dtype=torch.int64),
            labels=tuple(label for label, chosen in zip(labels, mask, strict=True) if chosen),
        )
        for mask in (~held, held)
    )
    counts = f"{_count(len(train))} for training, {len(heldout)} held out."
    return Dataset.of(train, heldout, (style,), (counts, *notes))
