"""Controls of a study: arms whose answer is known beforehand, so that the others' answers can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.study.fields import Settings, Text
from harness.study.training_settings import OptimizerSettings

Expectation = Literal["worse", "better", "differs"]
ChangedSettings = Annotated[dict[Text, Any], Field(min_length=1)]


class PositiveControl(Settings):
    """An arm that is known to differ from the baseline."""

    settings: ChangedSettings
    """Dotted settings, and what they are in this arm."""
    expect: Expectation = "worse"
    """How it must differ from the baseline, by the primary metric."""


class NegativeControl(Settings):
    """An arm that is known not to differ from the baseline."""

    settings: ChangedSettings
    """Dotted settings, and what they are in this arm."""


def _whole(given: Any) -> Any:
    """Return a control in full; a mapping of settings is short for one that is made by them."""
    plain = isinstance(given, Mapping) and bool(given) and not {"settings", "expect"} & set(given)
    return {"settings": dict(given)} if plain else given


Positive = Annotated[PositiveControl | Literal["planted-harm"], BeforeValidator(_whole)]
Negative = Annotated[NegativeControl | Literal["a/a", "one-ulp", "no-ops"], BeforeValidator(_whole)]


class ControlSettings(Settings):
    """Arms whose answer is known. They share blocks with the others and are no part of the family of contrasts."""

    positive: Positive | None = None
    """An arm that must be told apart, else nothing is called equivalent: settings by their dotted names, with what to
    expect if it is not `worse`; or `planted-harm`, a tenth of the generator's learning rate."""
    negative: Negative | Annotated[tuple[Negative, ...], Field(max_length=20)] = ()
    """Arms that must make no difference: settings; `a/a`, the baseline with streams of its own; `one-ulp`, with one
    weight moved by one unit in the last place; `no-ops`, a blur of kernel size 1 and AdamW without weight decay."""

    @property
    def negatives(self) -> tuple[NegativeControl | str, ...]:
        """The negative controls, each once."""
        given = self.negative if isinstance(self.negative, tuple) else (self.negative,)
        return tuple(control for i, control in enumerate(given) if control not in given[:i])

    def __bool__(self) -> bool:
        return self.positive is not None or bool(self.negatives)


def planted_harm(optimizer: OptimizerSettings) -> dict[str, Any]:
    """Return settings that are known to harm: the generator learns at a tenth of its rate."""
    rate = optimizer.lr
    return {"training.optimizer": {"lr": rate / 10, "lr_discriminator": optimizer.lr_discriminator or rate}}


def of_names(names: list[str]) -> dict[str, Any]:
    """Return what `design.controls`, a list of names, was called before."""
    negative = [name for name in names if name != "planted-harm"]
    return {"positive": "planted-harm" if "planted-harm" in names else None, "negative": negative}
