"""Facts about cost: how each arm's size and work differ from the baseline's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.models.cost import NetworkCost
from harness.preflight.facts.fact import Fact, Inspected

COSTS = {
    "parameters_g": "parameters of G",
    "parameters_d": "parameters of D",
    "macs_g": "multiply-adds of G",
    "macs_d": "multiply-adds of D",
    "activation_bytes": "bytes of activations",
}
assert set(COSTS) == set(NetworkCost.__dataclass_fields__)


def cost_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield how each arm's size and work differ from the baseline's."""
    base = arms[0].size
    for arm in arms[1:]:
        parts, figures = [], {}
        for name, what in COSTS.items():
            a, b = getattr(arm.size, name), getattr(base, name)
            if a != b:
                parts.append(f"{what} {a - b:+,} of {b:,} ({(a - b) / b:+.2%})")
                figures[name] = a - b
        if parts:
            yield Fact(arm.name, "; ".join(parts), figures)
