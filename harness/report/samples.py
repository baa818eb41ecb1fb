"""The same held-out items side by side: source, target and what each arm made of them, from one block."""

from __future__ import annotations

import base64
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.report.table import short
from harness.verdicts.judge import StudyVerdicts

WIDE = 900
"""Pixels that a strip may take on the page before it is no longer enlarged."""


@dataclass(frozen=True)
class Strip:
    """One row of pictures."""

    label: str
    about: str
    path: Path | None
    """None where there is no picture; `about` says why."""
    width: int
    """On the page, in pixels: a whole multiple of the strip's own."""

    @property
    def uri(self) -> str:
        """The PNG file as a ``data:`` address, so that the page needs no other file; empty where there is none."""
        if self.path is None:
            return ""
        return f"data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}"

    def address(self, folder: Path) -> str:
        """Return the address of the picture seen from a folder; empty where there is none."""
        return "" if self.path is None else Path(os.path.relpath(self.path, folder)).as_posix()


@dataclass(frozen=True)
class Samples:
    """Strips of one block."""

    kind: ClassVar[str] = "samples"
    block: int
    strips: tuple[Strip, ...]

    @property
    def title(self) -> str:
        """The heading."""
        return f"The same held-out items, block {self.block}"


def samples(findings: StudyVerdicts) -> Samples | None:
    """Return strips of the first block that has most arms' pictures; None where there are none."""
    trials, folder = findings.tables.trials, findings.tables.samples
    arms = [arm.name for arm in findings.arms if arm.control is None]
    there = {path.stem for path in folder.glob("*.png")}
    pictured = trials[trials["arm"].isin(arms) & trials["trial_id"].isin(there)]
    if not len(pictured):
        return None
    counts = pictured["block"].value_counts()
    block = int(counts[counts == counts.max()].index.min())
    rows = {str(row["arm"]): row for row in trials[trials["block"] == block].to_dict("records")}
    strips = [
        _strip(name, "", folder / f"{name}.png") for name in ("source", "target") if (folder / f"{name}.png").exists()
    ]
    metric = findings.study.measure.primary
    for arm in arms:
        row = rows.get(arm)
        if row is None:
            continue
        status, value = str(row["status"]), row.get(metric)
        measured = "" if value is None or math.isnan(value) else f"{metric} {short(float(value), 4)}"
        about = ", ".join(part for part in (measured, "" if status == "complete" else status) if part)
        trial_id = row["trial_id"]
        strips.append(_strip(arm, about, folder / f"{trial_id}.png" if trial_id in there else None))
    return Samples(block, tuple(strips))


def _strip(label: str, about: str, path: Path | None) -> Strip:
    from harness.image_files import ImageError, read_image  # its PIL takes time that printing verdicts does not need

    if path is None:
        return Strip(label, about or "no picture", None, 0)
    try:
        width = read_image(path).width
    except ImageError:
        return Strip(label, f"{about}, picture damaged" if about else "picture damaged", None, 0)
    return Strip(label, about, path, width * max(1, WIDE // width))
