from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from harness.statistics import analyse, render_simulation, simulate
from harness.statistics.many_studies import at_looks, draw, judged_studies
from harness.statistics.simulation import LOOKS


@pytest.mark.parametrize("looks", [LOOKS, (10,), (4, 6)])
@pytest.mark.parametrize(("arms", "studies"), [(1, 12), (4, 6), pytest.param(4, 200, marks=pytest.mark.slow)])
def test_the_simulated_rule_is_the_rule_of_the_product(arms, studies, looks):
    rng = np.random.default_rng(7)
    base = rng.normal(0, 1, (studies, looks[-1]))
    d = rng.normal(0, 1, (studies, arms, looks[-1])) - rng.choice([0.0, 0.6, 1.2], (studies, arms, 1))
    judged = judged_studies(*at_looks(d, looks), looks, 1.0, 0.05)
    for i in range(len(d)):
        rows = [(u, "a", x) for u, x in enumerate(base[i])]
        rows += [(u, f"b{k}", x) for k in range(arms) for u, x in enumerate(base[i] + d[i, k])]
        table = pd.DataFrame(rows, columns=["unit", "arm", "value"])
        schedule = looks if len(looks) > 1 else None
        analysis = analyse(table, baseline="a", better="lower", scale="raw", margin=1.0, looks=schedule)
        for k, c in enumerate(analysis.contrasts):
            assert c.verdict.value == judged.verdicts[i, k]
            assert (c.estimate, c.ci.low, c.ci.high) == pytest.approx(
                (judged.estimate[i, k], judged.low[i, k], judged.high[i, k])
            )
            assert c.look.blocks <= judged.blocks[i, k]


@pytest.mark.parametrize("shape", ["normal", "t3", "lognormal"])
def test_errors_have_mean_zero_and_spread_one(shape):
    errors = draw(shape, (200_000, 2), np.random.default_rng(0))
    assert errors.mean() == pytest.approx(0, abs=0.01)
    assert errors.std() == pytest.approx(1, abs=0.06)


def test_error_rates_in_a_quick_simulation():
    found = simulate(repeats=4_000, seed=3)
    null = found["operating"][0]
    normal = found["type_one"][0]
    assert normal["scheduled_any_look"] <= 0.05 + 0.011
    assert normal["scheduled_verdicts"] <= normal["scheduled_any_look"]
    assert normal["naive_every_block"] > 3 * normal["scheduled_verdicts"]
    assert normal["anytime"] <= 0.05
    assert null["scheduled"]["equivalent"] > 0.9
    assert found["operating"][2]["scheduled"]["helps"] > 0.94
    covered = [row["coverage"] for row in found["coverage"] if row["errors"] == "normal"]
    assert covered == pytest.approx([0.95] * 3, abs=0.014)
    for row in found["equivalence_power"]:
        assert row["simulated"] == pytest.approx(row["predicted"], abs=0.03)
    for row in found["operating"]:
        assert sum(row["scheduled"].values()) == pytest.approx(1)
        assert row["coverage"] >= 0.95


def test_several_arms_are_simulated_as_one_family():
    found = simulate(contrasts=6, effects=(0.0, 1.0), repeats=2_000, seed=3)
    assert [row["false_difference"] <= 0.05 + 0.02 for row in found["operating"]] == [True, True]
    assert found["operating"][1]["scheduled"]["helps"] > 0.85
    normal = found["type_one"][0]
    assert normal["fixed"] <= 0.05 + 0.02 < 0.15 < normal["fixed_uncorrected"]
    assert "6 arms, one of which has the effect" in render_simulation(found)


def test_the_simulation_is_the_same_twice_and_its_text_and_json_are_whole():
    first, second = simulate(repeats=300), simulate(repeats=300)
    assert first == second
    json.dumps(first, allow_nan=False)
    text = render_simulation(first)
    assert "300 simulated studies" in text
    assert "naive" in text


@pytest.mark.slow
def test_the_promised_error_rates_hold():
    """Standard errors at 100,000 studies: 0.0007 at 0.05; bounds allow four of them."""
    found = simulate(repeats=100_000, seed=20)
    normal, t3, _ = found["type_one"]
    assert normal["scheduled_any_look"] <= 0.05 + 0.003
    assert normal["scheduled_verdicts"] <= 0.05
    assert t3["scheduled_any_look"] <= 0.05
    assert normal["naive_every_block"] > 0.15
    assert all(0.93 <= row["coverage"] <= 0.97 for row in found["coverage"] if row["errors"] == "normal")
    operating = {row["effect"]: row for row in found["operating"]}
    # Judged by the interval for a difference, equivalence took 14.3 blocks and was found in 0.936.
    assert operating[0.0]["scheduled"]["equivalent"] == pytest.approx(0.961, abs=0.006)
    assert operating[0.0]["mean_blocks"] == pytest.approx(12.4, abs=0.1)
    assert operating[1.0]["scheduled"]["helps"] == pytest.approx(0.955, abs=0.006)
    assert all(row["coverage"] >= 0.95 for row in found["operating"])
    for row in found["equivalence_power"]:
        assert row["simulated"] == pytest.approx(row["predicted"], abs=0.007)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [(5, 8, 11), (4, 5, 6, 7, 8, 9, 10), (10, 40, 160)])
def test_any_schedule_keeps_its_error_rate(schedule):
    found = simulate(looks=schedule, effects=(0.0,), repeats=60_000, seed=4)
    assert found["type_one"][0]["scheduled_any_look"] == pytest.approx(0.05, abs=0.004)


@pytest.mark.slow
def test_whole_analyses_with_failures_keep_the_error_rate():
    """Arms that fail at random as often as the baseline, under the null: a verdict of help or hurt in at most 5 %."""
    rng = np.random.default_rng(0)
    wrong = 0
    count = 1_500
    for _ in range(count):
        values = rng.normal(0, 1, (2, 10))
        values[rng.random((2, 10)) < 0.15] = np.nan
        rows = [(u, arm, values[k, u]) for k, arm in enumerate("ab") for u in range(10)]
        table = pd.DataFrame(rows, columns=["unit", "arm", "value"])
        c = analyse(table, baseline="a", better="lower", scale="raw", margin=None).contrasts[0]
        wrong += c.verdict in ("helps", "hurts")
    assert wrong / count <= 0.05 + 4 * (0.05 * 0.95 / count) ** 0.5
