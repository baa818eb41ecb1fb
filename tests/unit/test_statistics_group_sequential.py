from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.statistics import Verdict, analyse, boundaries, next_look
from harness.statistics import group_sequential as looks
from harness.statistics.paired_tests import Summary
from harness.statistics.stage_wise import stage_wise

SCHEDULE = (6, 9, 12, 16, 20)


def table(differences, arm="b"):
    rng = np.random.default_rng(1)
    base = rng.normal(10, 1, len(differences))
    rows = [(i, "a", x) for i, x in enumerate(base)]
    rows += [(i, arm, x + d) for i, (x, d) in enumerate(zip(base, differences, strict=True))]
    return pd.DataFrame(rows, columns=["unit", "arm", "value"])


def asked(differences, schedule=SCHEDULE, margin=1.0):
    found = analyse(table(differences), baseline="a", better="lower", scale="raw", margin=margin, looks=schedule)
    return found, found.contrasts[0]


def test_boundaries_agree_with_the_published_calibration_for_five_looks():
    assert boundaries(SCHEDULE) == pytest.approx((0.0032, 0.0078, 0.0133, 0.0212, 0.0293), rel=0.025)


def test_equal_nominal_levels_are_pococks():
    found = boundaries(SCHEDULE, shape=0.5)
    assert found == pytest.approx([0.0155] * 5, rel=0.025)


def test_boundaries_for_many_observations_are_wang_and_tsiatis_printed_constant():
    """Two equal looks with known variance: C = 2.038 at shape 0.25 (Jennison & Turnbull 2000, table 2.9)."""
    final = boundaries((5000, 10_000))[-1]
    assert stats.norm.isf(final / 2) == pytest.approx(2.038, abs=0.01)


def test_the_two_one_sided_boundary_spends_alpha_on_one_side():
    """Close to the two-sided boundary of twice the level, which misses only studies that cross on both sides."""
    one = boundaries(SCHEDULE, 0.05, sides=1)
    two = boundaries(SCHEDULE, 0.1, sides=2)
    assert one == pytest.approx([p / 2 for p in two], rel=0.02)
    mean, sd = looks.draw_statistics(SCHEDULE, 100_000, 0.0, np.random.default_rng(3))
    p = stats.t.sf(mean / sd * np.sqrt(SCHEDULE), np.array(SCHEDULE) - 1)
    assert (p <= np.array(one)).any(axis=1).mean() == pytest.approx(0.05, abs=0.003)


def test_one_look_spends_everything_at_once():
    assert boundaries((12,)) == (0.05,)


def test_a_schedule_is_calibrated_in_under_two_seconds_and_then_remembered():
    start = time.process_time()
    first = boundaries((5, 8, 11, 14, 17, 21))
    assert time.process_time() - start < 2.0
    start = time.process_time()
    assert boundaries((5, 8, 11, 14, 17, 21)) == first
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize("schedule", [(), (1, 6), (6, 6), (9, 6), (6.5, 9)])
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(HarnessError, match="growing whole numbers"):
        boundaries(schedule)


def test_the_sequential_p_at_the_boundary_is_alpha():
    for k, p in enumerate(boundaries(SCHEDULE)):
        earlier = [0.9] * k
        assert looks.sequential_p(SCHEDULE, [*earlier, p])[-1] == pytest.approx(0.05, abs=1e-3)


def test_the_statistics_drawn_at_looks_have_the_right_distribution():
    rng = np.random.default_rng(0)
    mean, sd = looks.draw_statistics((2, 3, 10), 200_000, 0.7, rng)
    assert mean.mean(axis=0) == pytest.approx([0.7] * 3, abs=0.01)
    assert mean.std(axis=0) == pytest.approx([1 / math.sqrt(n) for n in (2, 3, 10)], rel=0.01)
    assert (sd**2).mean(axis=0) == pytest.approx([1.0] * 3, rel=0.02)
    assert (sd**2).var(axis=0) == pytest.approx([2 / (n - 1) for n in (2, 3, 10)], rel=0.05)
    assert np.corrcoef(mean[:, 1], mean[:, 2])[0, 1] == pytest.approx(math.sqrt(3 / 10), abs=0.01)


def test_the_anytime_interval_is_where_the_e_value_reaches_one_over_alpha():
    summary = Summary(9, 0.8, 1.3)
    low, high = looks.anytime_interval(summary)
    assert looks.e_value(summary, low) == pytest.approx(20)
    assert looks.e_value(summary, high) == pytest.approx(20)
    assert looks.e_value(summary, summary.mean) == pytest.approx(10**-0.5)


def test_no_anytime_interval_exists_below_five_blocks():
    assert math.isnan(looks.anytime_interval(Summary(4, 0.8, 1e-3))[0])
    assert not math.isnan(looks.anytime_interval(Summary(5, 0.8, 1e-3))[0])


def test_before_the_first_look_nothing_is_decided_however_clear_it_is():
    found, c = asked([-5.0, -5.1, -4.9, -5.05, -4.95])
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.look.rule == "before the first look"
    assert next_look(found) == (6, ("b",))


def test_a_clear_difference_is_decided_at_the_first_look_and_later_blocks_play_no_part():
    d = [-5.0, -5.1, -4.9, -5.05, -4.95, -5.02, 40.0, 40.0]
    found, c = asked(d)
    assert (c.verdict, c.n, c.look.number, c.look.unused) == (Verdict.HELPS, 6, 1, 2)
    assert "2 blocks more played no part" in c.sentence
    assert next_look(found) == (None, ())


def test_between_looks_the_last_look_counts():
    d = list(np.random.default_rng(0).normal(0, 3, 8))
    found, c = asked(d)
    assert (c.look.blocks, c.look.number, c.n) == (6, 1, 6)
    assert next_look(found) == (9, ("b",))


def test_the_repeated_interval_uses_the_nominal_level_of_its_look():
    d = np.random.default_rng(2).normal(0, 3, 9)
    _, c = asked(list(d))
    summary = Summary(9, float(d.mean()), float(d.std(ddof=1)))
    assert (c.ci.low, c.ci.high) == pytest.approx(summary.interval(boundaries(SCHEDULE)[1]))
    assert (c.ci.kind, c.ci.level) == ("repeated", 0.95)


def test_a_small_difference_is_called_equivalent_as_soon_as_the_interval_is_inside():
    _, c = asked(list(np.random.default_rng(4).normal(0, 0.2, 6)))
    assert (c.verdict, c.look.number) == (Verdict.EQUIVALENT, 1)


def test_blocks_beyond_the_schedule_are_judged_by_the_anytime_interval_and_it_says_so():
    rng = np.random.default_rng(11)
    d = rng.normal(0.0, 3, 6)
    d = np.concatenate([d - d.mean(), rng.normal(-3, 1.0, 30)])
    _, c = asked(list(d), schedule=(4, 6))
    assert c.look.rule == "anytime-valid"
    assert c.verdict is Verdict.HELPS
    assert c.look.e_value is not None
    assert c.look.e_value > 20
    assert "beyond the schedule" in c.sentence


def test_the_last_look_without_a_decision_is_inconclusive_and_has_no_next():
    found, c = asked(list(np.random.default_rng(6).normal(0, 3, 20)))
    assert (c.verdict, c.look.next) == (Verdict.INCONCLUSIVE, None)
    assert next_look(found) == (None, ("b",))


def test_arms_that_stopped_early_do_not_lose_pairs_to_later_blocks():
    clear = table([-5.0, -5.1, -4.9, -5.05, -4.95, -5.02], arm="b")
    noisy = table(list(np.random.default_rng(1).normal(0, 3, 9)), arm="c")
    rows = pd.concat([noisy, clear[clear["arm"] == "b"]])
    found = analyse(rows, baseline="a", better="lower", scale="raw", margin=1.0, looks=SCHEDULE)
    assert (found.contrast("b").n, found.contrast("b").pairs_lost) == (6, 0)
    assert next_look(found) == (12, ("c",))


def test_an_arm_that_waits_is_looked_at_again_when_another_is_decided():
    """At the first look 'c' misses half of alpha; at the second, 'b' is decided and 'c' passes by its first look."""
    rng = np.random.default_rng(0)

    def exactly(mean, n):
        d = rng.normal(0, 1, n)
        return list((d - d.mean()) / d.std(ddof=1) + mean)

    schedule = (10, 20)
    first, second = boundaries(schedule, 0.025)[0], boundaries(schedule, 0.05)[0]
    t = stats.t.isf((first + second) / 4, 9)
    waiting = exactly(t / math.sqrt(10), 10) + exactly(-t / math.sqrt(10), 10)
    late = exactly(0.0, 10) + exactly(4.0, 10)
    rows = pd.concat([table(waiting, arm="c"), table(late, arm="b").query("arm == 'b'")])
    early = analyse(rows[rows["unit"] < 10], baseline="a", better="lower", scale="raw", margin=None, looks=schedule)
    assert not any(c.decided for c in early.contrasts)
    both = analyse(rows, baseline="a", better="lower", scale="raw", margin=None, looks=schedule)
    assert (both.contrast("b").verdict, both.contrast("b").look.number) == (Verdict.HURTS, 2)
    assert (both.contrast("c").verdict, both.contrast("c").look.number) == (Verdict.HURTS, 1)


def test_a_raw_percentage_margin_stays_the_same_over_looks():
    early = asked(list(np.random.default_rng(2).normal(0, 3, 6)), margin="10%")[1]
    late = asked(list(np.random.default_rng(2).normal(0, 3, 20)), margin="10%")[1]
    base = table([0] * 20)
    expected = base[base["arm"] == "a"]["value"].head(6).mean() * 0.1
    assert early.equivalence.margin == pytest.approx(late.equivalence.margin, rel=0.2)
    assert late.equivalence.margin == pytest.approx(expected)


def test_the_bounds_of_a_very_clear_difference_after_few_blocks_are_found_however_far_they_are():
    summary = Summary(4, -0.22, 0.002)
    ordered = stage_wise((3, 4), 1, summary, 0.025)
    assert ordered is not None
    assert ordered.low < ordered.estimate < ordered.high < 0
    assert ordered.estimate >= summary.mean - 1e-3
