"""Verdicts, margins, and the one rule that turns intervals into verdicts."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import DataError

Better = Literal["lower", "higher"]
Scale = Literal["log", "raw"]


class Verdict(enum.StrEnum):
    """What a contrast came to."""

    HELPS = "helps"
    HURTS = "hurts"
    EQUIVALENT = "equivalent"
    """The difference was shown to be smaller than the margin."""
    NEGLIGIBLE = "negligible"
    """There is a difference, and it was shown to be smaller than the margin."""
    NOT_SENSITIVE = "not sensitive"
    """Equal as far as it goes, in an experiment that was not shown to tell apart what is known to differ."""
    INCONCLUSIVE = "inconclusive"
    NO_OP = "no-op"
    """Proved before training, or everything that was measured is equal to the last bit in two or more blocks."""
    INVALID = "invalid"
    """The arm cannot be built, or there is nothing to compare: every trial of both failed, or the baseline learned
    nothing."""


VERDICTS: tuple[Verdict, ...] = tuple(Verdict)
"""All verdicts, in the order in which people's tables list them."""


@dataclass(frozen=True, slots=True)
class Margin:
    """The smallest difference that matters, as it was written down before the first trial."""

    value: float
    """A share when `relative` (0.1 is 10 %), else a difference on the scale of the analysis; greater than 0."""
    relative: bool

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise DataError(f"margin: {self.value} found; a number greater than 0 is needed, such as 0.6 or 10%")

    @classmethod
    def parse(cls, text: str | float | Margin | None) -> Margin | None:
        """Return the margin that a person wrote: ``"10%"``, ``"0.6"``, ``0.6``, or None for no margin.

        Raises:
            DataError: The text is neither a positive number nor a positive percentage.

        Example:
            >>> Margin.parse("10%")
            Margin(value=0.1, relative=True)
        """
        if text is None or isinstance(text, Margin):
            return text
        parsed = re.fullmatch(r"\s*(?:±|\+-|\+/-)?\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(%?)\s*", str(text), re.IGNORECASE)
        if parsed is None or isinstance(text, bool):
            raise DataError(f"margin: {text!r} found; write a difference such as 0.6, or a share such as 10%")
        try:
            number = float(parsed[1])
        except ValueError:
            raise DataError(f"margin: {text!r} found; write a difference such as 0.6, or a share such as 10%") from None
        return cls(number / 100, relative=True) if parsed[2] else cls(number, relative=False)

    def times(self, factor: float) -> Margin:
        """Return the margin multiplied; half of 10 % is 5 %, whatever the scale."""
        return Margin(self.value * factor, self.relative)

    def on(self, scale: Scale, baseline_mean: float) -> float:
        """Return the half-width of the margin on the scale of the differences.

        A share on the log scale is ±log(1 + share), so 25 % is ±log 1.25: 20 % lower to 25 % higher. A share on the raw
        scale is that share of the absolute value of `baseline_mean`, the mean of the baseline. A plain number is taken
        as it is.

        Raises:
            DataError: A share of a mean of 0 was asked for.
        """
        if not self.relative:
            return self.value
        if scale == "log":
            return math.log1p(self.value)
        if not (math.isfinite(baseline_mean) and baseline_mean != 0):
            raise DataError(
                f"margin: {self} of a baseline whose mean is {baseline_mean:g}; give an absolute margin such as 0.6"
            )
        return self.value * abs(baseline_mean)

    def __str__(self) -> str:
        return f"{self.value * 100:.6g}%" if self.relative else f"{self.value:.6g}"

    def in_words(self, scale: Scale) -> str:
        """Return the range that does not matter; a share on the log scale is not the same on both sides of 0.

        Example:
            >>> Margin.parse("10%").in_words("log")
            '-9.1 to +10 %'
        """
        if self.relative and scale == "log":
            return f"-{100 * self.value / (1 + self.value):.2g} to +{self.value * 100:.6g} %"
        return f"±{self}"


def classify(differs: ArrayLike, equal: ArrayLike, arm_is_better: ArrayLike) -> NDArray[Any]:
    """Return a verdict for each contrast from what was shown of it; arrays of equal shape.

    Args:
        differs: Whether a difference from the baseline was shown.
        equal: Whether the difference was shown to be smaller than the margin.
        arm_is_better: Which of the two the difference favours.
    """
    differs, equal, arm_is_better = (np.asarray(shown, bool) for shown in (differs, equal, arm_is_better))
    picked = np.select(
        [differs & equal, equal, differs & arm_is_better, differs],
        [v.value for v in (Verdict.NEGLIGIBLE, Verdict.EQUIVALENT, Verdict.HELPS, Verdict.HURTS)],
        Verdict.INCONCLUSIVE.value,
    )
    return np.asarray(picked)
