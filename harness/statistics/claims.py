"""What a verdict says about a statement that somebody made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from harness.errors import DataError, did_you_mean
from harness.statistics.verdict_rule import Verdict

Settled = Literal["supported", "contradicted", "not settled", "untested"]

HELPS, HURTS, EQUAL, SMALL, OPEN, NOTHING, INVALID = (
    Verdict.HELPS,
    Verdict.HURTS,
    Verdict.EQUIVALENT,
    Verdict.NEGLIGIBLE,
    Verdict.INCONCLUSIVE,
    Verdict.NO_OP,
    Verdict.INVALID,
)

EXPECTATIONS: Mapping[str, tuple[frozenset[Verdict], frozenset[Verdict]]] = MappingProxyType(
    {
        "helps": (frozenset({HELPS}), frozenset({HURTS, EQUAL, SMALL, NOTHING})),
        "hurts": (frozenset({HURTS}), frozenset({HELPS, EQUAL, SMALL, NOTHING})),
        "difference": (frozenset({HELPS, HURTS}), frozenset({EQUAL, SMALL, NOTHING})),
        "no difference": (frozenset({EQUAL, SMALL, NOTHING}), frozenset({HELPS, HURTS})),
        "not worse": (frozenset({HELPS, EQUAL, SMALL, NOTHING}), frozenset({HURTS})),
        "not better": (frozenset({HURTS, EQUAL, SMALL, NOTHING}), frozenset({HELPS})),
        "no-op": (frozenset({NOTHING}), frozenset({HELPS, HURTS, SMALL})),
        "builds": (frozenset(Verdict) - {INVALID}, frozenset({INVALID})),
        "invalid": (frozenset({INVALID}), frozenset(Verdict) - {INVALID}),
    }
)
"""What a statement expects -> verdicts that support it, verdicts that contradict it; any other leaves it unsettled.

A difference below the margin written down in advance is no difference that matters: *equivalent* and *negligible* both
contradict "it helps" and support "no difference". *Inconclusive* settles nothing, except that the arm can be built, and
*not sensitive* leaves a statement untested, with the same exception. An arm that cannot be built (*invalid*) settles no
statement about its quality.
"""


def settle(expected: str, verdict: Verdict) -> Settled:
    """Return whether a verdict supports a statement, contradicts it, or leaves it open, by `EXPECTATIONS`.

    It leaves it untested where the experiment could not have told, and not settled for any other reason.

    Args:
        expected: ``helps``, ``hurts``, ``difference``, ``no difference``, ``not worse``, ``not better``, ``no-op``
            (changes nothing at all), ``builds`` (can be built) or ``invalid`` (cannot).
        verdict: What the contrast came to.

    Raises:
        DataError: The expectation is none of these.

    Example:
        >>> settle("no difference", Verdict.INCONCLUSIVE)
        'not settled'
    """
    if expected not in EXPECTATIONS:
        raise DataError(f"claim: '{expected}' expected{did_you_mean(str(expected), EXPECTATIONS)}")
    supports, contradicts = EXPECTATIONS[expected]
    if verdict in supports:
        return "supported"
    if verdict in contradicts:
        return "contradicted"
    return "untested" if verdict is Verdict.NOT_SENSITIVE else "not settled"
