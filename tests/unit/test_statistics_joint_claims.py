"""Rankings and spreads: published numbers, closed forms, and error rates by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.statistics.joint_claims import spreads, trend

ARMS = ("a", "b", "c")


def long(values, arms=ARMS, failed=()):
    rows = [
        {"unit": block, "arm": arm, "value": value, "failed": (block, arm) in failed}
        for block, row in enumerate(values)
        for arm, value in zip(arms, row, strict=True)
    ]
    return pd.DataFrame(rows)


def exact_p(ranks):
    """Count all orders within blocks whose L reaches the observed one."""
    weights = np.arange(1, len(ranks[0]) + 1)
    observed = sum(np.dot(weights, r) for r in ranks)
    orders = list(itertools.permutations(weights))
    sums = [sum(np.dot(weights, o) for o in chosen) for chosen in itertools.product(orders, repeat=len(ranks))]
    return np.mean(np.array(sums) >= observed)


def test_the_p_value_is_the_share_of_all_orders_that_rank_as_well():
    ranks = [[1, 2, 3], [1, 3, 2], [1, 2, 3]]
    result = trend(long(ranks), ARMS, "lower")
    assert (result.statistic, result.blocks) == (41, 3)
    assert result.p_value == pytest.approx(exact_p(ranks))
    assert result.p_reversed == pytest.approx(exact_p([r[::-1] for r in ranks]))


def test_a_reversed_order_is_contradicted():
    values = [[1.0, 2.0, 3.0]] * 4
    assert trend(long(values), ARMS, "lower").outcome(0.05) == "supported"
    assert trend(long(values), ARMS[::-1], "lower").outcome(0.05) == "contradicted"
    assert trend(long(values), ARMS, "higher").outcome(0.05) == "contradicted"


@given(st.lists(st.permutations([1.0, 2.0, 3.0]), min_size=2, max_size=6))
def test_the_order_of_the_rows_and_a_monotone_scale_change_nothing(values):
    table = long(values)
    result = trend(table, ARMS, "lower")
    moved = table.assign(value=np.exp(table["value"])).sample(frac=1.0, random_state=0)
    assert trend(moved, ARMS, "lower") == result


def test_a_failed_trial_ranks_last():
    values = [[1.0, 2.0, math.nan]] * 4
    failed = {(block, "c") for block in range(4)}
    assert trend(long(values, failed=failed), ARMS, "lower").outcome(0.05) == "supported"
    assert trend(long(values, failed=failed), ARMS, "higher").outcome(0.05) == "not settled"


def test_blocks_without_a_row_of_every_arm_are_left_out():
    table = long([[1.0, 2.0, 3.0]] * 3).iloc[:-1]
    assert trend(table, ARMS, "lower").blocks == 2


@pytest.mark.parametrize("order", [("a", "b"), ("a", "b", "a")])
def test_a_ranking_is_of_three_different_arms(order):
    with pytest.raises(DataError, match="three different arms"):
        trend(long([[1.0, 2.0, 3.0]] * 3), order, "lower")


def test_arms_that_do_not_differ_are_seldom_ranked():
    rng = np.random.default_rng(0)
    outcomes = [trend(long(rng.standard_normal((6, 3))), ARMS, "lower").outcome(0.05) for _ in range(400)]
    assert outcomes.count("supported") / 400 <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 400)


def factorial_table(blocks, value):
    cells = itertools.product(range(blocks), ("none", "convs"), (1, 2, 4))
    return pd.DataFrame(
        [{"unit": b, "sn": sn, "lr": lr, "value": value(b, sn, lr), "failed": False} for b, sn, lr in cells]
    )


def test_the_spread_is_the_standard_deviation_over_levels():
    table = factorial_table(2, lambda b, sn, lr: float(lr) if sn == "none" else 10.0 + b)
    result = spreads(table, "sn", "lr", "raw").set_index(["unit", "arm"])["value"]
    assert result[0, "none"] == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert result[1, "convs"] == 0.0


def test_on_the_log_scale_a_factor_changes_no_spread():
    table = factorial_table(1, lambda _b, sn, lr: lr * (1.0 if sn == "none" else 7.0))
    first, second = spreads(table, "sn", "lr", "log")["value"]
    assert first == pytest.approx(second)


def test_a_failed_trial_makes_its_spread_a_failure_and_a_missing_one_leaves_it_out():
    table = factorial_table(2, lambda _b, _sn, lr: float(lr))
    table.loc[0, "failed"] = True
    result = spreads(table.iloc[:-1], "sn", "lr", "raw")
    assert len(result) == 3
    assert result["failed"].tolist() == [True, False, False]
