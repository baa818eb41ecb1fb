"""Peak signal-to-noise ratio between generated images and their targets."""

from __future__ import annotations

import math

from harness.metrics.rmse import squared_each
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value

ROUNDING = 1 / 255**2 / 12
"""Mean square of what rounding to 8 bits takes away: the least error that 8-bit images can speak of, 58.92 dB."""


def psnr(task: MetricInput) -> Value:
    """Return 10 log10(1 / mean squared difference over all pairs) in decibel, higher is better, at most 58.92.

    Over all pairs at once, so that one perfect pair does not make the mean infinite.
    """
    mean = averaged(squared_each(task.evaluation))
    assert mean.value is not None
    squared = max(mean.value, ROUNDING)
    error = mean.standard_error and 10 / math.log(10) * mean.standard_error / squared
    return Value(value=-10 * math.log10(squared), standard_error=error, evaluation_sd=error)
