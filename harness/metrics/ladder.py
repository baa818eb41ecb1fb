"""The card of a metric: what known damages to real images cost by it, as it is stored and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.metrics.catalogue import metric_named

INVISIBLE, OTHERS = "grain of ±2/255", "all replaced"


@dataclass(frozen=True)
class Rung:
    """What one damage costs by one metric."""

    metric: str
    damage: str
    value: float | None
    """Of the damaged images against the undamaged ones."""
    undamaged: float | None
    """Of the images against themselves: the best there is."""
    floor: float | None
    """Of real images against other real images at these counts, where the metric has one."""

    @property
    def cost(self) -> float | None:
        """How much worse than undamaged; negative where the metric takes the damage for an improvement."""
        if self.value is None or self.undamaged is None:
            return None
        gap = self.value - self.undamaged
        return gap if metric_named(self.metric).better == "lower" else -gap


def card(rungs: Sequence[Rung]) -> dict[str, dict[str, Rung]]:
    """Return the rungs by metric and damage, in their order."""
    cards: dict[str, dict[str, Rung]] = {}
    for rung in rungs:
        cards.setdefault(rung.metric, {})[rung.damage] = rung
    return cards


def of_others(rungs: Sequence[Rung], metric: str, damage: str) -> float | None:
    """Return a damage's cost as a share of that of other images altogether; None where that costs nothing."""
    costs = {name: rung.cost for name, rung in card(rungs).get(metric, {}).items()}
    whole, part = costs.get(OTHERS), costs.get(damage)
    return None if whole is None or part is None or whole <= 0 else part / whole
