"""What a metric gives: a value with what is needed to read it. Each field is a column of `measurements`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _column(meaning: str, **options: Any) -> Any:
    return field(metadata={"meaning": meaning}, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a metric's function returns; fields that it leaves out are filled in or stay empty."""

    value: float | None = _column("null exactly when the trial's status says why")
    n_real: int | None = _column("real images used", default=None)
    """All that there are, unless given."""
    n_fake: int | None = _column("generated images used", default=None)
    """All that there are, unless given."""
    feature_id: str | None = _column("identity of the features; null for metrics on pixels", default=None)
    """Two values with different identities are never compared."""
    floor: float | None = _column(
        "the same metric of real images against other real images, at the same count", default=None
    )
    bias: float | None = _column(
        "first-order bias of a Fréchet distance at these counts, where the formula holds", default=None
    )
    standard_error: float | None = _column("of the estimator itself, where it has one", default=None)
    """Over the population of all images."""
    evaluation_sd: float | None = _column("spread of the value over resamples of the measured items", default=None)
    """Over fresh held-out pairs, or, without pairs, over fresh generated images."""

    def columns(self) -> dict[str, Any]:
        """Return every field by name."""
        return {item.name: getattr(self, item.name) for item in fields(Value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Value):
    """The value of one metric."""

    metric: str
    """Name of the metric."""

    @staticmethod
    def of(metric: str, value: Value, *, n_real: int, n_fake: int, feature_id: str | None = None) -> Measurement:
        """Return a metric's value with the counts and the identity that it left out."""
        known = {"n_real": n_real, "n_fake": n_fake, "feature_id": feature_id}
        filled: dict[str, Any] = {
            name: known.get(name) if own is None else own for name, own in value.columns().items()
        }
        return Measurement(metric=metric, **filled)
