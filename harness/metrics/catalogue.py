"""What can be measured: metrics by name, from images or from stored rows; imports nothing heavy."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from harness.errors import HarnessError, did_you_mean
from harness.metrics.derived import Derivation, derivation
from harness.metrics.directions import direction_of_words
from harness.metrics.entries import FAMILIES, FEATURES, OTHERS, on_features
from harness.metrics.metric import Metric

__all__ = ["FAMILY_FUNCTIONS", "METRICS", "Metric", "metric_named", "missing_extra", "refusal"]

METRICS: Mapping[str, Metric] = MappingProxyType(
    {m.name: m for m in (*(on_features(features, family) for features in FEATURES for family in FAMILIES), *OTHERS)}
)
"""Every metric by the name of its column."""

FAMILY_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {m.function: "frechet" if m.name == "fid" else m.name for m in FAMILIES.values()}
)
"""Functions of two sets of features, whatever these are, with the names of their values when no more is known."""

_LOGGED = re.compile(r"logged\((?P<value>[^()]+)\)(?::(?P<better>lower|higher))?(?P<scale>:log)?")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def metric_named(name: str) -> Metric:
    """Return the metric of this name, which may also come from the user's own code.

    ``package.module:function`` is a function of an `harness.metrics.Evaluation` that returns a float, lower is better;
    ``package.module:function:higher`` says that higher is better. ``fid@package.module:function`` (or ``kid@``,
    ``precision@``, ``recall@``, ``density@``, ``coverage@``) is that distance on the user's own features: a function of
    images (N, C, H, W) in [0, 1] that returns (N, d) numbers. ``logged(val/l1)`` is a value that a command logs, in the
    direction that its name says or that follows it (``logged(reward):higher``); ``:log`` compares ratios. Measures
    such as ``oscillation_d@first 5%`` or ``area(ssim)`` are worked out of stored rows (`harness.metrics.derived`).
    Nothing is imported here.

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
    if (match := _LOGGED.fullmatch(name)) is not None:
        return _logged(name, match["value"], match["better"], match["scale"])
    if (derived := derivation(name, metric_named)) is not None:
        return _derived(derived)
    family, at, features = name.partition("@")
    if at and family in FAMILIES and _FUNCTION.fullmatch(features):
        return on_features(features, family)
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
    if name in FAMILIES:
        kinds = ", ".join(f"{name}_{features}" for features in FEATURES)
        raise HarnessError(f"metrics: {name!r} without its features is not a number; allowed: {kinds}")
    own = f"; a value that a command logs is logged({name})" if "(" not in name else ""
    raise HarnessError(f"metrics: no {name!r}{did_you_mean(name, METRICS)}{own}")


def logged_value(name: str) -> str | None:
    """Return which value of a command's log a metric is; None for metrics that are computed.

    Example:
        >>> logged_value("logged(val/l1)"), logged_value("logged(reward):higher"), logged_value("ssim")
        ('val/l1', 'reward', None)
    """
    match = _LOGGED.fullmatch(name)
    return None if match is None else match["value"]


def _logged(name: str, value: str, better: str | None, scale: str | None) -> Metric:
    direction = better or direction_of_words(value)
    if direction is None:
        raise HarnessError(
            f"metrics: {name}: nothing says whether a lower or a higher {value!r} is better; write {name}:lower or "
            f"{name}:higher"
        )
    return Metric(
        name=name,
        function="harness.scripts.run:run_command",
        better=direction,  # type: ignore[arg-type]
        unit="as the command logs it",
        range=(0.0 if scale else -math.inf, math.inf),
        scale="log" if scale else "raw",
        needs="log",
        citation=f"the command's own value {value!r}",
    )


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


def refusal(
    metric: Metric, *, paired: bool, train: bool = True, characters: bool = False, networks: bool = True
) -> str | None:
    """Return why a metric has no meaning for data of this kind, with the way out; None where it has one.

    Args:
        metric: The metric.
        paired: Each generated image has a real image that it should equal.
        train: Training images are at hand.
        characters: The wanted character of each image is known.
        networks: The networks that made the images are at hand.
    """
    if metric.needs in ("pairs", "read pairs") and not paired:
        way = "ssim_diversity is the SSIM among generated images" if "ssim" in metric.name else "use fid_efficientnet"
        return f"{metric.name}: needs pairs of generated and real images, and these images have none; {way}"
    if metric.needs == "log":
        return (
            f"{metric.name}: is logged by trials that are commands (`trial.values`), and these are none; leave it out"
        )
    if metric.needs == "networks" and not networks:
        return f"{metric.name}: asks the trained networks themselves, and there are only images here; leave it out"
    if metric.needs in ("characters", "read pairs") and not characters:
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
