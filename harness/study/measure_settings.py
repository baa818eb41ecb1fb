"""What a study measures, when, and how large a difference matters."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from harness.errors import HarnessError, did_you_mean
from harness.metrics.catalogue import metric_named
from harness.study.fields import Count, Settings, Text


class MeasureSettings(Settings):
    """What is measured, when, and how large a difference matters."""

    at: Annotated[tuple[Count | Text, ...], Field(min_length=1)] = ("33%", "67%", "100%")
    """Steps, or percent of the training; the last is the horizon at which arms are compared."""
    primary: Text = "fid_efficientnet"
    """The metric that the verdict is about."""
    margin: Annotated[float, Field(gt=0.0)] | Text = "10%"
    """The smallest difference that matters, absolute, or in percent of the baseline."""
    also: tuple[Text, ...] = ("ssim", "l1")
    """Further metrics, exploratory."""
    margins: dict[Text, Annotated[float, Field(gt=0.0)] | Text] = Field(default={})
    """Margins of further metrics, by name; without one a metric can help or hurt, but never be equivalent."""
    images: Annotated[int, Field(ge=2)] = 512
    """At most so many held-out items (or samples) are measured; the same ones for all arms and blocks."""
    generated: Annotated[int, Field(ge=2)] | None = None
    """So many samples are drawn from generators that redraw nothing; as many as there are measured items unless
    given."""
    signals: Annotated[int, Field(ge=1)] = 100
    """About how many times over a training its signals are logged."""

    @field_validator("at")
    @classmethod
    def _percent_or_step(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        for at in value:
            if isinstance(at, str) and not re.fullmatch(r"(100|[1-9]?\d)(\.\d+)?%", at):
                raise ValueError(f"'{at}' is neither a step nor a percentage such as 50%")
        return value

    @field_validator("primary", "also")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            try:
                metric_named(name)
            except HarnessError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("margin", "margins")
    @classmethod
    def _margin(cls, value: float | str | dict[str, float | str]) -> float | str | dict[str, float | str]:
        for margin in value.values() if isinstance(value, dict) else (value,):
            if isinstance(margin, str) and not re.fullmatch(r"\d+(\.\d+)?%", margin):
                number = re.fullmatch(r"\d+(\.\d+)?", margin)
                way = f"is text; write {margin} without quotes, or {margin}%" if number else "is neither a number nor"
                raise ValueError(f"'{margin}' {way}{'' if number else ' a percentage such as 10%'}")
        return value

    @model_validator(mode="after")
    def _margins_of_metrics(self) -> MeasureSettings:
        for name in self.margins:
            if name not in self.metrics or name == self.primary:
                hint = "; its margin is `margin`" if name == self.primary else did_you_mean(name, self.also)
                raise ValueError(f"margins: '{name}' is not under also{hint}")
        return self

    def margin_of(self, metric: str) -> float | str | None:
        """Return a metric's margin; None where the study gives none."""
        return self.margin if metric == self.primary else self.margins.get(metric)

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the primary one first."""
        return tuple(dict.fromkeys((self.primary, *self.also)))

    @property
    def health_metric(self) -> str | None:
        """The metric by which it is judged whether networks learned: the first that is computed from images alone."""
        metrics = (metric_named(name) for name in self.metrics)
        return next((m.name for m in metrics if m.derivation is None and m.needs not in ("networks", "log")), None)

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that are computed from images, those among them that others are worked out of."""
        every = [(name, metric_named(name).derivation) for name in self.metrics]
        return tuple(dict.fromkeys(n for name, d in every for n in (name if d is None else d.of_metric,) if n))

    def steps(self, total: int) -> tuple[int, ...]:
        """Return the steps at which to measure, increasing; the last is the horizon."""
        found = {max(1, round(total * float(a[:-1]) / 100)) if isinstance(a, str) else a for a in self.at}
        return tuple(sorted(found))

    def at_the_horizon(self, total: int) -> MeasureSettings:
        """Return the same without the earlier steps, unless some metric is worked out of what is measured there."""
        derivations = (metric_named(name).derivation for name in self.metrics)
        if any(d is not None and (d.of_metric is not None or d.where_measured) for d in derivations):
            return self
        return self.model_copy(update={"at": self.steps(total)[-1:]})
