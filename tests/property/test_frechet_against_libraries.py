import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from harness.metrics.feature_statistics import FeatureStatistics
from harness.metrics.frechet import frechet_distance

SHAPES = [(30, 40, 8), (200, 150, 64), (300, 100, 256), (40, 300, 256), (64, 64, 512), (2, 2, 16)]


def features(seed: int, count: int, width: int) -> Tensor:
    draw = np.random.default_rng(seed)
    scales = 1 / np.sqrt(np.arange(1, width + 1))
    mixed = draw.normal(size=(count, width)) * scales * (1 + seed % 3 / 4) + 0.1 * (seed % 3)
    return torch.from_numpy(np.maximum(mixed, -0.2).astype(np.float32))


def ours_and_tolerance(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return ours, and 1e-6 of the traces: the other forms lose half of the digits in directions without data."""
    left, right = FeatureStatistics.of(a), FeatureStatistics.of(b)
    return frechet_distance(left, right), 1e-6 * (left.trace() + right.trace())


@pytest.mark.parametrize(("n", "m", "width"), SHAPES)
def test_frechet_distance_is_that_of_scipy(n: int, m: int, width: int) -> None:
    a, b = features(1, n, width), features(2, m, width)
    ours, tolerance = ours_and_tolerance(a, b)
    x, y = a.double().numpy(), b.double().numpy()
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = scipy.linalg.sqrtm(s @ t)
    theirs = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * np.trace(root).real
    assert ours == pytest.approx(theirs, abs=tolerance)


class Given(nn.Module):
    """Passes features on, where torchmetrics would put its network."""

    num_features = 0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(("n", "m", "width"), SHAPES)
def test_frechet_distance_is_that_of_torchmetrics(n: int, m: int, width: int) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = features(1, n, width).double(), features(2, m, width).double()
    theirs = FrechetInceptionDistance(feature=Given(width))
    theirs.set_dtype(torch.float64)
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    ours, tolerance = ours_and_tolerance(a, b)
    assert ours == pytest.approx(float(theirs.compute()), abs=tolerance)


@pytest.mark.parametrize(("n", "m", "width"), SHAPES)
def test_frechet_distance_is_that_of_torch_fidelity(n: int, m: int, width: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = features(1, n, width), features(2, m, width)
    ours, tolerance = ours_and_tolerance(a, b)
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(x.double()) for x in (a, b)), verbose=False)[
        "frechet_inception_distance"
    ]
    assert ours == pytest.approx(theirs, abs=tolerance)


def test_with_fewer_images_than_features_ours_is_the_nearer_to_the_exact_value() -> None:
    """Equal sets are at distance 0 exactly."""
    a = features(3, 40, 128).double()
    ours = frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(a))
    covariance = np.cov(a.numpy(), rowvar=False)
    eigen = (
        2 * np.trace(covariance) - 2 * np.sqrt(np.linalg.eigvals(covariance @ covariance).astype(complex)).real.sum()
    )
    assert ours <= 1e-13 * np.trace(covariance) < 1e-9 * np.trace(covariance) < abs(eigen)
