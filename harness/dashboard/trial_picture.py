"""One picture a trial: what it was given, what was wanted, and what it generated."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from harness.image_files import ImageError, read_image
from harness.results.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

ENLARGED = 2
"""Screen pixels per pixel of a sample: letters of 32 pixels are small on today's screens."""
GAP = 2
"""Grey pixels between rows, before enlarging."""


def sample_grid(store: Store, trial_id: str) -> bytes | None:
    """Return source, target and generated items of one trial as rows of one PNG file; None without a picture of it.

    Strips are cut in two, one half below the other: the dashboard shows small pictures that are about square.
    """
    from PIL import Image

    if strip(store, trial_id) is None:
        return None
    strips = [found for name in ("source", "target", trial_id) if (found := strip(store, name)) is not None]
    size = strips[-1].height
    width = math.ceil(strips[-1].width / size / 2) * size
    rows = [one.crop((left, 0, left + width, size)) for left in (0, width) for one in strips]
    grid = Image.new("RGB", (width, len(rows) * (size + GAP) - GAP), (128, 128, 128))
    for number, row in enumerate(rows):
        grid.paste(row, (0, number * (size + GAP)))
    buffer = io.BytesIO()
    grid.resize((grid.width * ENLARGED, grid.height * ENLARGED), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def strip(store: Store, name: str) -> Image | None:
    """Return a strip of samples by its name; None where it is missing, or no picture."""
    try:
        return read_image(store.samples / f"{name}.png", channels=3)
    except ImageError:
        return None
