from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from harness.statistics import paired_tests as paired
from harness.statistics.exploratory import _benjamini_hochberg
from harness.statistics.family import holm
from harness.statistics.paired_blocks import PairedBlocks

SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Hours of extra sleep under two drugs, Student 1908; R prints its paired t test in the documentation of t.test."""


def pairs_of(arm, baseline, arm_failed=None, baseline_failed=None):
    arm, baseline = np.array(arm, float), np.array(baseline, float)
    none = np.zeros(len(arm), bool)
    return PairedBlocks(
        arm,
        baseline,
        none if arm_failed is None else np.array(arm_failed),
        none if baseline_failed is None else np.array(baseline_failed),
        np.zeros(len(arm), np.int64),
        0,
    )


def test_the_sleep_data_give_the_published_t_test():
    summary = paired.summarise(pairs_of(SLEEP_1, SLEEP_2))
    assert summary.mean == pytest.approx(-1.58)
    assert summary.t == pytest.approx(-4.0621, abs=5e-5)
    assert summary.p == pytest.approx(0.002833, abs=5e-7)
    assert summary.interval(0.05) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_the_sign_flip_equals_scipy_permutation_test_on_all_flips():
    d = SLEEP_1 - SLEEP_2
    reference = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert paired.sign_flip(d) == pytest.approx(reference.pvalue, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 12, 20])
def test_the_smallest_sign_flip_p_is_two_over_all_flips(n):
    assert paired.sign_flip(np.linspace(1, 2, n)) == pytest.approx(2 / 2**n)


def test_random_flips_beyond_twenty_blocks_agree_with_the_t_test_on_normal_data():
    d = np.random.default_rng(3).normal(0.4, 1, 60)
    p = paired.sign_flip(d)
    assert p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.004)
    assert paired.sign_flip(d) == p


def test_max_t_equals_brute_force_over_all_flips_with_lost_pairs():
    rng = np.random.default_rng(5)
    d = rng.normal(0.5, 1, (7, 3))
    d[2, 1] = math.nan

    def statistics(table):
        return np.abs([stats.ttest_1samp(c[np.isfinite(c)], 0).statistic for c in table.T])

    observed = statistics(d)
    largest = [statistics(d * np.array(signs)[:, None]).max() for signs in itertools.product((1, -1), repeat=7)]
    expected = [np.mean(np.array(largest) >= value - 1e-9) for value in observed]
    assert paired.max_t(d) == pytest.approx(expected)


def test_max_t_of_one_contrast_is_its_sign_flip():
    d = SLEEP_1 - SLEEP_2
    assert paired.max_t(d[:, None])[0] == pytest.approx(paired.sign_flip(d))


def test_two_one_sided_tests_equal_statsmodels():
    expected = ttost_paired(SLEEP_1, SLEEP_2, -2.0, 2.0)[0]
    assert paired.tost(paired.summarise(pairs_of(SLEEP_1, SLEEP_2)), 2.0) == pytest.approx(float(expected))


def test_variance_reduction_is_what_correlation_saves_when_spreads_are_equal():
    rng = np.random.default_rng(0)
    base = rng.normal(size=4000)
    arm = 0.8 * base + 0.6 * rng.normal(size=4000)
    rho, factor = paired.correlation(pairs_of(arm, base))
    assert rho == pytest.approx(0.8, abs=0.02)
    assert factor == pytest.approx(1 / (1 - 0.8), rel=0.06)


def test_pitman_morgan_equals_its_t_form():
    a, b = SLEEP_1, SLEEP_2 * 1.7
    sd_a, sd_b, p = paired.pitman_morgan(pairs_of(a, b))
    ratio, r = np.var(a, ddof=1) / np.var(b, ddof=1), np.corrcoef(a, b)[0, 1]
    t = (ratio - 1) * math.sqrt(8) / (2 * math.sqrt(ratio * (1 - r**2)))
    assert (sd_a, sd_b) == pytest.approx((a.std(ddof=1), b.std(ddof=1)))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 8))


@pytest.mark.parametrize(("arm_only", "baseline_only"), [(5, 0), (6, 1), (2, 2), (0, 9)])
def test_mcnemar_equals_statsmodels_exact(arm_only, baseline_only):
    arm = [True] * arm_only + [False] * baseline_only + [True, False]
    base = [False] * arm_only + [True] * baseline_only + [True, False]
    found = paired.mcnemar(pairs_of([math.nan] * len(arm), [1] * len(arm), arm, base))
    expected = mcnemar_of_statsmodels([[1, arm_only], [baseline_only, 1]], exact=True).pvalue
    assert found == (arm_only, baseline_only, pytest.approx(expected))


def test_mcnemar_without_discordant_blocks_is_one():
    assert paired.mcnemar(pairs_of([1, 2], [1, 2])) == (0, 0, 1.0)


def test_worst_rank_without_failures_is_wilcoxons_exact_test():
    rng = np.random.default_rng(8)
    a, b = rng.normal(2.0, 1, 11), rng.normal(size=11)
    found = paired.worst_ranked(pairs_of(a, b), "higher")
    assert found.p_value == pytest.approx(stats.wilcoxon(a - b, method="exact").pvalue)
    assert found.favours == "arm"


def test_a_failure_ranks_worse_than_every_value_in_either_direction():
    nan = math.nan
    for better, good in (("lower", 0.0), ("higher", 9.0)):
        pairs = pairs_of([nan, good, good], [5.0, 5.0, 5.0], [True, False, False])
        found = paired.worst_ranked(pairs, better)
        assert (found.better, found.worse) == (2, 1)
        assert found.favours == "neither"


def test_blocks_in_which_both_failed_are_ties_in_the_worst_rank_comparison():
    nan = math.nan
    found = paired.worst_ranked(pairs_of([nan, 1.0], [nan, 2.0], [True, False], [True, False]), "lower")
    assert (found.better, found.worse) == (1, 0)


@pytest.mark.parametrize("n", [1, 2, 7, 13])
def test_the_exact_signed_rank_counts_all_flips_with_ties_too(n):
    rng = np.random.default_rng(n)
    for values in (rng.normal(size=n), rng.integers(1, 4, n) * rng.choice([-1, 1], n), np.ones(n)):
        signed = np.sign(values) * stats.rankdata(np.abs(values))
        assert paired.signed_rank(signed) == pytest.approx(paired.sign_flip(signed), abs=1e-12)


def test_the_test_for_a_difference_is_guarded_by_failures_ranked_worst():
    nan = math.nan
    arm = np.array([1.0, 1.1, 0.9, 1.2, 1.05, nan, 1.0])
    pairs = pairs_of(arm, np.full(7, 3.0), np.isnan(arm))
    found = paired.difference_test(pairs, "lower")
    assert paired.summarise(pairs).p < 0.001
    assert found.p_value == paired.worst_ranked(pairs, "lower").p_value > 0.05
    assert found.favours == "arm"


def test_skewness_of_equal_differences_is_unknown():
    assert math.isnan(paired.skewness(np.array([2.0, 2.0, 2.0, 2.0])))


def test_holm_equals_statsmodels():
    p_values = np.random.default_rng(0).beta(0.3, 2, 40)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_random_flips_count_the_observed_one_so_that_p_is_never_zero():
    assert paired.sign_flip(np.linspace(1, 2, 40)) == pytest.approx(1 / (paired.FLIPS + 1))


def test_a_bound_on_the_work_turns_to_random_flips_that_agree_with_all_flips(monkeypatch):
    d = np.random.default_rng(5).normal(0.4, 1, (15, 4))
    exact = paired.max_t(d)
    monkeypatch.setattr(paired, "MOST_STATISTICS", 40_000)
    assert paired.max_t(d) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("n", [4, 7, 20])
def test_closed_forms_are_those_of_scipy(n):
    rng = np.random.default_rng(n)
    arm, baseline = rng.lognormal(size=(2, n))
    pairs = pairs_of(arm, baseline)
    assert paired.skewness(arm - baseline) == pytest.approx(stats.skew(arm - baseline, bias=False))
    expected = stats.pearsonr(arm + baseline, arm - baseline).pvalue
    assert paired.pitman_morgan(pairs)[2] == pytest.approx(expected)
    for failed in range(n + 1):
        both = np.arange(n) < failed
        *_, p = paired.mcnemar(pairs_of(arm, baseline, both, ~both))
        assert p == pytest.approx(stats.binomtest(failed, n).pvalue)


def test_p_values_of_exploration_are_adjusted_as_scipy_does():
    for p in (np.array([]), np.array([0.03]), np.array([0.01, 0.04, 0.03, 0.04, 0.9])):
        adjusted = stats.false_discovery_control(p) if len(p) else p
        assert _benjamini_hochberg(p) == pytest.approx(adjusted)
