"""What a data set must hold to; for a user's own, in their tests as well as when a study loads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from harness.data.dataset import Dataset, Split
from harness.errors import DataError


def check_dataset(
    dataset: Dataset, *, where: str = "data set", image_size: int | None = None, channels: int | None = None
) -> None:
    """Check types, shapes, ranges, hash, and that no held-out item is trained on.

    Args:
        dataset: Any data set.
        where: Opens the message; the door of a user's own.
        image_size: The size that the study asks for, if it must be met.
        channels: The channels that the study asks for, if they must be met.

    Raises:
        DataError: All that is wrong, in one message.

    Example:
        >>> from harness.data import load
        >>> from harness.study.data_settings import FaceSettings
        >>> check_dataset(load(FaceSettings()))
    """
    problems = list(_problems(dataset, image_size, channels))
    if problems:
        lines = "\n  ".join(problems)
        raise DataError(
            f"{where}: {len(problems)} problem{'s' if len(problems) > 1 else ''} in the data set\n  {lines}"
        )


def _problems(dataset: Dataset, image_size: int | None, channels: int | None) -> Iterator[str]:
    split_problems = [*_split_problems("train", dataset.train), *_split_problems("heldout", dataset.heldout)]
    yield from split_problems
    names = dataset.styles
    if not isinstance(names, tuple) or not names or not all(isinstance(name, str) for name in names):
        yield "styles: not a tuple of one text or more; one name for each style"
        return
    if len(set(names)) < len(names):
        yield "styles: a name comes twice; one name for each style"
    if split_problems:
        return
    train, heldout = dataset.train, dataset.heldout
    for name, split in (("train", train), ("heldout", heldout)):
        low, high = int(split.style.min()), int(split.style.max())
        if low < 0 or high >= len(names):
            yield f"{name}.style: {low} to {high}; 0 to {len(names) - 1} for {len(names)} styles"
    if train.target.shape[1:] != heldout.target.shape[1:]:
        yield f"heldout.target: {_shape(heldout.target)} beside train.target {_shape(train.target)}; one size for both"
    if (train.source is None) != (heldout.source is None):
        yield "source: in one split only; pairs in both, or in neither"
        return
    if train.aligned != heldout.aligned:
        yield "aligned: in one split only; sources are their targets' own in both, or in neither"
    if image_size is not None and dataset.image_size != image_size:
        yield f"train.target: {dataset.image_size} px; image_size is {image_size}"
    if channels is not None and dataset.channels != channels:
        yield f"train.target: {dataset.channels} channels; channels is {channels}"
    if dataset.hash != Dataset.of(train, heldout, names).hash:
        yield "hash: not the hash of the content; make the data set with Dataset.of(train, heldout, styles)"
    leaked = len(_items(train) & _items(heldout))
    if leaked:
        yield f"heldout: {leaked} of {len(heldout)} items are in training too; what is measured must not be trained on"


def _split_problems(name: str, split: Split) -> Iterator[str]:
    target, source, style, labels = split.target, split.source, split.style, split.labels
    if not isinstance(target, Tensor) or target.dtype != torch.uint8 or target.device.type != "cpu":
        yield f"{name}.target: {_kind(target)}; a uint8 tensor on the CPU"
        return
    count = target.shape[0] if target.ndim else 0
    if target.ndim != 4 or target.shape[1] not in (1, 3) or target.shape[2] != target.shape[3] or 0 in target.shape:
        yield f"{name}.target: {_shape(target)}; (N, C, S, S) with one item or more, and 1 or 3 channels"
    if source is not None and (not isinstance(source, Tensor) or source.dtype != torch.uint8):
        yield f"{name}.source: {_kind(source)}; a uint8 tensor, or None"
    elif source is not None and source.shape != target.shape:
        yield f"{name}.source: {_shape(source)}; {_shape(target)} as the target"
    if not isinstance(style, Tensor) or style.dtype != torch.int64 or style.shape != (count,):
        yield f"{name}.style: {_kind(style)}; an int64 tensor of {count}"
    if not isinstance(labels, tuple) or len(labels) != count or not all(isinstance(label, str) for label in labels):
        yield f"{name}.labels: not a tuple of {count} texts"


def _items(split: Split) -> set[bytes]:
    sources = [None] * len(split) if split.source is None else split.source
    return {
        hashlib.sha256(target.numpy().tobytes() + (b"" if source is None else source.numpy().tobytes())).digest()
        for target, source in zip(split.target, sources, strict=True)
    }


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {_shape(value)} on {value.device}"
    return f"a {type(value).__name__}"


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
