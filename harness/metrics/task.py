"""What a metric's function gets: an evaluation, with features that the metrics of one call share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from harness.errors import DataError
from harness.metrics.catalogue import Metric
from harness.metrics.evaluation import Evaluation, content_id
from harness.metrics.features import Extractor, RealFeatures, extractor_named
from harness.metrics.neighbourhoods import Neighbourhoods, neighbourhoods
from harness.metrics.value import Value


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSets:
    """Features of real and generated images: all that a distance between two sets depends on."""

    real: RealFeatures
    fake: Tensor
    """(M, d)"""
    paired: bool = False
    """Item i of both belongs together."""
    seed: int = 0
    """Seed of random subsets."""

    @functools.cached_property
    def neighbourhoods(self) -> Neighbourhoods:
        """Who lies in whose neighbourhood, worked out once for the four metrics that read it."""
        return neighbourhoods(self.real.values, self.fake)

    def require(self, least: int) -> None:
        """Refuse sets that are too small for a metric.

        Raises:
            DataError: Fewer than the least number of images on a side.
        """
        n, m = len(self.real.values), len(self.fake)
        if min(n, m) < least:
            raise DataError(f"images: {n} real and {m} generated; this metric needs at least {least} of each")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricInput:
    """One metric of one evaluation, with what the metrics of the same call share."""

    metric: Metric
    evaluation: Evaluation
    shared: dict[tuple[str, ...], Any]
    """Computed so far, by what it is."""

    def once(self, key: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        """Return what is stored under this key, computing it the first time."""
        if key not in self.shared:
            self.shared[key] = compute()
        return self.shared[key]

    def extractor(self) -> Extractor:
        """Return the metric's extractor."""
        name = self.metric.features
        if name is None:
            raise ValueError(f"{self.metric.name}: has no features")
        extractor: Extractor = self.once(("extractor", name), lambda: extractor_named(name))
        return extractor

    def fake_features(self) -> Tensor:
        """Return the features (M, d) of the generated images, float32."""
        extractor = self.extractor()
        evaluation = self.evaluation
        features: Tensor = self.once(
            ("fake", extractor.name), lambda: extractor.extract(evaluation.fake, evaluation.device)
        )
        return features

    def real_features(self) -> RealFeatures:
        """Return the features of the real images with their statistics."""
        name = self.extractor().name
        features: RealFeatures = self.once(
            ("real", name), lambda: self.kept_features(self.evaluation.real, self.real_id())
        )
        return features

    def kept_features(self, images: Tensor, images_id: str) -> RealFeatures:
        """Return the features of images that do not change from one evaluation to the next."""
        folder, device = self.evaluation.cache, self.evaluation.device
        return RealFeatures.of(self.extractor(), images, images_id=images_id, folder=folder, device=device)

    def sets(self) -> FeatureSets:
        """Return both sides' features."""
        evaluation, name = self.evaluation, self.extractor().name
        real, fake = self.real_features(), self.fake_features()
        sets: FeatureSets = self.once(
            ("sets", name), lambda: FeatureSets(real=real, fake=fake, paired=evaluation.paired, seed=evaluation.seed)
        )
        return sets

    def real_id(self) -> str:
        """Return the content hash of the real images."""
        return self.evaluation.real_id or content_id(self.evaluation.real)


def averaged(each: np.ndarray[Any, Any]) -> Value:
    """Return the mean of one number per pair (N,), with its standard error where there are two or more."""
    error = float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else None
    return Value(value=float(each.mean()), standard_error=error, evaluation_sd=error)
