"""The images that a command left, measured against the study's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import DataError, HarnessError
from harness.image_files import SUFFIXES
from harness.metrics import Evaluation, measure
from harness.metrics.evaluation import content_id
from harness.metrics.read_images import ReadImages, read_files, read_pictures
from harness.metrics.value import Measurement
from harness.randomness import stream
from harness.study.measure_settings import MeasureSettings

STREAM = "images of a command"
"""Key of the draw of measured items: the same for all arms and blocks of all studies on the same images."""


class NoImages(HarnessError):  # noqa: N818 - an outcome of a trial
    """A command left no images, or none that can be measured."""


@dataclass(frozen=True, eq=False)
class MeasuredImages:
    """What was measured, and of what."""

    measurements: tuple[Measurement, ...]
    generated: Tensor
    """(N, C, H, W) in [0, 1]."""
    real: Tensor
    """(M, C, H, W) in [0, 1]; item by item where they are pairs."""
    paired: bool
    real_hash: str
    """Digest of all real images."""
    items_hash: str
    """Digest of which of them were measured, and of how many generated ones."""


def measure_images(
    pattern: str, real: Path, metrics: Sequence[str], plan: MeasureSettings, *, size: int | None, cache: Path
) -> MeasuredImages:
    """Measure the images that a pattern of files names against those of a folder.

    They are pairs where every generated image has the name of a real one. Of many, all trials measure the same.

    Args:
        pattern: Of generated images, such as ``/…/samples/*.png``; ``**`` is any number of folders.
        real: Folder of real ones.
        metrics: What is measured.
        plan: How many images of each at the most.
        size: Side to which all are resized; None: they have one size.
        cache: Folder of real statistics, by content.

    Raises:
        NoImages: There are none, too few, or they do not fit.
    """
    folder, files = files_of(pattern)
    if not files:
        raise NoImages(f"no images: {pattern} fits none")
    try:
        known, own = read_pictures(real, size), read_files(folder, files, size)
        paired = set(own.names) <= set(known.names)
        if paired:
            known = _some(known, [known.names.index(name) for name in own.names])
        chosen = _drawn(known, plan.images)
        known = _some(known, chosen)
        count = len(chosen) if plan.generated is None else plan.generated
        if plan.generated is not None and len(own.names) < count:
            raise NoImages(f"{pattern}: {len(own.names)} images; measure.generated is {count}")
        own = _some(own, chosen if paired else _drawn(own, count))
        tensors = _tensors(known, own)
        evaluation = Evaluation(
            real=tensors[0], fake=tensors[1], paired=paired, real_id=content_id(tensors[0]), seed=0, cache=cache
        )
        measurements = measure(metrics, evaluation)
    except (DataError, ValueError) as error:
        raise NoImages(str(error)) from None
    items = hashlib.sha256(f"{evaluation.real_id} {known.names if paired else ''} {len(own.names)}".encode())
    return MeasuredImages(measurements, tensors[1], tensors[0], paired, evaluation.real_id, items.hexdigest()[:32])


def files_of(pattern: str) -> tuple[Path, list[Path]]:
    """Return the folder in which a pattern begins, and the images that it names, as paths below it."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if any(sign in part for sign in "*?[")), len(parts))
    folder, rest = Path(*parts[:fixed]), "/".join(parts[fixed:])
    if not rest:
        folder, rest = (folder, "**/*") if folder.is_dir() else (folder.parent, folder.name)
    images = [path for path in folder.glob(rest) if path.suffix.lower() in SUFFIXES and path.is_file()]
    return folder, [path.relative_to(folder) for path in images]


def _drawn(images: ReadImages, most: int) -> list[int]:
    """Return which of some images are measured: all, or as many drawn by their number alone, in order."""
    order = torch.randperm(len(images.names), generator=stream(STREAM, "measure/items"))[:most]
    return sorted(order.tolist())


def _some(images: ReadImages, chosen: Sequence[int]) -> ReadImages:
    return ReadImages(images.folder, tuple(images.names[i] for i in chosen), tuple(images.arrays[i] for i in chosen))


def _tensors(known: ReadImages, own: ReadImages) -> tuple[Tensor, Tensor]:
    sizes = known.sizes() + own.sizes()
    if len(sizes) > 1:
        counts = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(4))
        raise NoImages(f"images of {len(sizes)} sizes ({counts}); trial.size makes them one")
    colour = known.colour() or own.colour()
    return known.tensor(colour=colour), own.tensor(colour=colour)
