import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.metrics import Evaluation, measure
from harness.metrics.kid import discrepancy
from harness.metrics.neighbourhoods import expected_coverage, neighbourhoods
from harness.metrics.ssim import ssim_each
from harness.metrics.ssim_ink import ssim_ink_each

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(3, 12)


def images(seed: int, count: int, channels: int = 1, size: int = 12) -> Tensor:
    """Rounded to 8 bits, as all measured images are."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, size=(count, channels, size, size)).astype(np.float32) / 255)


def features(seed: int, count: int, width: int = 4) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, width)))


def values(real: Tensor, fake: Tensor, *names: str) -> list[float]:
    found = measure(names, Evaluation(real=real, fake=fake, paired=True))
    return [float(m.value) for m in found if m.value is not None]


@given(seeds, counts, st.sampled_from([1, 3]))
def test_metrics_of_pairs_do_not_care_which_of_both_is_real(seed: int, count: int, channels: int) -> None:
    a, b = images(seed, count, channels), images(seed + 1, count, channels)
    names = ("ssim", "l1", "rmse", "psnr")
    assert values(a, b, *names) == pytest.approx(values(b, a, *names), rel=1e-12)
    np.testing.assert_allclose(ssim_ink_each(a, b), ssim_ink_each(b, a), rtol=1e-9)


@given(seeds, counts)
def test_metrics_of_pairs_do_not_care_for_the_order_of_the_pairs(seed: int, count: int) -> None:
    a, b = images(seed, count), images(seed + 1, count)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    names = ("ssim", "ssim_ink", "l1", "rmse", "psnr")
    assert values(a, b, *names) == pytest.approx(values(a[order], b[order], *names), rel=1e-12)


@given(seeds, counts)
def test_an_image_is_most_like_itself(seed: int, count: int) -> None:
    a, b = images(seed, count), images(seed + 1, count)
    assert ssim_each(a, a) == pytest.approx(1)
    assert (np.abs(ssim_each(a, b)) <= 1).all()
    assert values(a, a, "l1", "rmse") == [0, 0]


@given(seeds, counts)
def test_rmse_is_never_below_l1_and_psnr_says_the_same_as_rmse(seed: int, count: int) -> None:
    l1, rmse, psnr = values(images(seed, count), images(seed + 1, count), "l1", "rmse", "psnr")
    assert rmse >= l1 * (1 - 1e-12)
    assert psnr == pytest.approx(-20 * np.log10(rmse), rel=1e-9)


@given(seeds, counts, st.integers(1, 254))
def test_adding_a_grey_level_everywhere_costs_exactly_that_in_l1(seed: int, count: int, levels: int) -> None:
    a = images(seed, count) * 0
    assert values(a, a + np.float32(levels / 255), "l1") == [pytest.approx(levels / 255, rel=1e-6)]


@given(seeds, counts, counts)
def test_kernel_distance_is_symmetric_and_does_not_care_for_order(seed: int, n: int, m: int) -> None:
    a, b = features(seed, n), features(seed + 1, m)
    there, back = discrepancy(a, b), discrepancy(b, a)
    assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-12)
    assert there.standard_error == pytest.approx(back.standard_error, rel=1e-6)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    assert discrepancy(a[order], b).value == pytest.approx(there.value, rel=1e-9, abs=1e-12)


@given(seeds, st.integers(6, 20), st.integers(6, 20))
def test_precision_and_recall_change_places_with_the_sets(seed: int, n: int, m: int) -> None:
    a, b = features(seed, n), features(seed + 1, m)
    there, back = neighbourhoods(a, b), neighbourhoods(b, a)
    assert torch.equal((there.inside_real > 0).double(), back.inside_fake)
    assert torch.equal(there.inside_fake, (back.inside_real > 0).double())
    assert bool((there.covered <= 1).all())


@given(seeds, st.integers(6, 20), st.integers(6, 20), st.floats(0.1, 10), st.floats(-5, 5))
def test_neighbourhoods_do_not_change_when_all_is_scaled_and_shifted(
    seed: int, n: int, m: int, by: float, shift: float
) -> None:
    a, b = features(seed, n), features(seed + 1, m)
    plain, moved = neighbourhoods(a, b), neighbourhoods(by * a + shift, by * b + shift)
    assert torch.equal(plain.inside_real, moved.inside_real)
    assert torch.equal(plain.covered, moved.covered)


@given(st.integers(6, 500), st.integers(1, 500), st.integers(1, 5))
def test_expected_coverage_grows_with_generated_images_and_neighbours(n: int, m: int, k: int) -> None:
    assert 0 < expected_coverage(n, m, k) <= expected_coverage(n, m + 1, k) <= 1
    assert expected_coverage(n, m, k) <= expected_coverage(n, m, k + 1)
