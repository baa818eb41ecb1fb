"""The order of chaos, which a seed fixes, and the table of what came of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

EXECUTORS = ("local", "in-process")


@dataclass(frozen=True)
class Turn:
    """One thing that is done to a study."""

    kind: str
    """``formula``, ``trained`` or ``sick``."""
    scenario: str
    executor: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    turn: Turn
    seconds: float
    why: str
    """What went wrong; empty where the study survived."""

    def __str__(self) -> str:
        turn = self.turn
        came = f"FAILED {self.why}" if self.why else "survived"
        return f"{turn.kind}, {turn.scenario}, {turn.executor}, seed {turn.seed}: {came} ({self.seconds:.0f} s)"


def turns(seed: int, scenarios: Mapping[str, Sequence[str]]) -> Iterator[Turn]:
    """Yield turns for ever: in each round every scenario with every executor, in an order of its own.

    Sick trials are for worker processes: in the driver's own they would take it along.
    """
    for number in itertools.count():
        luck = random.Random(f"{seed}/{number}")
        every = [
            (kind, scenario, executor)
            for kind, names in scenarios.items()
            for scenario in names
            for executor in (EXECUTORS if kind != "sick" else EXECUTORS[:1])
        ]
        luck.shuffle(every)
        for turn in every:
            yield Turn(*turn, luck.randrange(2**32))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return in Markdown how often each scenario was tried and survived."""
    counts: dict[tuple[str, str, str], list[bool]] = {}
    for outcome in outcomes:
        turn = outcome.turn
        counts.setdefault((turn.kind, turn.scenario, turn.executor), []).append(not outcome.why)
    rows = [f"| {' | '.join(key)} | {len(came)} | {sum(came)} |" for key, came in sorted(counts.items())]
    head = ["| trials | what is done | executor | tried | survived |", "| --- | --- | --- | --- | --- |"]
    total = f"| all | | | {len(outcomes)} | {sum(not outcome.why for outcome in outcomes)} |"
    return "\n".join([*head, *rows, total]) + "\n"
