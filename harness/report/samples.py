"""The same held-out items side by side: source, target and what each arm made of them.

All shown items of one block as they come, and of several blocks the ones that the arms drew best, median and worst.
"""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harness.report.table import short
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BLOCKS = 3
"""Blocks of which three items each are shown: every one of them is a fifth of a page on a phone."""
LINE = 450
"""Pixels that half a strip may take on the page before it is no longer enlarged."""
CELL = 64
"""Pixels of an item on a sheet of three, where the item itself is not larger."""


@dataclass(frozen=True)
class Strip:
    """One row of pictures."""

    label: str
    about: str
    path: Path | None
    """None where there is no picture; `about` says why."""
    width: int
    height: int
    """Of the picture, in its own pixels."""
    uri: str
    """The picture as a ``data:`` address, so that the page needs no other file; empty where there is none."""

    @property
    def shown(self) -> int:
        """The width of half of it on the page, in pixels: a whole multiple of its own."""
        half = self.width // 2
        return half * max(1, LINE // max(half, 1))

    def address(self, folder: Path) -> str:
        """Return the address of the picture seen from a folder; empty where there is none."""
        return "" if self.path is None else Path(os.path.relpath(self.path, folder)).as_posix()


@dataclass(frozen=True)
class Sheet:
    """Of one block the items that the arms together drew best, median and worst: a row an arm, a column an item."""

    block: int
    rows: tuple[str, ...]
    items: tuple[int, ...]
    """Their places on the strips, from 1."""
    errors: tuple[float, ...]
    """Mean over arms of the mean absolute difference to the target, on [0, 1]."""
    uri: str
    cell: int
    """Side of an item on the page, in pixels."""

    @property
    def alternative(self) -> str:
        """What it shows, for those who do not see it."""
        return f"Items {', '.join(map(str, self.items))} of block {self.block}, drawn by {', '.join(self.rows)}"


@dataclass(frozen=True)
class Samples:
    """Strips of one block, and sheets of several."""

    kind: ClassVar[str] = "samples"
    block: int
    when: str
    strips: tuple[Strip, ...]
    sheets: tuple[Sheet, ...]

    @property
    def title(self) -> str:
        """The heading."""
        return f"The same held-out items, block {self.block}"


def samples(findings: StudyVerdicts) -> Samples | None:
    """Return strips of the first block that has most arms' pictures, and sheets of some; None without pictures."""
    trials, folder = findings.tables.trials, findings.tables.samples
    arms = [arm.name for arm in findings.arms if arm.control is None]
    there = {path.stem for path in folder.glob("*.png")}
    pictured = trials[trials["arm"].isin(arms) & trials["trial_id"].isin(there)]
    if not len(pictured):
        return None
    counts = pictured["block"].value_counts()
    fullest = sorted(int(block) for block in counts[counts == counts.max()].index)
    given = [_strip(name, "", folder / f"{name}.png") for name in ("source", "target") if name in there]
    by_arm = {str(row["arm"]): row for row in trials[trials["block"] == fullest[0]].to_dict("records")}
    drawn = [_of_trial(findings, by_arm[arm], there) for arm in arms if arm in by_arm]
    evenly = np.unique(np.linspace(0, len(fullest) - 1, min(MOST_BLOCKS, len(fullest))).round().astype(int))
    sheets = [_sheet(findings, arms, fullest[place], there) for place in evenly]
    return Samples(
        fullest[0],
        findings.study.when,
        (*given, *drawn),
        tuple(sheet for sheet in sheets if sheet is not None),
    )


def _of_trial(findings: StudyVerdicts, row: Mapping[Any, Any], there: set[str]) -> Strip:
    metric = findings.study.measure.primary
    status, value = str(row["status"]), row.get(metric)
    measured = "" if value is None or math.isnan(value) else f"{metric} {short(float(value), 4)}"
    about = ", ".join(part for part in (measured, "" if status == "complete" else status) if part)
    trial_id = row["trial_id"]
    return _strip(str(row["arm"]), about, findings.tables.samples / f"{trial_id}.png" if trial_id in there else None)


def _strip(label: str, about: str, path: Path | None) -> Strip:
    pixels = None if path is None else _pixels(path)
    if pixels is None:
        missing = "no picture" if path is None else "picture damaged"
        said = f"{about}, {missing}" if about and path is not None else about or missing
        return Strip(label, said, None, 0, 0, "")
    return Strip(label, about, path, pixels.shape[1], pixels.shape[0], _uri(pixels))


def _pixels(path: Path) -> NDArray[np.uint8] | None:
    """Return a picture as (H, W) or (H, W, 3); None where it is damaged."""
    from harness.image_files import ImageError, read_image  # its PIL takes time that printing verdicts does not need

    try:
        image = read_image(path)
    except ImageError:
        return None
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def _uri(pixels: NDArray[np.uint8]) -> str:
    """Return pixels as a ``data:`` address, without loss."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _sheet(findings: StudyVerdicts, arms: Sequence[str], block: int, there: set[str]) -> Sheet | None:
    """Return the sheet of one block; None where items have no target of their own, or pictures do not fit together."""
    trials, folder = findings.tables.trials, findings.tables.samples
    if not {"source", "target"} <= there:
        return None
    of_block = trials[(trials["block"] == block) & trials["arm"].isin(arms) & trials["trial_id"].isin(there)]
    ids = dict(zip(of_block["arm"], of_block["trial_id"], strict=True))
    names = {"source": "source", "target": "target", **{arm: str(ids[arm]) for arm in arms if arm in ids}}
    rows = {label: pixels for label, name in names.items() if (pixels := _pixels(folder / f"{name}.png")) is not None}
    shapes = {pixels.shape for pixels in rows.values()}
    drawn = [pixels for label, pixels in rows.items() if label in ids]
    if not drawn or "target" not in rows or len(shapes) != 1:
        return None
    size = rows["target"].shape[0]
    count = rows["target"].shape[1] // size
    if count < 3:
        return None
    far = [np.abs(pixels.astype(float) - rows["target"].astype(float)) / 255 for pixels in drawn]
    errors = np.mean([[item.mean() for item in np.split(f[:, : count * size], count, axis=1)] for f in far], axis=0)
    order = np.argsort(errors, kind="stable")
    chosen = [int(order[0]), int(order[(count - 1) // 2]), int(order[-1])]
    sheet = np.concatenate(
        [np.concatenate([p[:, i * size : (i + 1) * size] for i in chosen], axis=1) for p in rows.values()]
    )
    return Sheet(
        block,
        tuple(rows),
        tuple(i + 1 for i in chosen),
        tuple(float(errors[i]) for i in chosen),
        _uri(sheet),
        max(CELL, min(size, 96)),
    )
