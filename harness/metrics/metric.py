"""What a metric says of itself; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.metrics.derived import Derivation

Needs = Literal["sets", "pairs", "train", "characters", "read pairs", "networks", "log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: what its values mean, and where the function that computes them lives."""

    name: str
    """Name of the column; a Fréchet distance always says on which features it is."""
    function: str
    """``package.module:function``, imported only when it is measured."""
    better: Literal["lower", "higher"]
    """Direction of improvement."""
    unit: str
    range: tuple[float, float]
    """Smallest and largest possible value."""
    scale: Literal["raw", "log"] = "raw"
    """Scale on which arms are compared: ``log`` where ratios are meant."""
    needs: Needs = "sets"
    """``sets`` of real and generated images; ``pairs`` of them, item by item; ``train``: the training images as well;
    ``characters``: the wanted character of each image as well; ``read pairs``: both; ``networks``: the trained networks
    themselves, which only a study has; ``log``: the log of a trial that is a command."""
    features: str | None = None
    """Name of the extractor, or ``package.module:function``; None: it works on pixels or brings its own."""
    extra: str | None = None
    """Optional dependencies that it needs: ``pip install 'gan-ablation-harness[<extra>]'``."""
    citation: str
    note: str = ""
    """What a reader of the number has to know."""
    derivation: Derivation | None = None
    """How it follows from stored rows; None: it is computed from images."""
