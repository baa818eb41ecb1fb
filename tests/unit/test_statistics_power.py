from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from harness.errors import HarnessError
from harness.statistics import blocks_needed, detectable, pilot_sd, plan
from harness.statistics import power as planning


@pytest.mark.parametrize(
    ("n", "effect"), [(2, 0.3), (2, 3.0), (3, 1.0), (6, 0.0), (6, 1.0), (20, 0.3), (20, 0.8), (200, 0.1), (200, 0.2)]
)
def test_power_equals_statsmodels_noncentral_t(n, effect):
    expected = TTestPower().power(effect, n, 0.05)
    assert planning.power_of_difference(n, effect, 1.0) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("power", "expected"), [(0.8, [34, 15, 10, 8, 6, 5]), (0.9, [44, 19, 13, 10, 7, 5])])
def test_blocks_for_a_difference_agree_with_the_table_of_exact_t(power, expected):
    assert [blocks_needed(d, 1.0, power=power) for d in (0.5, 0.8, 1, 1.2, 1.5, 2)] == expected


@pytest.mark.parametrize(("power", "expected"), [(0.8, [36, 17, 11, 8, 6, 4]), (0.9, [45, 21, 13, 9, 7, 5])])
def test_blocks_for_equivalence_agree_with_the_table_of_two_one_sided_tests(power, expected):
    found = [blocks_needed(d, 1.0, goal="equivalence", power=power) for d in (0.5, 0.75, 1, 1.25, 1.5, 2)]
    assert found == expected


def test_detectable_differences_agree_with_the_table():
    found = [detectable(n, 1.0) for n in (3, 4, 5, 6, 8, 10, 12, 15, 20, 30)]
    assert found == pytest.approx([3.26, 2.13, 1.68, 1.44, 1.16, 1.00, 0.89, 0.78, 0.66, 0.53], abs=0.0056)


def test_a_plan_of_several_contrasts_tests_each_at_its_share_of_alpha():
    six = plan(blocks=8, sd=1.0, margin="1.0", scale="raw", contrasts=6)
    assert six["contrasts"] == 6
    assert six["detectable"] == pytest.approx(detectable(8, 1.0, alpha=0.05 / 6))
    assert six["blocks_for_difference"] == blocks_needed(1.0, 1.0, alpha=0.05 / 6)
    assert plan(blocks=8, sd=0.01, margin="1.0", scale="raw")["blocks_for_equivalence"] == 6


def test_the_detectable_difference_is_detected_with_the_power_asked_for():
    assert planning.power_of_difference(7, detectable(7, 0.3, power=0.9), 0.3) == pytest.approx(0.9)


def test_power_far_out_is_one_where_the_noncentral_t_of_scipy_gives_nan():
    assert planning.power_of_difference(20, 3.0, 1.0) == pytest.approx(1.0)


def test_detectable_differences_scale_with_the_spread_and_one_block_detects_nothing():
    assert detectable(8, 0.2) == pytest.approx(0.2 * detectable(8, 1.0))
    assert math.isinf(detectable(1, 1.0))


def test_power_of_equivalence_at_the_margin_is_the_error_rate():
    assert planning.power_of_equivalence(40, 1.0, 1.0, difference=1.0) == pytest.approx(0.05, abs=1e-4)


def test_unmatched_blocks_agree_with_statsmodels_power_of_two_samples():
    """With correlation 0 each arm spreads by 1 / sqrt(2) when the differences spread by 1."""
    needed = math.ceil(TTestIndPower().solve_power(0.8 * math.sqrt(2), alpha=0.05, power=0.8))
    assert planning.unmatched_blocks(0.8, 1.0, 0.0) == needed


def test_matching_saves_blocks_in_step_with_the_correlation():
    low, high = (planning.unmatched_blocks(0.5, 1.0, rho) for rho in (0.0, 0.9))
    assert high > 9 * low > 0


def test_too_many_blocks_are_none():
    assert blocks_needed(1e-6, 1.0) is None


def test_the_pilot_gives_the_spread_and_its_upper_bound():
    rng = np.random.default_rng(0)
    base = rng.normal(10, 3, 400)
    rows = [(i, "a", x) for i, x in enumerate(base)] + [(i, "b", x + rng.normal(1, 0.5)) for i, x in enumerate(base)]
    table = pd.DataFrame([*rows, (0, "c", 3.0)], columns=["unit", "arm", "value"])
    found = pilot_sd(table, baseline="a", scale="raw")
    assert set(found) == {"b"}
    n, sd, upper = found["b"]
    assert (n, sd) == (400, pytest.approx(0.5, rel=0.1))
    assert sd < upper < 1.05 * sd


def test_the_plan_answers_in_the_units_of_the_study():
    found = plan(blocks=6, sd=0.12, margin="10%", scale="log")
    assert found["margin"] == pytest.approx(math.log(1.1))
    assert found["detectable"] == pytest.approx(0.12 * 1.4345, rel=1e-3)
    assert found["detectable_change"] == pytest.approx(math.expm1(found["detectable"]))
    assert found["blocks_for_difference"] == blocks_needed(math.log(1.1), 0.12)
    assert found["blocks_for_equivalence"] == blocks_needed(math.log(1.1), 0.12, goal="equivalence")


def test_a_plan_without_a_pilot_speaks_in_standard_deviations():
    found = plan(blocks=10, sd=None, margin="10%", scale="log")
    assert found["detectable"] == pytest.approx(1.0, abs=0.01)
    assert found["blocks_for_difference"] is None


def test_a_plan_of_one_block_detects_nothing_and_no_block_is_refused():
    assert plan(blocks=1, sd=0.1, margin=None, scale="raw")["detectable"] is None
    with pytest.raises(HarnessError, match="one or more"):
        plan(blocks=0, sd=0.1, margin=None, scale="raw")
