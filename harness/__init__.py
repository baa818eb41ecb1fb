"""Matched-pair ablations of image GANs: does this design choice help, hurt, or make no difference?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.provenance import VERSION

if TYPE_CHECKING:
    from harness.results.store import Tables

__version__ = VERSION


def load(folder: str | Path) -> Tables:
    """Return the tables of a study as pandas frames.

    Args:
        folder: A study's results, e.g. ``results/quickstart`` or ``s3://bucket/results/quickstart``.

    Example:
        >>> import harness
        >>> tables = harness.load("results/quickstart")  # doctest: +SKIP
        >>> tables.trials.groupby("arm").fid_efficientnet.mean()  # doctest: +SKIP
    """
    from harness.results.store import Store

    return Store.at(folder).fetched().tables()
