"""Precision, recall, density and coverage: four readings of who lies in whose neighbourhood of features."""

from __future__ import annotations

from torch import Tensor

from harness.metrics.neighbourhoods import NEIGHBOURS, Neighbourhoods, expected_coverage
from harness.metrics.task import FeatureSets
from harness.metrics.value import Value


def precision(sets: FeatureSets) -> Value:
    """Return the share of generated images inside a real neighbourhood, in [0, 1], higher is better."""
    return _over_fakes((_found(sets).inside_real > 0).double(), None)


def recall(sets: FeatureSets) -> Value:
    """Return the share of real images inside a generated neighbourhood, in [0, 1], higher is better."""
    return Value(value=float(_found(sets).inside_fake.mean()))


def density(sets: FeatureSets) -> Value:
    """Return the mean number of real neighbourhoods around a generated image, over k; 1 for equal distributions."""
    return _over_fakes(_found(sets).inside_real / NEIGHBOURS, 1.0)


def coverage(sets: FeatureSets) -> Value:
    """Return the share of real neighbourhoods that hold a generated image, in [0, 1], higher is better."""
    covered = _found(sets).covered
    return Value(value=float(covered.mean()), floor=expected_coverage(len(covered), len(sets.fake)))


def _found(sets: FeatureSets) -> Neighbourhoods:
    sets.require(NEIGHBOURS + 1)
    return sets.neighbourhoods


def _over_fakes(each: Tensor, floor: float | None) -> Value:
    return Value(value=float(each.mean()), floor=floor, evaluation_sd=float(each.std() / len(each) ** 0.5))
