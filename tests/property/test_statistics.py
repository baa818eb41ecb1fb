"""Laws of the analysis, on tables that nobody would choose."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import HarnessError
from harness.statistics import Verdict, analyse, factorial, render, settle
from harness.statistics.claims import EXPECTATIONS
from harness.statistics.group_sequential import boundaries, sequential_p
from harness.statistics.paired_tests import sign_flip

numbers = st.floats(-50, 50).map(lambda x: round(x, 3))


@st.composite
def tables(draw, arms=("a", "b", "c"), smallest=2, hostile=False):
    n = draw(st.integers(smallest, 9))
    rows = []
    for unit in range(n):
        for arm in arms:
            if hostile and draw(st.integers(0, 9)) == 0:
                continue
            value = None if hostile and draw(st.integers(0, 6)) == 0 else draw(numbers)
            rows.append((unit, arm, value))
    return pd.DataFrame(rows, columns=["unit", "arm", "value"]).astype({"value": float})


def ask(table, **options):
    return analyse(table, **{"baseline": "a", "better": "lower", "scale": "raw", "margin": 2.0, **options})


@given(table=tables(), seed=st.integers(0, 10))
def test_the_order_of_rows_does_not_matter(table, seed):
    shuffled = table.sample(frac=1, random_state=seed)
    one = {c.arm: c for c in ask(table, looks=(2, 4, 7)).contrasts}
    two = {c.arm: c for c in ask(shuffled, looks=(2, 4, 7)).contrasts}
    assert one == two


@given(table=tables(arms=("a", "b")))
def test_swapping_arm_and_baseline_turns_the_contrast_around(table):
    one, two = ask(table).contrasts[0], ask(table, baseline="b").contrasts[0]
    assert two.estimate == pytest.approx(-one.estimate, abs=1e-12)
    mirrored = {Verdict.HELPS: Verdict.HURTS, Verdict.HURTS: Verdict.HELPS}.get(one.verdict, one.verdict)
    assert two.verdict is mirrored
    assert (two.p_value, two.p_sign_flip) == (one.p_value, one.p_sign_flip)
    if one.ci.low is not None:
        assert (two.ci.low, two.ci.high) == pytest.approx((-one.ci.high, -one.ci.low))


@given(table=tables(), shifts=st.lists(st.integers(-64, 64), min_size=9, max_size=9))
def test_adding_a_constant_to_a_block_changes_no_estimate(table, shifts):
    moved = table.assign(value=table["value"] + table["unit"].map(dict(enumerate(shifts))))
    for one, two in zip(ask(table).contrasts, ask(moved).contrasts, strict=True):
        assert two.estimate == pytest.approx(one.estimate, abs=1e-9)
        assert two.sd == pytest.approx(one.sd, abs=1e-9)


@given(table=tables(), factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_other_units_of_measurement_give_the_same_verdict(table, factor):
    scaled = table.assign(value=table["value"] * factor)
    for one, two in zip(ask(table).contrasts, ask(scaled, margin=2.0 * factor).contrasts, strict=True):
        assert two.verdict is one.verdict
        assert two.p_value == one.p_value
        assert two.estimate == pytest.approx(one.estimate * factor)


@given(table=tables())
def test_the_log_scale_is_the_raw_scale_of_logarithms(table):
    positive = table.assign(value=np.exp(table["value"] / 50))
    logs = positive.assign(value=np.log(positive["value"]))
    for one, two in zip(
        ask(positive, scale="log", margin="10%").contrasts, ask(logs, margin=math.log(1.1)).contrasts, strict=True
    ):
        assert (one.estimate, one.t, one.verdict) == (two.estimate, two.t, two.verdict)


@given(table=tables())
def test_better_the_other_way_round_swaps_helps_and_hurts_only(table):
    swap = {Verdict.HELPS: Verdict.HURTS, Verdict.HURTS: Verdict.HELPS}
    for one, two in zip(ask(table).contrasts, ask(table, better="higher").contrasts, strict=True):
        assert two.verdict is swap.get(one.verdict, one.verdict)
        assert two.ci == one.ci


@given(table=tables(arms=("a", "b"), smallest=3))
def test_estimates_equal_scipys_paired_t_test(table):
    wide = table.pivot(index="unit", columns="arm", values="value")
    for c in ask(table).contrasts:
        d = wide[c.arm] - wide["a"]
        if np.ptp(d) < 1e-9:
            continue
        reference = stats.ttest_rel(wide[c.arm], wide["a"])
        interval = reference.confidence_interval()
        assert (c.t, c.p_value) == pytest.approx((reference.statistic, reference.pvalue))
        assert (c.ci.low, c.ci.high) == pytest.approx((interval.low, interval.high))


@given(table=tables(smallest=3), gone=st.integers(0, 2))
def test_a_missing_cell_of_one_arm_changes_nothing_about_another(table, gone):
    torn = table[~((table["unit"] == gone) & (table["arm"] == "c"))]
    keys = ("n", "estimate", "sd", "t", "p_value", "p_sign_flip", "verdict_uncorrected")
    one, two = ask(table).contrast("b"), ask(torn).contrast("b")
    assert [getattr(one, k) for k in keys] == [getattr(two, k) for k in keys]
    assert ask(torn).contrast("c").pairs_lost == 1


@given(table=tables(smallest=1, hostile=True), looks=st.sampled_from([None, (2, 4), (3, 5, 8)]))
def test_any_table_gives_json_without_nan_and_a_sentence_an_arm_or_a_message(table, looks):
    arms = set(table["arm"])
    if "a" not in arms or len(arms) < 2:
        with pytest.raises(HarnessError, match=r"no rows|no arm 'a'|only the arm"):
            ask(table, looks=looks)
        return
    found = ask(table, looks=looks)
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert all(c["sentence"].endswith(".") and "nan" not in c["sentence"].lower() for c in document["contrasts"])
    assert "None" not in render(document)
    for c in document["contrasts"]:
        assert c["n"] + c["pairs_lost"] <= found.blocks
        adjusted = [p for p in (c["p_holm"], c["p_max_t"]) if p is not None]
        assert all(0 < p <= 1 for p in adjusted)


@given(table=tables(smallest=3))
def test_adjusted_p_values_are_never_smaller_than_plain_ones(table):
    for c in ask(table).contrasts:
        if c.p_value is not None:
            assert c.p_holm >= c.p_value
        assert c.p_max_t is None or c.p_max_t >= c.p_sign_flip - 1e-12


@given(table=tables(), margins=st.tuples(st.floats(0.01, 20), st.floats(1.1, 4)))
def test_a_wider_margin_never_opens_a_decided_contrast(table, margins):
    narrow, factor = margins
    for one, two in zip(ask(table, margin=narrow).contrasts, ask(table, margin=narrow * factor).contrasts, strict=True):
        if one.decided:
            assert two.decided
        assert one.verdict_double_margin is ask(table, margin=narrow * 2).contrast(one.arm).verdict


@given(d=st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_the_sign_flip_counts_all_flips(d):
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(d))).reshape(len(d), -1)
    sums = np.abs(np.array(d) @ signs)
    assert sign_flip(np.array(d, float)) == pytest.approx(np.mean(sums >= abs(sum(d))))


@settings(max_examples=4)
@given(steps=st.lists(st.integers(1, 6), min_size=2, max_size=4))
def test_every_schedule_has_growing_boundaries_below_alpha_and_consistent_p_values(steps):
    looks = tuple(int(n) for n in 3 + np.cumsum(steps))
    found = boundaries(looks)
    assert all(a < b for a, b in itertools.pairwise(found))
    assert found[0] > 0
    assert found[-1] <= 0.05
    assert sequential_p(looks, [found[0] / 2]) < 0.05 < sequential_p(looks, [found[0] * 2])


@given(expected=st.sampled_from(sorted(EXPECTATIONS)), verdict=st.sampled_from(list(Verdict)))
def test_helping_and_hurting_are_mirror_images_in_what_they_settle(expected, verdict):
    swap = {"helps": "hurts", "hurts": "helps", "not worse": "not better", "not better": "not worse"}
    mirror = {Verdict.HELPS: Verdict.HURTS, Verdict.HURTS: Verdict.HELPS}
    assert settle(expected, verdict) == settle(swap.get(expected, expected), mirror.get(verdict, verdict))


@given(values=st.lists(numbers, min_size=8, max_size=8), blocks=st.lists(st.integers(-30, 30), min_size=3, max_size=3))
def test_sums_of_squares_of_a_balanced_factorial_add_up_and_block_shifts_move_no_effect(values, blocks):
    rng = np.random.default_rng(0)
    cells = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    rows = pd.DataFrame(
        [
            {**dict(zip("ABC", cell, strict=True)), "block": k, "value": y + rng.normal()}
            for k in range(3)
            for cell, y in zip(cells, values, strict=True)
        ]
    )
    found = factorial(rows, factors=list("ABC"), unit="block")
    total = ((rows["value"] - rows["value"].mean()) ** 2).sum()
    parts = sum(e.sum_of_squares for e in found.effects)
    assert parts + found.block_sum_of_squares + found.residual_sum_of_squares == pytest.approx(total)
    moved = rows.assign(value=rows["value"] + rows["block"].map(dict(enumerate(blocks))))
    for one, two in zip(found.effects, factorial(moved, factors=list("ABC"), unit="block").effects, strict=True):
        assert two.estimate == pytest.approx(one.estimate, abs=1e-9)
