"""Root mean squared difference between generated images and their targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.metrics.evaluation import Evaluation
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value


def squared_each(evaluation: Evaluation) -> np.ndarray[Any, Any]:
    """Return the mean squared difference (N,) of each pair, on [0, 1]."""
    gap = evaluation.fake.double() - evaluation.real.double()
    squared: np.ndarray[Any, Any] = gap.square().mean(dim=(1, 2, 3)).cpu().numpy()
    return squared


def rmse(task: MetricInput) -> Value:
    """Return the root of the mean squared difference over all pixels of all pairs, on [0, 1], lower is better."""
    mean = averaged(squared_each(task.evaluation))
    assert mean.value is not None
    value = math.sqrt(mean.value)
    error = mean.standard_error / (2 * value) if mean.standard_error and value else mean.standard_error
    return Value(value=value, standard_error=error, evaluation_sd=error)
