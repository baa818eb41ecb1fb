import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.metrics.inception_score import scores
from harness.metrics.kid import discrepancy, in_blocks
from harness.metrics.nearest_neighbour import nearest
from harness.metrics.neighbourhoods import expected_coverage, neighbourhoods


def normal(seed: int, count: int, width: int, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, size=(count, width)).astype(np.float32))


class Given(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_kernel_distance_is_that_of_torchmetrics_on_one_subset_of_everything() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = normal(1, 60, 24).double(), normal(2, 60, 24, 0.3).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = KernelInceptionDistance(feature=Given(24), subsets=1, subset_size=60)
    theirs.set_dtype(torch.float64)
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    assert discrepancy(a, b).value == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


def test_kernel_distance_is_that_of_torch_fidelity_on_one_subset_of_everything() -> None:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    a, b = normal(1, 60, 24).double(), normal(2, 60, 24, 0.3).double()
    theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=60, rng_seed=0, verbose=False)
    assert discrepancy(a, b).value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_kernel_distance_of_numbers_is_its_definition() -> None:
    a, b = [0.0, 1.0, 3.0], [2.0, -1.0]

    def kernel(x: float, y: float) -> float:
        return (x * y + 1) ** 3

    real = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    fake = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    across = np.mean([kernel(x, y) for x in a for y in b])
    found = discrepancy(torch.tensor(a)[:, None], torch.tensor(b)[:, None])
    assert found.value == pytest.approx(real + fake - 2 * across, rel=1e-12)


def test_kernel_distance_is_unbiased_and_its_errors_are_on_the_safe_side_for_equal_distributions() -> None:
    found = [discrepancy(normal(2 * i, 40, 6), normal(2 * i + 1, 30, 6)) for i in range(400)]
    values = np.array([x.value for x in found])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    told = math.sqrt(np.mean([x.standard_error**2 for x in found if x.standard_error is not None]))
    assert values.std() <= told <= 2 * values.std()


def test_the_error_over_fresh_generated_images_alone_is_that_of_fresh_generated_images() -> None:
    real = normal(0, 40, 6)
    found = [discrepancy(real, normal(i, 40, 6, 0.8)) for i in range(1, 300)]
    told = np.mean([x.fake_sd for x in found if x.fake_sd is not None])
    assert told == pytest.approx(np.std([x.value for x in found]), rel=0.2)


def test_pairs_share_their_noise_in_the_kernel_distance() -> None:
    real = normal(0, 200, 6)
    fake = real + 0.5 + 0.01 * normal(1, 200, 6)
    together, apart = discrepancy(real, fake, paired=True), discrepancy(real, fake)
    assert together.value == apart.value
    seen = []
    for i in range(200):
        fresh = normal(i + 2, 200, 6)
        seen.append(discrepancy(fresh, fresh + 0.5 + 0.01 * normal(i + 900, 200, 6)).value)
    assert together.standard_error == pytest.approx(np.std(seen), rel=0.3)


def test_kernel_distance_of_large_sets_by_blocks_stays_near_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.metrics.kid.WHOLE", 500)
    a, b = normal(1, 1300, 4), normal(2, 1500, 4, 0.6)
    blocks, whole = in_blocks(a, b, seed=0), discrepancy(a, b)
    assert blocks.standard_error is not None
    assert blocks.value == pytest.approx(whole.value, rel=0.1)
    assert blocks == in_blocks(a, b, seed=0)


def test_kernel_distance_refuses_single_images() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        discrepancy(normal(0, 1, 3), normal(1, 5, 3))


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import (
        KEY_METRIC_PRECISION,
        KEY_METRIC_RECALL,
        prc_features_to_metric,
    )

    a, b = normal(1, 80, 6).double(), normal(2, 70, 6, 0.7).double()
    theirs = prc_features_to_metric(b, a, prc_neighborhood=3, prc_batch_size=1000, verbose=False)
    found = neighbourhoods(a, b, neighbours=3)
    assert float((found.inside_real > 0).double().mean()) == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-7)
    assert float(found.inside_fake.mean()) == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-7)
    assert theirs[KEY_METRIC_PRECISION] != theirs[KEY_METRIC_RECALL]


def test_neighbourhoods_are_those_of_a_plain_loop() -> None:
    real, fake = normal(3, 30, 2).double(), normal(4, 25, 2, 1.0).double()
    k = 5

    def radius(points: Tensor, i: int) -> float:
        return sorted((points - points[i]).norm(dim=1).tolist())[k]

    inside = [[float((x - y).norm()) <= radius(real, i) for y in fake] for i, x in enumerate(real)]
    back = [[float((x - y).norm()) <= radius(fake, j) for j, y in enumerate(fake)] for x in real]
    found = neighbourhoods(real, fake, k)
    np.testing.assert_array_equal(found.inside_real, np.sum(inside, axis=0))
    np.testing.assert_array_equal(found.covered, np.any(inside, axis=1))
    np.testing.assert_array_equal(found.inside_fake, np.any(back, axis=1))


def test_coverage_and_density_of_equal_distributions_are_what_is_expected() -> None:
    covered, dense = [], []
    for i in range(60):
        found = neighbourhoods(normal(2 * i, 60, 3), normal(2 * i + 1, 90, 3))
        covered.append(float(found.covered.mean()))
        dense.append(float(found.inside_real.mean()) / 5)
    assert np.mean(covered) == pytest.approx(expected_coverage(60, 90), abs=4 * np.std(covered) / math.sqrt(60))
    assert np.mean(dense) == pytest.approx(1, abs=4 * np.std(dense) / math.sqrt(60))


def test_a_set_is_wholly_precise_recalled_and_covered_by_itself() -> None:
    x = normal(0, 40, 5)
    found = neighbourhoods(x, x)
    assert bool((found.inside_real > 0).all())
    assert float(found.inside_real.mean()) == 5 + 1
    assert float(found.inside_fake.mean()) == float(found.covered.mean()) == 1


def test_a_collapsed_set_is_precise_and_covers_little() -> None:
    real = normal(0, 200, 3)
    fake = real[:1] + 1e-3 * normal(1, 50, 3)
    found = neighbourhoods(real, fake)
    assert float((found.inside_real > 0).double().mean()) == 1
    assert float(found.covered.mean()) < 0.2


def test_inception_score_is_that_of_torch_fidelity() -> None:
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    logits = 3 * normal(0, 100, 12)
    theirs = isc_features_to_metric(logits, splits=10, shuffle=False)[KEY_METRIC_ISC_MEAN]
    assert float(scores(logits).mean()) == pytest.approx(theirs, rel=1e-9)


def test_inception_score_counts_even_and_certain_classes() -> None:
    even = 100 * torch.eye(7).repeat(4, 1)
    assert float(scores(even, splits=1)) == pytest.approx(7, rel=1e-9)
    assert float(scores(torch.zeros(20, 7), splits=1)) == pytest.approx(1, rel=1e-9)


def test_the_nearest_other_point_is_found() -> None:
    points, others = torch.tensor([[0.0, 0.0], [5.0, 0.0]]), torch.tensor([[3.0, 4.0], [6.0, 0.0]])
    np.testing.assert_allclose(nearest(points, others), [5.0, 1.0])
