"""Statistics of features for Gaussian distances: count, mean, and a root of the scatter; they add up exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 4096
"""Features that are taken in at a time, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureStatistics:
    """Count, mean and scatter of features, in float64.

    The scatter is kept as a root R with RᵀR = Σ (x - mean)(x - mean)ᵀ. With fewer images than features R is the centred
    features themselves, otherwise a triangle found by QR. A d x d covariance, whose square root would lose half of the
    digits in directions that hold no data, is never formed.
    """

    count: int
    mean: Tensor
    """(d,)"""
    root: Tensor
    """(r, d) with r = min(count, d) or fewer rows."""

    @staticmethod
    def of(features: Tensor) -> FeatureStatistics:
        """Return the statistics of features (N, d).

        Raises:
            ValueError: Not a table of finite numbers with at least one row.
        """
        if features.ndim != 2 or 0 in features.shape:
            raise ValueError(f"features: got shape {tuple(features.shape)}, expected (N, d) with N and d at least 1")
        if not bool(torch.isfinite(features).all()):
            raise ValueError("features: got NaN or infinite values, expected finite ones")
        rows = max(_ROWS, features.shape[1])
        first, *rest = features.split(rows)
        statistics = _centred(first)
        for chunk in rest:
            statistics = statistics.merge(_centred(chunk))
        return statistics

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Return the statistics of both sets of features together (Chan 1979, pairwise update of mean and scatter)."""
        count = self.count + other.count
        gap = other.mean - self.mean
        between = gap * (self.count * other.count / count) ** 0.5
        root = _reduced(torch.cat([self.root, other.root, between[None]]))
        return FeatureStatistics(count=count, mean=self.mean + gap * (other.count / count), root=root)

    def trace(self) -> float:
        """Return the trace of the covariance (ddof = 1)."""
        return float(self.root.square().sum()) / (self.count - 1)

    def spectrum(self) -> Tensor:
        """Return the eigenvalues (r,) of the covariance (ddof = 1) that can differ from 0, largest first."""
        singular: Tensor = torch.linalg.svdvals(self.root)
        return singular.square() / (self.count - 1)


def _centred(features: Tensor) -> FeatureStatistics:
    x = features.to(torch.float64)
    mean = x.mean(dim=0)
    return FeatureStatistics(count=len(x), mean=mean, root=_reduced(x - mean))


def _reduced(root: Tensor) -> Tensor:
    """Return a root of the same scatter with at most d rows."""
    if root.shape[0] <= root.shape[1]:
        return root
    triangle: Tensor = torch.linalg.qr(root, mode="r").R
    return triangle
