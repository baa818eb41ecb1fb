"""What can be measured: one entry per metric with direction, unit, range and source; imports nothing heavy."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from harness.errors import HarnessError, did_you_mean
from harness.metrics.derived import Derivation, derivation

Needs = Literal["sets", "pairs", "train", "characters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: what its values mean, and where the function that computes them lives."""

    name: str
    """Name of the column; a Fréchet distance always says on which features it is."""
    function: str
    """``package.module:function``, imported only when it is measured."""
    better: Literal["lower", "higher"]
    """Direction of improvement."""
    unit: str
    range: tuple[float, float]
    """Smallest and largest possible value."""
    scale: Literal["raw", "log"] = "raw"
    """Scale on which arms are compared: ``log`` where ratios are meant."""
    needs: Needs = "sets"
    """``sets`` of real and generated images; ``pairs`` of them, item by item; ``train``: the training images as well;
    ``characters``: the wanted character of each image as well."""
    features: str | None = None
    """Name of the extractor, or ``package.module:function``; None: it works on pixels or brings its own."""
    extra: str | None = None
    """Optional dependencies that it needs: ``pip install 'gan-ablation-harness[<extra>]'``."""
    citation: str
    note: str = ""
    """What a reader of the number has to know."""
    derivation: Derivation | None = None
    """How it follows from stored rows; None: it is computed from images."""


_FAMILIES: Mapping[str, Metric] = MappingProxyType(
    {
        m.name: m
        for m in (
            Metric(
                name="fid",
                function="harness.metrics.frechet:fid",
                better="lower",
                unit="squared feature distance",
                range=(0.0, math.inf),
                scale="log",
                citation="Heusel 2017, arXiv:1706.08500, eq. 6",
                note="biased upwards, the more the fewer the images: compare at equal counts, and with the floor",
            ),
            Metric(
                name="kid",
                function="harness.metrics.kid:kid",
                better="lower",
                unit="squared maximum mean discrepancy",
                range=(-math.inf, math.inf),
                citation="Binkowski 2018, arXiv:1801.01401, section 4",
                note="unbiased, so it may be below 0 for equal distributions",
            ),
            Metric(
                name="precision",
                function="harness.metrics.neighbours:precision",
                better="higher",
                unit="share of generated images",
                range=(0.0, 1.0),
                citation="Kynkaanniemi 2019, arXiv:1904.06991, eq. 2",
                note="share of generated images within the real manifold (5 neighbours)",
            ),
            Metric(
                name="recall",
                function="harness.metrics.neighbours:recall",
                better="higher",
                unit="share of real images",
                range=(0.0, 1.0),
                citation="Kynkaanniemi 2019, arXiv:1904.06991, eq. 2",
                note="share of real images within the generated manifold (5 neighbours)",
            ),
            Metric(
                name="density",
                function="harness.metrics.neighbours:density",
                better="higher",
                unit="real neighbourhoods per generated image, of 5",
                range=(0.0, math.inf),
                citation="Naeem 2020, arXiv:2002.09797, eq. 4",
                note="1 is expected for equal distributions; above 1 the samples crowd where the data is dense",
            ),
            Metric(
                name="coverage",
                function="harness.metrics.neighbours:coverage",
                better="higher",
                unit="share of real images",
                range=(0.0, 1.0),
                citation="Naeem 2020, arXiv:2002.09797, eq. 5",
                note="share of real images with a generated one in their neighbourhood (5 neighbours)",
            ),
        )
    }
)
_EXTRAS: Mapping[str, str | None] = MappingProxyType(
    {"efficientnet": None, "inception": "inception", "ocr": "ocr", "random": None}
)


def _on(features: str, family: str) -> Metric:
    """Return a metric family on one set of features: ``fid`` and ``ocr`` to ``fid_ocr``."""
    joint = "@" if ":" in features else "_"
    name = f"{family}{joint}{features}"
    return replace(_FAMILIES[family], name=name, features=features, extra=_EXTRAS.get(features))


_OTHERS = (
    Metric(
        name="inception_score",
        function="harness.metrics.inception_score:inception_score",
        better="higher",
        unit="effective number of classes",
        range=(1.0, 1000.0),
        features="inception",
        extra="inception",
        citation="Salimans 2016, arXiv:1606.03498, section 4",
        note="of the generated images alone, by ImageNet's classes: says little about other data",
    ),
    Metric(
        name="character_accuracy",
        function="harness.metrics.character_accuracy:character_accuracy",
        better="higher",
        unit="share of generated images",
        range=(0.0, 1.0),
        needs="characters",
        extra="ocr",
        citation="PP-OCRv6 recognition, in the package rapidocr 3.10",
        note="share read as the wanted character; characters that the network does not know are left out",
    ),
    Metric(
        name="ssim",
        function="harness.metrics.ssim:ssim",
        better="higher",
        unit="mean SSIM",
        range=(-1.0, 1.0),
        needs="pairs",
        citation="Wang 2004, doi:10.1109/TIP.2003.819861, eq. 13",
        note="scikit-image, 11x11 Gaussian of sigma 1.5, population covariance, on [0, 1], borders of 5 pixels cropped",
    ),
    Metric(
        name="ms_ssim",
        function="harness.metrics.ms_ssim:ms_ssim",
        better="higher",
        unit="mean multi-scale SSIM",
        range=(0.0, 1.0),
        needs="pairs",
        citation="Wang 2003, doi:10.1109/ACSSC.2003.1292216, eq. 7",
        note="five scales, so images must be larger than 160 pixels",
    ),
    Metric(
        name="ssim_ink",
        function="harness.metrics.ssim_ink:ssim_ink",
        better="higher",
        unit="mean SSIM within the ink",
        range=(-1.0, 1.0),
        needs="pairs",
        citation="Wang 2004, doi:10.1109/TIP.2003.819861, eq. 13, averaged over strokes and 2 pixels around them",
        note="empty background, equal in both images, does not count",
    ),
    Metric(
        name="l1",
        function="harness.metrics.l1:l1",
        better="lower",
        unit="mean absolute difference on [0, 1]",
        range=(0.0, 1.0),
        needs="pairs",
        citation="mean absolute error",
    ),
    Metric(
        name="rmse",
        function="harness.metrics.rmse:rmse",
        better="lower",
        unit="root mean squared difference on [0, 1]",
        range=(0.0, 1.0),
        needs="pairs",
        citation="root of the mean squared error over all pixels of all pairs",
    ),
    Metric(
        name="psnr",
        function="harness.metrics.psnr:psnr",
        better="higher",
        unit="decibel",
        range=(0.0, 58.92),
        needs="pairs",
        citation="Huynh-Thu 2008, doi:10.1049/el:20080522",
        note="from the mean squared error over all pairs; at most 58.92 dB, the rounding to 8 bits",
    ),
    Metric(
        name="lpips",
        function="harness.metrics.lpips:lpips",
        better="lower",
        unit="mean LPIPS distance",
        range=(0.0, math.inf),
        needs="pairs",
        extra="lpips",
        citation="Zhang 2018, arXiv:1801.03924, eq. 1, AlexNet, version 0.1",
        note="images smaller than 64 pixels are enlarged to 64",
    ),
    Metric(
        name="ssim_diversity",
        function="harness.metrics.ssim_diversity:ssim_diversity",
        better="lower",
        unit="mean SSIM of pairs of generated images",
        range=(-1.0, 1.0),
        citation="Fedus 2017, arXiv:1710.08446, section 3; SSIM in place of MS-SSIM",
        note="1 is full collapse; the floor is that of the real images, below which lower is no longer better",
    ),
    Metric(
        name="nearest_neighbour_ratio",
        function="harness.metrics.nearest_neighbour:nearest_neighbour_ratio",
        better="higher",
        unit="distance to training images / distance to held-out images",
        range=(0.0, math.inf),
        needs="train",
        features="efficientnet",
        citation="Stein 2023, arXiv:2306.04675, section 4: data copying by nearest neighbours",
        note="about 1: no nearer to what was trained on than to what was not; clearly below 1: memorised",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {m.name: m for m in (*(_on(features, family) for features in _EXTRAS for family in _FAMILIES), *_OTHERS)}
)
"""Every metric by the name of its column."""

FAMILY_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {m.function: "frechet" if m.name == "fid" else m.name for m in _FAMILIES.values()}
)
"""Functions of two sets of features, whatever these are, with the names of their values when no more is known."""

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def metric_named(name: str) -> Metric:
    """Return the metric of this name, which may also come from the user's own code.

    ``package.module:function`` is a function of an `harness.metrics.Evaluation` that returns a float, lower is better;
    ``package.module:function:higher`` says that higher is better. ``fid@package.module:function`` (or ``kid@``,
    ``precision@``, ``recall@``, ``density@``, ``coverage@``) is that distance on the user's own features: a function of
    images (N, C, H, W) in [0, 1] that returns (N, d) numbers. Measures such as ``oscillation_d@first 5%`` or
    ``area(ssim)`` are worked out of stored rows (`harness.metrics.derived`). Nothing is imported here.

    Raises:
        HarnessError: No such metric; the message says what is nearest, or that ``fid`` alone is not a number.

    Example:
        >>> metric_named("fid_efficientnet").better
        'lower'
        >>> metric_named("fonts.taste:elegance:higher").better
        'higher'
    """
    if name in METRICS:
        return METRICS[name]
    if (derived := derivation(name, metric_named)) is not None:
        return _derived(derived)
    family, at, features = name.partition("@")
    if at and family in _FAMILIES and _FUNCTION.fullmatch(features):
        return _on(features, family)
    function, _, direction = name.rpartition(":") if name.count(":") == 2 else (name, ":", "lower")
    if _FUNCTION.fullmatch(function) and direction in ("lower", "higher"):
        return Metric(
            name=name,
            function=function,
            better="higher" if direction == "higher" else "lower",
            unit="as the function says",
            range=(-math.inf, math.inf),
            citation=f"the user's {function}",
        )
    if name in _FAMILIES:
        kinds = ", ".join(f"{name}_{features}" for features in _EXTRAS)
        raise HarnessError(f"metrics: {name!r} without its features is not a number; allowed: {kinds}")
    raise HarnessError(f"metrics: no {name!r}{did_you_mean(name, METRICS)}")


def _derived(derived: Derivation) -> Metric:
    """Return a measure of stored rows; it needs what the metric that it is worked out of needs."""
    of = metric_named(derived.of_metric) if derived.of_metric else None
    if of is not None and of.derivation is not None:
        raise HarnessError(f"metrics: {derived.name}: {of.name} is worked out of stored rows itself; name a metric")
    return Metric(
        name=derived.name,
        function="harness.results.derived:derived_values",
        better=derived.better,
        unit=derived.unit,
        range=derived.range,
        scale=derived.scale,
        needs=of.needs if of else "sets",
        extra=of.extra if of else None,
        citation=derived.meaning if of is None else f"{derived.meaning}; {of.citation}",
        note="" if of is None else of.note,
        derivation=derived,
    )


def refusal(metric: Metric, *, paired: bool, train: bool = True, characters: bool = False) -> str | None:
    """Return why a metric has no meaning for data of this kind, with the way out; None where it has one.

    Args:
        metric: The metric.
        paired: Each generated image has a real image that it should equal.
        train: Training images are at hand.
        characters: The wanted character of each image is known.
    """
    if metric.needs == "pairs" and not paired:
        way = "ssim_diversity is the SSIM among generated images" if "ssim" in metric.name else "use fid_efficientnet"
        return f"{metric.name}: needs pairs of generated and real images, and these images have none; {way}"
    if metric.needs == "characters" and not characters:
        return f"{metric.name}: needs the wanted character of each image, and this data has none; leave it out"
    if metric.needs == "train" and not train:
        return f"{metric.name}: needs the training images, and there are none here; leave it out"
    return None


_MODULES = MappingProxyType(
    {"inception": ("torch_fidelity",), "lpips": ("lpips",), "ocr": ("rapidocr", "onnxruntime", "onnx")}
)


def missing_extra(metric: Metric) -> str | None:
    """Return which packages a metric lacks here, with the command that installs them; None when it lacks none."""
    wanted = _MODULES.get(metric.extra or "", ())
    absent = [module for module in wanted if importlib.util.find_spec(module) is None]
    if not absent:
        return None
    way = f"pip install 'gan-ablation-harness[{metric.extra}]'"
    return f"{metric.name}: {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed; {way}"
