"""The order of chaos, which a seed fixes, and the table of what came of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """One thing that is done to a study."""

    kind: str
    """``formula``, ``trained``, ``cluster`` or ``sick``."""
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


def turns(seed: int, kinds: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Iterator[Turn]:
    """Yield turns for ever: in each round every scenario with every executor, in an order of its own.

    Args:
        seed: It fixes the order, and each turn's luck.
        kinds: Of each kind its scenarios, and its executors.
    """
    for number in itertools.count():
        luck = random.Random(f"{seed}/{number}")
        every = [
            (kind, scenario, executor)
            for kind, (scenarios, executors) in kinds.items()
            for scenario in scenarios
            for executor in executors
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
