"""The family procedure: closed forms, published rules, and error rates by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from harness.statistics.family import holm, levels, replay
from harness.statistics.group_sequential import boundaries
from harness.statistics.many_studies import at_looks, judged_studies, shared_baseline

LOOKS = (6, 9, 12, 16, 20)
NAN = math.nan


def nothing(p):
    return np.full_like(p, NAN)


def test_holm_counts_what_cannot_be_tested_as_a_test():
    assert holm(np.array([0.005, NAN, 0.01, 0.03])) == pytest.approx([0.02, NAN, 0.03, 0.06], nan_ok=True)


def test_holm_takes_many_families_at_once():
    p = np.random.default_rng(0).beta(0.3, 2, (6, 5))
    for row, adjusted in zip(p, holm(p), strict=True):
        assert adjusted == pytest.approx(multipletests(row, method="holm")[1])


def test_levels_are_those_at_which_each_hypothesis_was_tested():
    assert levels(np.array([0.001, 0.3, 0.02, 0.9]), 0.05) == pytest.approx([0.0125, 0.05 / 3, 0.05 / 3, 0.05 / 3])
    assert levels(np.array([0.001, 0.3, 0.01]), 0.05) == pytest.approx([0.05 / 3, 0.05, 0.025])


def test_a_fixed_design_is_holms_procedure():
    p = np.random.default_rng(1).beta(0.3, 2, (10, 6))
    outcome = replay(p[..., None], nothing(p[..., None]), looks=(10,), alpha=0.05)
    expected = [multipletests(row, method="holm")[0] for row in p]
    assert (outcome.differs == np.array(expected)).all()


def closed(p_over_looks, alpha):
    """Reject what every intersection that holds it rejects by Bonferroni: the closed test behind Holm's steps."""
    count = len(p_over_looks)
    subsets = [s for r in range(1, count + 1) for s in itertools.combinations(range(count), r)]
    rejected = {s: min(p_over_looks[i] for i in s) <= alpha / len(s) for s in subsets}
    return [all(rejected[s] for s in subsets if i in s) for i in range(count)]


def test_with_all_looks_done_it_is_the_closed_bonferroni_test_on_p_values_over_looks():
    rng = np.random.default_rng(2)
    p = rng.beta(0.25, 2, (200, 4, 5))
    outcome = replay(p, nothing(p), looks=LOOKS, alpha=0.05)
    for study in range(200):
        assert list(outcome.differs[study]) == closed(list(outcome.p_differs[study]), 0.05)


def test_a_decided_contrast_stops_and_an_open_one_goes_to_the_end():
    first = boundaries(LOOKS, 0.025)[0]
    p = np.full((1, 2, 5), 0.9)
    p[0, 0, 0] = first / 2
    outcome = replay(p, nothing(p), looks=LOOKS, alpha=0.05)
    assert outcome.stop.tolist() == [[0, 4]]
    assert outcome.differs.tolist() == [[True, False]]


def test_later_looks_of_a_stopped_contrast_play_no_part():
    p = np.full((1, 2, 5), 0.9)
    p[0, 0, 0] = 1e-5
    other = p.copy()
    other[0, 0, 1:] = 1e-9
    one, two = (replay(x, nothing(x), looks=LOOKS, alpha=0.05) for x in (p, other))
    assert (one.p_differs == two.p_differs).all()


def test_equivalence_stops_a_contrast_and_leaves_its_share_of_alpha_for_differences_where_it_is():
    p = np.full((1, 2, 5), 0.9)
    equal = nothing(p)
    equal[0, 0, 0] = 1e-6
    outcome = replay(p, equal, looks=LOOKS, alpha=0.05)
    assert outcome.stop.tolist() == [[0, 4]]
    assert outcome.level_differs[0].tolist() == [0.025, 0.025]
    assert outcome.level_equal[0].tolist() == [0.025, 0.05]


def studies(arms, effects, count, seed, blocks=LOOKS[-1]):
    rng = np.random.default_rng(seed)
    d = shared_baseline(rng.standard_normal((count, arms + 1, blocks)))
    return d - np.array(effects)[:, None]


@pytest.mark.parametrize("arms", [2, 6, 12])
@pytest.mark.parametrize("looks", [LOOKS, (12,)])
def test_false_differences_are_kept_over_arms_and_looks(arms, looks):
    """6,000 studies: four standard errors at 0.05 are 0.011. Uncorrected, 6 arms give 0.17 and 12 give 0.29."""
    d = studies(arms, [0.0] * arms, 6_000, 1)
    judged = judged_studies(*at_looks(d, looks), looks, 1.0, 0.05)
    assert judged.differs().any(axis=1).mean() <= 0.05 + 0.011


@pytest.mark.parametrize("looks", [LOOKS, (12,)])
def test_false_equivalence_is_kept_over_arms_and_looks(looks):
    """Every true difference is as large as the margin, half of them on either side."""
    d = studies(6, [1.0, -1.0] * 3, 6_000, 2)
    judged = judged_studies(*at_looks(d, looks), looks, 1.0, 0.05)
    assert np.isin(judged.verdicts, ["equivalent", "negligible"]).any(axis=1).mean() <= 0.05 + 0.011


def test_one_arm_of_six_is_found_in_more_than_seventeen_of_twenty_studies():
    """With looks at the uncorrected boundary and Holm after, it was 0.196."""
    d = studies(6, [1.0, 0, 0, 0, 0, 0], 6_000, 3)
    judged = judged_studies(*at_looks(d, LOOKS), LOOKS, None, 0.05)
    assert (judged.verdicts[:, 0] == "helps").mean() >= 0.87
