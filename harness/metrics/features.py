"""From images to features: extractors by name, and real features kept with their statistics."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.metrics.array_cache import Arrays, kept
from harness.metrics.extractors.feature_id import feature_id_of
from harness.metrics.feature_statistics import FeatureStatistics

EXTRACTORS = MappingProxyType(
    {
        "efficientnet": "harness.metrics.extractors.efficientnet",
        "efficientnet_print": "harness.metrics.extractors.efficientnet_print",
        "inception": "harness.metrics.extractors.inception",
        "ocr": "harness.metrics.extractors.ocr",
        "random": "harness.metrics.extractors.random_convolutions",
    }
)
"""Modules with ``features(images) -> (N, d)`` and ``feature_id() -> str``."""
ON_THE_CPU = ("ocr",)
"""Those of another runtime than torch."""
GIVEN = "given"
"""Identity of features whose origin is not known here."""
BATCH = 32
"""Images per call of an extractor: fastest on one thread, and fixed, because the last bits depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extractor:
    """A network that turns images (N, C, H, W) in [0, 1] into features (N, d)."""

    name: str
    feature_id: str
    """Hash of weights and preprocessing."""
    function: Callable[[Tensor], Tensor]
    identified: bool = True
    """The identity covers the weights, so features may be kept on disk."""
    follows: bool = False
    """It computes where the images are; others get them on the CPU."""

    def extract(self, images: Tensor, device: torch.device | None = None) -> Tensor:
        """Return the features (N, d), float32 on the CPU, of images (N, C, H, W) in [0, 1].

        Args:
            images: On the CPU.
            device: Where to compute them, if the extractor can; its identity is that of the CPU's, within rounding.

        Raises:
            HarnessError: The extractor gave no table of finite numbers.
        """
        parts = []
        for batch in images.split(BATCH):
            part = torch.as_tensor(self.function(batch.to(device) if self.follows else batch))
            if part.ndim != 2 or len(part) != len(batch) or not bool(torch.isfinite(part).all()):
                shape = tuple(part.shape)
                raise HarnessError(
                    f"features {self.name!r}: gave {shape} for {len(batch)} images; finite (N, d) is needed"
                )
            parts.append(part.detach().to("cpu", torch.float32))
        return torch.cat(parts)


def extractor_named(name: str) -> Extractor:
    """Return the extractor of this name, or the user's ``package.module:function``.

    A user's function takes images (N, C, H, W), float32 in [0, 1], and returns (N, d) numbers. Its identity is a hash
    of its source file. Weights do not show in that: give the function an attribute ``identity`` (a text, such as a
    checksum of them), and real features are also kept on disk.

    Raises:
        HarnessError: No such extractor, or the function cannot be imported.
        MissingExtraError: A package or weights file is not there; the message says how to get it.
    """
    if name in EXTRACTORS:
        module = importlib.import_module(EXTRACTORS[name])
        return Extractor(
            name=name, feature_id=module.feature_id(), function=module.features, follows=name not in ON_THE_CPU
        )
    function = imported(name, "features")
    identity = getattr(function, "identity", None)
    source = inspect.getsourcefile(inspect.unwrap(function)) if inspect.isroutine(function) else None
    files = (Path(source),) if source else ()
    key = feature_id_of(name.rpartition(":")[2], f"{name} {identity}", *files)
    return Extractor(name=name, feature_id=key, function=function, identified=identity is not None)


def imported(name: str, where: str) -> Callable[..., Any]:
    """Return the function that ``package.module:function`` names.

    Raises:
        HarnessError: It cannot be imported, or is not there.
    """
    module, _, attribute = name.partition(":")
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise HarnessError(
            f"{where}: {name!r} cannot be imported ({error}); package.module:function is needed"
        ) from error
    if not callable(function):
        raise HarnessError(f"{where}: {name!r} is a {type(function).__name__}; a function is needed")
    return function


class RealFeatures:
    """Features of the real images, with their statistics and floors, kept on disk where there is a folder."""

    def __init__(
        self, found: Arrays, *, feature_id: str, key: tuple[object, ...] = (), folder: Path | None = None
    ) -> None:
        self.feature_id = feature_id
        self._found, self._key, self._folder = found, key, folder

    @staticmethod
    def given(values: Tensor) -> RealFeatures:
        """Return features (N, d) that somebody else extracted."""
        return RealFeatures(_of(values), feature_id=GIVEN)

    @staticmethod
    def of(
        extractor: Extractor,
        images: Tensor,
        *,
        images_id: str,
        folder: Path | None,
        device: torch.device | None = None,
    ) -> RealFeatures:
        """Return the features of images with this content hash, from the folder where they are there."""
        kept_in = folder if extractor.identified else None
        key: tuple[object, ...] = (images_id, tuple(images.shape), extractor.feature_id)
        if device is not None and device.type != "cpu":
            key = (*key, device.type)  # another device rounds otherwise: its features are kept apart
        found = kept(kept_in, (*key, "features 1"), lambda: _of(extractor.extract(images, device)))
        return RealFeatures(found, feature_id=extractor.feature_id, key=key, folder=kept_in)

    @functools.cached_property
    def values(self) -> Tensor:
        """Features (N, d), float32."""
        return torch.from_numpy(self._found["values"])

    @functools.cached_property
    def statistics(self) -> FeatureStatistics:
        """Count, mean and scatter."""
        if "root" not in self._found:
            return FeatureStatistics.of(self.values)
        mean, root = (torch.from_numpy(self._found[name]) for name in ("mean", "root"))
        return FeatureStatistics(count=len(self.values), mean=mean, root=root)

    def number(self, name: str, compute: Callable[[], float | None]) -> float | None:
        """Return a number found from the real features alone, such as a floor."""
        found = kept(self._folder, (*self._key, name), lambda: {"number": np.array(_or_nan(compute()))})
        number = float(found["number"])
        return None if np.isnan(number) else number


def _or_nan(number: float | None) -> float:
    return float("nan") if number is None else number


def _of(values: Tensor) -> Arrays:
    """Return features, and their statistics where these are smaller than the features and took a QR to find."""
    arrays = {"values": values.numpy()}
    if len(values) > values.shape[1]:
        statistics = FeatureStatistics.of(values)
        arrays |= {"mean": statistics.mean.numpy(), "root": statistics.root.numpy()}
    return arrays
