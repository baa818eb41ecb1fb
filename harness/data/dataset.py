"""What every data set becomes: two splits of uint8 images, the styles they come in, and the hash of it all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from harness.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: training or held-out."""

    target: Tensor
    """uint8 (N, C, H, W): the images to learn, 0 black and 255 white."""
    source: Tensor | None
    """uint8 (N, C, H, W): what each target is made from; None for images without pairs."""
    style: Tensor
    """int64 (N,): index into the data set's styles."""
    labels: tuple[str, ...]
    """N texts for people: the character, or the name of the file."""
    aligned: bool = True
    """Each source is its target's own; otherwise both are images of two kinds, in any order."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and held-out images; equal for every arm and block of a study."""

    train: Split
    heldout: Split
    styles: tuple[str, ...]
    """What a style index stands for: a font, or a label of zi2zi's files."""
    hash: str
    """sha256 of pixels, styles, labels and split, as 64 hex digits; knows no path, no machine and no order of files."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what was dropped, and why."""
    whole_hash: str = ""
    """The hash of the whole, where this has a part of its training items; empty where it is whole."""

    @classmethod
    def of(cls, train: Split, heldout: Split, styles: tuple[str, ...], notes: tuple[str, ...] = ()) -> Dataset:
        """Return the data set of two splits, with its hash."""
        return cls(train, heldout, styles, content_hash((("train", train), ("heldout", heldout)), styles), notes)

    @property
    def draws(self) -> str:
        """Key of the streams that choose what is measured: that of the whole, so that it is the same for its parts."""
        return self.whole_hash or self.hash

    def limited(self, items: int | None) -> Dataset:
        """Return the data set with at most so many training items; held-out items are the same.

        Items are taken in the order of the hashes of their sources (of their targets, without sources), so all styles
        of a character come together, and the items of a smaller limit are among those of a larger one.

        Raises:
            DataError: A style is left without a training item.
        """
        if items is None or items >= len(self.train):
            return self
        split = self.train
        keys = [
            (_sha256(target if source is None else source), _sha256(target))
            for target, source in zip(
                split.target, [None] * len(split) if split.source is None else split.source, strict=True
            )
        ]
        chosen = torch.tensor(sorted(sorted(range(len(split)), key=keys.__getitem__)[:items]))
        part = Split(
            split.target[chosen],
            None if split.source is None else split.source[chosen],
            split.style[chosen],
            tuple(split.labels[i] for i in chosen.tolist()),
            split.aligned,
        )
        gone = sorted(set(split.style.tolist()) - set(part.style.tolist()))
        if gone:
            names = ", ".join(self.styles[style] for style in gone)
            raise DataError(f"data.limit: {items} items leave none of {names} to train on; take more")
        note = f"{items} of {len(split)} training items are used (data.limit); what is held out stays."
        limited = Dataset.of(part, self.heldout, self.styles, (*self.notes, note))
        return replace(limited, whole_hash=self.hash)

    def same_heldout(self, other: Dataset) -> bool:
        """Return whether two data sets hold out the same items in the same order."""
        a, b = self.heldout, other.heldout
        return (
            a.labels == b.labels
            and torch.equal(a.target, b.target)
            and torch.equal(a.style, b.style)
            and (a.source is None) == (b.source is None)
            and (a.source is None or b.source is None or torch.equal(a.source, b.source))
        )

    @cached_property
    def heldout_hash(self) -> str:
        """The sha256 of the held-out items alone, as 64 hex digits."""
        return content_hash((("heldout", self.heldout),), self.styles)

    @property
    def paired(self) -> bool:
        """Whether every target has a source of its own."""
        return self.sourced and self.train.aligned

    @property
    def sourced(self) -> bool:
        """Whether there are sources to draw from, of pairs or of another kind of images."""
        return self.train.source is not None

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.train.target.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train.target.shape[2])


def _sha256(image: Tensor) -> bytes:
    return hashlib.sha256(image.contiguous().numpy().data).digest()


def content_hash(splits: Iterable[tuple[str, Split]], styles: tuple[str, ...]) -> str:
    """Return the sha256 of all that training and measuring can see, as 64 hex digits."""
    digest = hashlib.sha256()
    for name, split in splits:
        tensors = {"target": split.target, "source": split.source, "style": split.style}
        shapes = {key: None if tensor is None else list(tensor.shape) for key, tensor in tensors.items()}
        apart = [] if split.aligned else ["unaligned"]
        digest.update(json.dumps([name, styles, split.labels, shapes, *apart]).encode())
        for tensor in tensors.values():
            if tensor is not None:
                digest.update(tensor.contiguous().cpu().numpy().data)
    return digest.hexdigest()


def to_range(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [-1, 1]: the range that networks work on."""
    return images.float().div_(127.5).sub_(1.0)


def stack_styles(counts: int, styles: int) -> Tensor:
    """Return int64 (counts * styles,): 0, 1, …, styles - 1 for each of `counts` items in turn."""
    return torch.arange(styles).repeat(counts)
