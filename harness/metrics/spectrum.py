"""What Fourier transforms see: the grid that up-sampling leaves, and how much fine detail there is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.errors import DataError
from harness.metrics.task import MetricInput
from harness.metrics.value import Value

FINE = 0.25
"""Cycles per pixel above which detail counts as fine: half of the Nyquist frequency."""


def power(images: Tensor) -> Tensor:
    """Return the power (N, H, W) of images (N, C, H, W) at each frequency, summed over channels, float64.

    Orthonormal, so that it adds up to the sum of squares (Parseval).
    """
    squared: Tensor = torch.fft.fft2(images.double(), norm="ortho").abs().square()
    return squared.sum(dim=1)


def grid_points(height: int, width: int) -> Tensor:
    """Return where (H, W) patterns of period 2 and 4 pixels lie: multiples of a quarter of the sampling rate, not 0."""
    rows, columns = ((torch.arange(side) * 4 % side == 0) for side in (height, width))
    grid = rows[:, None] & columns[None, :]
    grid[0, 0] = False
    return grid


def fine(height: int, width: int) -> Tensor:
    """Return where (H, W) the frequency is above half of the Nyquist frequency in any direction."""
    rows, columns = torch.fft.fftfreq(height), torch.fft.fftfreq(width)
    return torch.hypot(rows[:, None], columns[None, :]) > FINE


def grid_ratio(error: Tensor) -> tuple[float | None, float | None]:
    """Return the power of errors (N, C, H, W) on the grid over that of white noise as strong, with its standard error.

    1 for white noise; (H W - 1) / 15 at the most, for a pattern of period 2 or 4 and nothing else. The mean of the
    error, at frequency 0, does not count. None without any error.
    """
    height, width = error.shape[-2:]
    grid = grid_points(height, width)
    spectrum = power(error)
    spectrum[:, 0, 0] = 0
    on_grid, whole = spectrum[:, grid].sum(dim=1), spectrum.sum(dim=(1, 2))
    return _ratio(on_grid * (height * width - 1), whole * int(grid.sum()))


def _ratio(above: Tensor, below: Tensor) -> tuple[float | None, float | None]:
    """Return the ratio of two sums (N,) over items, with its standard error to first order."""
    if not float(below.sum()):
        return None, None
    ratio = float(above.sum() / below.sum())
    if len(above) < 2:
        return ratio, None
    pulls = (above - ratio * below) / below.mean()
    return ratio, float(pulls.std() / math.sqrt(len(pulls)))


def checkerboard(task: MetricInput) -> Value:
    """Return the error's power on the grid of patterns of 2 and 4 pixels over that of white noise, lower is better.

    Raises:
        DataError: Images smaller than 8 x 8, whose frequencies are few.
    """
    evaluation = task.evaluation
    height, width = evaluation.real.shape[-2:]
    if min(height, width) < 8:
        raise DataError(f"checkerboard: images of {height} x {width} pixels; at least 8 x 8 are needed")
    ratio, error = grid_ratio(evaluation.fake - evaluation.real)
    return Value(value=ratio, standard_error=error, evaluation_sd=error)


def high_frequency_ratio(task: MetricInput) -> Value:
    """Return the power above half the Nyquist frequency of generated over that of real images: higher is sharper.

    None where the real images have none.
    """
    evaluation = task.evaluation
    where = fine(*evaluation.real.shape[-2:])
    fake, real = (power(images)[:, where].sum(dim=1) for images in (evaluation.fake, evaluation.real))
    if evaluation.paired:
        ratio, error = _ratio(fake, real)
        return Value(value=ratio, floor=1.0, standard_error=error, evaluation_sd=error)
    if not float(real.mean()):
        return Value(value=None)
    spread = float(fake.std() / real.mean() / math.sqrt(len(fake))) if len(fake) > 1 else None
    return Value(value=float(fake.mean() / real.mean()), floor=1.0, evaluation_sd=spread)
