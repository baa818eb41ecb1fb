import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.metrics.feature_statistics import FeatureStatistics
from harness.metrics.frechet import extrapolated_floor, first_order_bias, frechet_distance, influences

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(2, 60)
widths = st.integers(1, 40)


def features(seed: int, count: int, width: int) -> Tensor:
    rng = np.random.default_rng(seed)
    spread = rng.exponential(size=width)
    return torch.from_numpy((rng.normal(size=(count, width)) * spread + rng.normal(size=width)).astype(np.float32))


def distance(a: Tensor, b: Tensor) -> float:
    return frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))


def spread(*sets: Tensor) -> float:
    return sum(FeatureStatistics.of(x).trace() for x in sets)


@given(seeds, counts, widths)
def test_distance_to_itself_is_zero(seed: int, count: int, width: int) -> None:
    x = features(seed, count, width)
    assert distance(x, x) <= 1e-12 * spread(x)


@given(seeds, counts, counts, widths)
def test_distance_is_symmetric(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width), features(seed + 1, m, width)
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-9, abs=1e-12 * spread(a, b))


@given(seeds, counts, widths, st.floats(-30, 30))
def test_a_shift_adds_its_squared_length(seed: int, count: int, width: int, shift: float) -> None:
    x = features(seed, count, width).double()
    assert distance(x, x + shift) == pytest.approx(width * shift**2, rel=1e-9, abs=1e-10 * spread(x))


@given(seeds, counts, widths, st.floats(0.1, 5))
def test_scaling_by_a_number_costs_its_squared_gap_to_one_times_the_spread(
    seed: int, count: int, width: int, by: float
) -> None:
    x = features(seed, count, width).double()
    x = x - x.mean(dim=0)
    assert distance(x, by * x) == pytest.approx((by - 1) ** 2 * spread(x), rel=1e-9, abs=1e-11 * spread(x))


@given(seeds, counts, counts, widths)
def test_a_rotation_of_both_changes_nothing(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width).double(), features(seed + 1, m, width).double()
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).normal(size=(width, width)))).Q
    assert distance(a @ turn, b @ turn) == pytest.approx(distance(a, b), rel=1e-9, abs=1e-11 * spread(a, b))


@given(seeds, counts, st.integers(1, 60), widths)
def test_statistics_of_parts_merge_to_those_of_the_whole(seed: int, n: int, m: int, width: int) -> None:
    a, b = features(seed, n, width), features(seed + 1, m, width)
    whole, merged = FeatureStatistics.of(torch.cat([a, b])), FeatureStatistics.of(a).merge(FeatureStatistics.of(b))
    assert merged.count == whole.count
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.root.T @ merged.root, whole.root.T @ whole.root, rtol=1e-9, atol=1e-9)
    assert frechet_distance(merged, whole) <= 1e-11 * whole.trace()


@given(seeds, st.integers(2, 9000), st.integers(1, 3))
def test_statistics_taken_in_by_chunks_are_those_of_numpy(seed: int, count: int, width: int) -> None:
    x = features(seed, count, width)
    statistics = FeatureStatistics.of(x)
    covariance = np.cov(x.double().numpy(), rowvar=False).reshape(width, width)
    np.testing.assert_allclose(statistics.mean, x.double().numpy().mean(axis=0), rtol=1e-10, atol=1e-12)
    found = (statistics.root.T @ statistics.root).numpy() / (count - 1)
    np.testing.assert_allclose(found, covariance, rtol=1e-8, atol=1e-10 * covariance.max())
    assert len(statistics.root) == min(count, width)


@given(seeds, st.integers(2, 30), st.integers(2, 30))
def test_the_distance_of_numbers_is_that_of_their_means_and_deviations(seed: int, n: int, m: int) -> None:
    a, b = features(seed, n, 1).double(), features(seed + 1, m, 1).double()
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert distance(a, b) == pytest.approx(float(expected), rel=1e-9, abs=1e-11 * spread(a, b))


@given(seeds, st.integers(1, 12))
def test_gaussians_with_known_commuting_covariances_have_the_known_distance(seed: int, width: int) -> None:
    """With B = A diag(s), tr(A + B - 2 (A B)^1/2) sums (sqrt a - sqrt b)^2 over the common eigenvectors."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.1, 3, size=(2, width))
    white = torch.linalg.qr(torch.from_numpy(rng.normal(size=(60, width))))[0]
    white = white - white.mean(dim=0)
    white = torch.linalg.qr(white)[0] * math.sqrt(59)
    a, b = (white * torch.from_numpy(s) for s in scales)
    assert distance(a, b) == pytest.approx(float(((scales[0] - scales[1]) ** 2).sum()), rel=1e-9, abs=1e-10)


@given(seeds, st.integers(30, 60), st.integers(1, 8))
def test_with_full_rank_the_distance_is_that_of_scipy(seed: int, count: int, width: int) -> None:
    a, b = features(seed, count, width).double(), features(seed + 1, count, width).double()
    covariances = [np.cov(x.numpy(), rowvar=False).reshape(width, width) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = float((a.mean(dim=0) - b.mean(dim=0)).square().sum()) + np.trace(sum(covariances) - 2 * root)
    assert distance(a, b) == pytest.approx(expected, abs=1e-10 * spread(a, b))


def test_a_collapsed_set_is_at_the_distance_of_its_mean_plus_the_spread_of_the_other() -> None:
    x = features(0, 40, 12).double()
    point = torch.full((7, 12), 2.0, dtype=torch.float64)
    expected = float((x.mean(dim=0) - 2).square().sum()) + spread(x)
    assert distance(x, point) == pytest.approx(expected, rel=1e-12)


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="1 and 5 images, expected at least 2"):
        distance(features(0, 1, 3), features(1, 5, 3))


def test_different_widths_and_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 4 features"):
        distance(features(0, 5, 3), features(1, 5, 4))
    with pytest.raises(ValueError, match="NaN or infinite"):
        FeatureStatistics.of(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        FeatureStatistics.of(torch.zeros(3))


@given(st.integers(1, 30), st.integers(2, 500))
def test_the_bias_of_white_features_is_its_closed_form(width: int, n: int) -> None:
    """With l = 1 the sum over i, j is d (d + 1) / 2, so the bias is (2/n)(d + d (d + 1) / 4) = d (d + 5) / (2 n)."""
    expected = width * (width + 5) / (2 * n)
    assert first_order_bias(torch.ones(width), n, n) == pytest.approx(expected, rel=1e-5)


def test_the_bias_is_what_samples_of_one_gaussian_show() -> None:
    scales = 1 / torch.arange(1, 9, dtype=torch.float64).sqrt()
    draw = torch.Generator().manual_seed(1)

    def sample() -> Tensor:
        return torch.randn(200, 8, generator=draw, dtype=torch.float64) * scales

    seen = np.array([distance(sample(), sample()) for _ in range(400)])
    error = seen.std() / math.sqrt(len(seen))
    assert first_order_bias(scales.square(), 200, 200) == pytest.approx(seen.mean(), abs=4 * error + 0.03 * seen.mean())


@pytest.mark.parametrize(("width", "count"), [(60, 50), (8, 400)])
def test_the_noise_found_from_one_sample_is_that_of_fresh_samples(width: int, count: int) -> None:
    scales = 1 / torch.arange(1, width + 1, dtype=torch.float64)
    draw = torch.Generator().manual_seed(2)

    def sample(shift: float, by: float) -> Tensor:
        return torch.randn(count, width, generator=draw, dtype=torch.float64) * scales * by + shift

    real = FeatureStatistics.of(sample(0, 1))
    fakes = [sample(0.2, 1.4) for _ in range(200)]
    seen = np.std([frechet_distance(real, FeatureStatistics.of(fake)) for fake in fakes], ddof=1)
    told = np.mean([float(influences(real, fake).std()) / math.sqrt(count) for fake in fakes])
    assert told == pytest.approx(seen, rel=0.25)


@pytest.mark.parametrize(("width", "count"), [(128, 100), (16, 200)])
def test_the_floor_continued_from_halves_is_that_of_two_whole_sets(width: int, count: int) -> None:
    scales = 1 / torch.arange(1, width + 1, dtype=torch.float64).sqrt()
    draw = torch.Generator().manual_seed(3)
    sets = [torch.randn(count, width, generator=draw, dtype=torch.float64) * scales for _ in range(40)]
    truth = np.mean([distance(a, b) for a, b in zip(sets[::2], sets[1::2], strict=True)])
    told = []
    for x in sets:
        floor = extrapolated_floor(count, count, count, lambda left, right, x=x: distance(x[left], x[right]), seed=0)
        assert floor is not None
        told.append(floor)
    assert np.mean(told) == pytest.approx(truth, rel=0.25)
