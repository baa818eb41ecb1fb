from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.statistics import controls


def table(a, b):
    rows = [(i, "base", x) for i, x in enumerate(a)] + [(i, "control", x) for i, x in enumerate(b)]
    return pd.DataFrame(rows, columns=["unit", "arm", "value"])


NAMES = {"arm": "control", "baseline": "base"}
HOW = {**NAMES, "better": "lower", "scale": "raw"}


def a_a(rows: pd.DataFrame, **how: object) -> controls.Control:
    return controls.negative(rows, kind="a-a", **how)


def test_a_no_op_passes_only_when_every_value_is_bit_equal():
    assert controls.no_op(table([1.1, 2.2], [1.1, 2.2]), **NAMES).passed
    moved = controls.no_op(table([1.1, 2.2], [1.1, np.nextafter(2.2, 3)]), **NAMES)
    assert moved.passed is False
    assert "differs in 1 of 2 blocks" in moved.sentence


def test_a_no_op_that_fails_where_the_baseline_does_not_is_found():
    assert controls.no_op(table([1.1, 2.2], [1.1, math.nan]), **NAMES).passed is False
    assert controls.no_op(table([1.1, math.nan], [1.1, math.nan]), **NAMES).passed


def test_a_control_without_common_blocks_passes_nothing():
    rows = pd.DataFrame([(0, "base", 1.0), (1, "control", 1.0)], columns=["unit", "arm", "value"])
    assert controls.no_op(rows, **NAMES).passed is None


def test_an_a_a_arm_with_a_hidden_shift_fails_and_an_honest_one_passes():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 12), rng.normal(0, 1, 12)
    honest, shifted = a_a(table(a, b), **HOW), a_a(table(a, b + 5), **HOW)
    assert honest.passed
    assert shifted.passed is False
    assert "cannot be trusted" in shifted.sentence
    assert honest.floor == pytest.approx(shifted.floor)


def test_an_a_a_arm_that_keeps_failing_fails():
    rng = np.random.default_rng(0)
    assert a_a(table(rng.normal(0, 1, 9), [math.nan] * 9), **HOW).passed is None
    b = rng.normal(0, 1, 12)
    b[:10] = math.nan
    assert a_a(table(rng.normal(0, 1, 12), b), **HOW).passed is False


def test_one_block_of_an_a_a_arm_tells_nothing():
    assert a_a(table([1.0], [2.0]), **HOW).passed is None


def test_a_a_fails_about_one_honest_study_in_a_hundred():
    rng = np.random.default_rng(1)
    found = [a_a(table(rng.normal(0, 1, 6), rng.normal(0, 1, 6)), **HOW) for _ in range(150)]
    assert sum(not c.passed for c in found) <= 6
    assert controls.uniform([c.p_value for c in found]) > 0.001


def test_p_values_that_are_not_uniform_show():
    assert controls.uniform(list(np.linspace(0, 0.3, 50))) < 1e-6


def differences(*d: float) -> pd.DataFrame:
    base = np.linspace(100.0, 110.0, len(d))
    return table(base, base + np.array(d))


def positive(rows: pd.DataFrame, **changes: object) -> controls.Control:
    return controls.positive(rows, **{**HOW, "margin": 2.0, **changes})


WORSE = differences(5.0, 5.4, 4.8, 5.1, 4.9, 5.3)
SMALL = differences(1.0, 1.1, 0.9, 1.0, 1.05, 0.95)
NOISE = differences(5.0, -5.4, 4.8, -5.1, 4.9, -5.3)


@pytest.mark.parametrize(
    ("rows", "changes", "outcome"),
    [
        (WORSE, {}, "told apart"),
        (WORSE, {"expect": "differs"}, "told apart"),
        (WORSE, {"expect": "better"}, "the other way"),
        (WORSE, {"better": "higher"}, "the other way"),
        (WORSE, {"better": "higher", "expect": "better"}, "told apart"),
        (WORSE, {"margin": None}, "told apart"),
        (NOISE, {}, "not told apart"),
        # A margin that holds what is known to matter could not tell (ICH E10, 1.5.1.1).
        (SMALL, {}, "not told apart"),
        (SMALL, {"margin": 0.5}, "told apart"),
        (WORSE[WORSE["unit"] == 0], {}, "too few blocks"),
        (WORSE, {"looks": (9, 12)}, "too few blocks"),
        (WORSE, {"looks": (4, 6)}, "told apart"),
    ],
)
def test_a_positive_control_is_told_apart_by_its_values_in_the_direction_that_was_expected(
    rows: pd.DataFrame, changes: dict[str, object], outcome: str
) -> None:
    found = positive(rows, **changes)
    assert found.outcome == outcome
    assert found.passed is {"told apart": True, "too few blocks": None}.get(outcome, False)
    assert outcome.removeprefix("the ") in found.sentence
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_positive_control_that_only_fails_tells_nothing_by_its_values() -> None:
    rng = np.random.default_rng(0)
    base, own = rng.normal(100, 1, 14), rng.normal(100, 1, 14)
    own[:12] = math.nan
    found = positive(table(base, own))
    assert (found.outcome, found.passed) == ("not told apart", False)
    assert "only its failures differ" in found.sentence


def test_a_positive_control_says_how_much_with_interval_unit_and_count() -> None:
    found = positive(WORSE, metric="hours", name="positive control (dose=0)")
    assert found.sentence.startswith(
        "Positive control (dose=0): told apart, worse as expected: hours 5.08 higher (95 % "
    )
    assert found.sentence.endswith("higher, 6 pairs).")


def test_a_control_that_differs_by_less_than_the_margin_says_how_little_equivalence_means_then() -> None:
    noisy = differences(1.0, 2.6, 0.4, 1.9, 2.3, 1.4)
    found = positive(noisy, margin=2.0)
    assert found.outcome == "told apart"
    assert found.sentence.endswith("less than the margin, so as large a difference counts as none that matters.")
    assert "less than the margin" not in positive(WORSE).sentence


def test_a_positive_control_is_found_by_chance_as_often_as_its_level_says() -> None:
    rng = np.random.default_rng(3)
    found = [
        positive(differences(*rng.normal(0, 1, 6)), margin=0.1, looks=(4, 6), expect="differs") for _ in range(120)
    ]
    assert sum(c.outcome == "told apart" for c in found) <= 120 * 0.05 + 3 * math.sqrt(120 * 0.05 * 0.95)


def test_controls_need_no_more_blocks_once_they_are_told() -> None:
    assert positive(WORSE).decided
    assert not positive(NOISE).decided
    equal, spread = differences(0.1, -0.1, 0.05, -0.05, 0.1, -0.1), differences(3.0, -3.0, 3.0, -3.0, 2.0, -2.0)
    assert a_a(equal, **HOW, margin=2.0).decided
    assert not a_a(spread, **HOW, margin=2.0).decided


def test_one_ulp_tells_when_the_match_is_forgotten():
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 10)
    steps = {s: table(base, base + size * rng.normal(0, 1, 10)) for s, size in ((50, 1e-6), (100, 0.01), (200, 1.0))}
    found = controls.one_ulp(steps, **HOW)
    assert found.passed
    assert [c["step"] for c in found.curve] == [50, 100, 200]
    assert found.curve[0]["share_of_unmatched"] < 1e-5
    assert "forgotten its match by step 200" in found.sentence
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_forgetting_curve_is_a_share_of_what_two_unmatched_trainings_show():
    base = np.array([0.0, 1.0, 2.0, 3.0])
    found = controls.one_ulp({10: table(base, base + np.array([0.1, -0.1, 0.1, -0.1]))}, **HOW)
    assert found.curve[0]["difference"] == pytest.approx(0.1)
    assert found.curve[0]["share_of_unmatched"] == pytest.approx(0.1 / math.sqrt(2 * 5 / 3))


def test_one_ulp_that_stays_matched_says_so_and_no_steps_are_refused():
    base = np.random.default_rng(0).normal(0, 1, 10)
    assert "still matched" in controls.one_ulp({10: table(base, base)}, **HOW).sentence
    with pytest.raises(HarnessError, match="no steps"):
        controls.one_ulp({}, **HOW)


def test_a_control_without_its_arm_is_refused():
    with pytest.raises(HarnessError, match="no rows of arm 'x'"):
        controls.no_op(table([1.0], [1.0]), arm="x", baseline="base")
