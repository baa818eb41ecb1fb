"""Metrics: images to features to statistics to a value; importing the package alone imports no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.metrics.evaluation import Evaluation, content_id, to_unit_range
    from harness.metrics.measuring import measure
    from harness.metrics.value import Measurement

__all__ = ["Evaluation", "Measurement", "content_id", "measure", "to_unit_range"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = {"measure": "measuring", "Measurement": "value"}.get(name, "evaluation")
    return getattr(importlib.import_module(f"harness.metrics.{module}"), name)
