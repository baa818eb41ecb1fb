"""The order and the table of chaos; what it does to a study is `nox -s chaos`."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def plan() -> ModuleType:
    file = Path(__file__).parents[1] / "chaos" / "plan.py"
    spec = importlib.util.spec_from_file_location("chaos_plan", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chaos_plan"] = module
    spec.loader.exec_module(module)
    return module


KINDS = {"formula": (("kill", "stop", "fill"), ("local", "in-process")), "sick": (("raise",), ("local",))}
A_ROUND = 3 * 2 + 1


def test_a_round_has_every_scenario_with_every_executor_once(plan: ModuleType) -> None:
    rounds = list(itertools.islice(plan.turns(0, KINDS), 2 * A_ROUND))
    for part in (rounds[:A_ROUND], rounds[A_ROUND:]):
        done = {(turn.kind, turn.scenario, turn.executor) for turn in part}
        assert len(done) == A_ROUND
        assert ("sick", "raise", "local") in done
        assert ("sick", "raise", "in-process") not in done


def test_a_seed_fixes_order_and_luck(plan: ModuleType) -> None:
    first, again, other = (list(itertools.islice(plan.turns(seed, KINDS), 20)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({turn.seed for turn in first}) == 20


def test_the_table_counts_what_was_tried_and_survived(plan: ModuleType) -> None:
    kill, fill = (plan.Turn("formula", name, "local", 1) for name in ("kill", "fill"))
    outcomes = [plan.Outcome(kill, 1.0, ""), plan.Outcome(kill, 1.0, "rows differ"), plan.Outcome(fill, 1.0, "")]
    assert plan.table(outcomes).splitlines()[2:] == [
        "| formula | fill | local | 1 | 1 |",
        "| formula | kill | local | 2 | 1 |",
        "| all | | | 3 | 2 |",
    ]
    assert "FAILED rows differ" in str(outcomes[1])
    assert "survived" in str(outcomes[0])
