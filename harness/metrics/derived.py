"""Measures worked out of stored rows: signals over a window, areas, steps to a threshold, failures, costs. No torch.

A study names them as it names metrics::

    oscillation_d@first 5%        a signal over a window of the training: first, last, or from-to (20%-50%)
    variation(gradient_norm_g)    its standard deviation over its mean; likewise oscillation(loss_g)
    area(ssim)                    the average over the training of a metric or a signal
    mean(ssim)@last 20%           the mean of a metric over the steps of `measure.at` in a window
    steps_to(ssim, 0.6)           the first step at which it is there
    failures, seconds_per_step    a column of `trials`

Where no direction is better the study says which one counts as better, once and in advance: ``d_fake_logit:higher``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

from harness.errors import HarnessError, did_you_mean

Direction = Literal["lower", "higher", "neither"]
Scale = Literal["raw", "log"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A signal, or a column of `trials`: what its values mean."""

    meaning: str
    unit: str
    better: Direction
    scale: Scale = "raw"
    """``log`` where ratios are meant; such values are above 0."""
    low: float = -math.inf
    high: float = math.inf


def _loss(what: str, better: Direction = "neither") -> Quantity:
    return Quantity(what, "loss", better)


def _share(what: str, better: Direction = "neither", unit: str = "share") -> Quantity:
    return Quantity(what, unit, better, low=0.0, high=1.0)


SIGNALS: Mapping[str, Quantity] = MappingProxyType(
    {
        "loss_d": _loss("the discriminator's loss"),
        "loss_g": _loss("the generator's loss, all parts with their weights"),
        "loss_adversarial": _loss("the generator's adversarial part"),
        "loss_l1": _loss("the generator's L1 part, on training items", "lower"),
        "loss_category": _loss("the generator's category part"),
        "loss_constant": _loss("the generator's constant part", "lower"),
        "d_real_logit": Quantity("mean logit of real training images", "logit", "neither"),
        "d_fake_logit": Quantity("mean logit of generated images", "logit", "neither"),
        "d_real": _share("mean sigmoid of the logits of real training images", unit="probability"),
        "d_fake": _share("mean sigmoid of the logits of generated images", unit="probability"),
        "d_accuracy_real": _share("share of logits of real training images above 0"),
        "d_accuracy_fake": _share("share of logits of generated images below 0"),
        "gradient_norm_g": Quantity("Euclidean norm of the generator's gradient", "norm", "neither", "log", 0.0),
        "gradient_norm_d": Quantity("Euclidean norm of the discriminator's gradient", "norm", "neither", "log", 0.0),
        "saturation": _share("share of generated pixels beyond 0.98 in absolute value"),
        "augment_probability": _share(
            "of each change of an image by adaptive augmentation, ADA's p", unit="probability"
        ),
        "real_sign": Quantity(
            "mean sign of the logits of real training images before that was last adjusted, ADA's r_t",
            "mean sign",
            "neither",
            low=-1.0,
            high=1.0,
        ),
        "learning_rate": Quantity("of the generator", "rate", "neither", "log", 0.0),
        "diversity": Quantity(
            "mean difference of pairs of samples over that of held-out images", "ratio", "higher", low=0.0
        ),
        "d_train_logit": Quantity("mean logit of training images, in evaluation mode", "logit", "neither"),
        "d_heldout_logit": Quantity("mean logit of held-out images, in evaluation mode", "logit", "neither"),
        "d_generated_logit": Quantity("mean logit of images generated for these", "logit", "neither"),
        "overfitting": Quantity(
            "(D(train) - D(held-out)) / (D(train) - D(generated)); Karras 2020, arXiv:2006.06676, eq. 1",
            "ratio",
            "lower",
        ),
    }
)
"""Columns of `signals` with a fixed name; `sigma_<layer>` are the discriminator's largest singular values by layer."""

SINGULAR_VALUE = Quantity("largest singular value of a layer of the discriminator", "norm", "neither", "log", 0.0)

COLUMNS: Mapping[str, Quantity] = MappingProxyType(
    {
        "failures": _share("1 for a trial that is not complete, 0 for one that is", "lower", "share of trials"),
        "seconds_per_step": Quantity("median time of a training step", "s", "lower", "log", 0.0),
        "seconds_per_epoch": Quantity("time of a pass over the training items", "s", "lower", "log", 0.0),
        "wall_seconds": Quantity("time from the trial's start to its row", "s", "lower", "log", 0.0),
        "peak_bytes": Quantity("largest memory during the trial", "bytes", "lower", "log", 0.0),
        "parameters_g": Quantity("numbers learnt by the generator", "parameters", "lower", "log", 0.0),
        "parameters_d": Quantity("numbers learnt by the discriminator", "parameters", "lower", "log", 0.0),
        "macs_g": Quantity("the generator's work for an image", "multiply-adds", "lower", "log", 0.0),
        "macs_d": Quantity("the discriminator's work for an image", "multiply-adds", "lower", "log", 0.0),
    }
)
"""What `trials` says of a trial beside its metrics."""

DIFFERENCES: Mapping[str, tuple[str, str, Quantity]] = MappingProxyType(
    {
        "d_heldout_gap": (
            "d_train_logit",
            "d_heldout_logit",
            Quantity("mean logit of training images less that of held-out ones", "logit", "lower"),
        ),
        "d_fake_gap": (
            "d_real_logit",
            "d_fake_logit",
            Quantity("mean logit of real less that of generated images", "logit", "neither"),
        ),
    }
)
"""Differences of two signals, by name."""

WHERE_MEASURED = frozenset(
    {"diversity", "d_train_logit", "d_heldout_logit", "d_generated_logit", "overfitting", "d_heldout_gap"}
)
"""Signals that are logged only where the study measures."""

OSCILLATIONS: Mapping[str, str] = MappingProxyType({"oscillation_d": "loss_d", "oscillation_g": "loss_g"})

Function = Literal["mean", "oscillation", "variation", "area", "steps_to", "column"]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a measure follows from stored rows."""

    name: str
    function: Function
    source: str
    """A signal, a difference of signals, a metric, or a column of `trials`."""
    start: float = 0.0
    stop: float = 1.0
    """The window, in shares of the training: start < step / steps <= stop."""
    threshold: float | None = None
    better: Literal["lower", "higher"] = "lower"
    unit: str = ""
    scale: Scale = "raw"
    range: tuple[float, float] = (-math.inf, math.inf)
    meaning: str = ""
    of_metric: str | None = None
    """The metric that must be measured for it."""
    upwards: bool = False
    """The threshold is reached from below."""

    def inside(self, steps: Any, total: float) -> Any:
        """Return whether a step, or each of an array of them, lies in the window of a training of so many steps."""
        rounding = 1e-9 * total
        return (steps > self.start * total + rounding) & (steps <= self.stop * total + rounding)

    @property
    def where_measured(self) -> bool:
        """Whether its signal is logged only at the steps of `measure.at`."""
        return self.source in WHERE_MEASURED or self.source.startswith("sigma_")

    @property
    def least(self) -> int:
        """The fewest logged values in the window that it can be worked out of."""
        return {"oscillation": 3, "variation": 2}.get(self.function, 1)


_NAME = re.compile(
    r"(?:(?P<function>[a-z_]+)\((?P<inner>[^()]*)\)|(?P<plain>[A-Za-z_][\w.]*))"
    r"(?:@(?P<window>[^:]*))?(?::(?P<better>lower|higher))?"
)
_WINDOW = re.compile(r"(?:(first|last) (\d+(?:\.\d+)?)%)|(?:(\d+(?:\.\d+)?)%-(\d+(?:\.\d+)?)%)")


def signal_named(name: str) -> Quantity | None:
    """Return what a signal of this name means; None where there is no such signal."""
    if name in DIFFERENCES:
        return DIFFERENCES[name][2]
    return SINGULAR_VALUE if name.startswith("sigma_") and len(name) > 6 else SIGNALS.get(name)


class Measured(Protocol):
    """What a metric says of itself."""

    @property
    def better(self) -> Literal["lower", "higher"]: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def scale(self) -> Scale: ...  # noqa: D102
    @property
    def range(self) -> tuple[float, float]: ...  # noqa: D102


def derivation(name: str, metric: Callable[[str], Measured]) -> Derivation | None:
    """Return how a measure of this name follows from stored rows; None where the name is not of that form.

    Args:
        name: As a study writes it.
        metric: Gives the metric of a name.

    Raises:
        HarnessError: The form is right, and something in it is not; the message says what is allowed.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    function, plain = match["function"], match["plain"]
    if plain is not None and plain not in COLUMNS and plain not in OSCILLATIONS and signal_named(plain) is None:
        if match["window"] is not None and _WINDOW.fullmatch(match["window"]):
            raise HarnessError(f"metrics: no signal {plain!r}{did_you_mean(plain, (*SIGNALS, *DIFFERENCES))}")
        return None
    found = _of_column(name, plain) if plain in COLUMNS else _of_series(name, function, match["inner"], plain, metric)
    start, stop = _window(name, match["window"], found)
    better = match["better"] or found.better
    if better == "neither":
        raise HarnessError(
            f"metrics: {name}: {found.meaning}: neither direction is better; say which one counts as better in this "
            f"study, {name}:lower or {name}:higher"
        )
    return Derivation(
        name=name,
        function=found.function,
        source=found.source,
        start=start,
        stop=stop,
        threshold=found.threshold,
        better=better,  # type: ignore[arg-type]
        unit=found.unit,
        scale=found.scale,
        range=found.range,
        meaning=found.meaning,
        of_metric=found.of_metric,
        upwards=found.upwards,
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """A derivation before its window and direction are known."""

    function: Function
    source: str
    better: Direction
    unit: str
    scale: Scale
    range: tuple[float, float]
    meaning: str
    threshold: float | None = None
    of_metric: str | None = None
    upwards: bool = False


def _of_column(name: str, column: str) -> _Form:
    if "@" in name:
        raise HarnessError(f"metrics: {name}: {column} is one number for a trial and has no window")
    q = COLUMNS[column]
    return _Form("column", column, q.better, q.unit, q.scale, (q.low, q.high), q.meaning)


def _of_series(
    name: str, function: str | None, inner: str | None, plain: str | None, metric: Callable[[str], Measured]
) -> _Form:
    """Return the form of a signal, or of a function of a signal or a metric."""
    if plain is not None and plain in OSCILLATIONS:
        function, inner = "oscillation", OSCILLATIONS[plain]
    if function is None and plain is not None and (q := signal_named(plain)) is not None:
        return _Form("mean", plain, q.better, q.unit, q.scale, (q.low, q.high), f"mean of: {q.meaning}")
    source, comma, threshold = (inner or "").partition(",")
    source = source.strip()
    if function in ("oscillation", "variation"):
        signal = signal_named(source)
        if signal is None:
            raise HarnessError(f"metrics: {name}: no signal {source!r}{did_you_mean(source, (*SIGNALS, *DIFFERENCES))}")
        what = "sd of the changes" if function == "oscillation" else "sd"
        meaning = f"{what} over the mean size of: {signal.meaning}"
        return _Form(function, source, "lower", "ratio", "log", (0.0, math.inf), meaning)  # type: ignore[arg-type]
    if function not in ("area", "steps_to", "mean"):
        allowed = ("variation", "oscillation", "area", "steps_to", "mean")
        raise HarnessError(f"metrics: {name}: no function {function!r}{did_you_mean(str(function), allowed)}")
    signal = signal_named(source)
    known: Measured | Quantity = metric(source) if signal is None else signal
    of_metric = source if signal is None else None
    bounds = (signal.low, signal.high) if signal is not None else metric(source).range
    better: Direction = known.better
    if function in ("area", "mean"):
        if comma:
            raise HarnessError(f"metrics: {name}: {function} takes a metric or a signal alone")
        over = "over the training" if function == "area" else "over the steps of measure.at in the window"
        meaning = f"average {over} of {source}"
        return _Form(function, source, better, known.unit, known.scale, bounds, meaning, None, of_metric)  # type: ignore[arg-type]
    try:
        value = float(threshold)
    except ValueError:
        raise HarnessError(f"metrics: {name}: write the value to reach, such as steps_to({source}, 0.6)") from None
    if better == "neither":
        raise HarnessError(f"metrics: {name}: neither direction of {source} is better, so there is nothing to reach")
    meaning = f"first step with {source} at {value:g} or better; trials that never are count with their last step"
    return _Form(
        "steps_to", source, "lower", "steps", "raw", (0.0, math.inf), meaning, value, of_metric, better == "higher"
    )


def _window(name: str, text: str | None, found: _Form) -> tuple[float, float]:
    if text is None:
        return 0.0, 1.0
    if found.function == "steps_to" or (found.of_metric is not None and found.function != "mean"):
        raise HarnessError(f"metrics: {name}: a window goes with signals, and with the mean of a metric")
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise HarnessError(f"metrics: {name}: {text!r} is no window; write first 5%, last 20% or 20%-50%")
    if match[1]:
        share = float(match[2]) / 100
        start, stop = (0.0, share) if match[1] == "first" else (1 - share, 1.0)
    else:
        start, stop = float(match[3]) / 100, float(match[4]) / 100
    if not 0 <= start < stop <= 1:
        raise HarnessError(f"metrics: {name}: {text!r} is empty or lies beyond the training")
    return start, stop
