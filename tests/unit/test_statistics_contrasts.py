from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.statistics import Verdict, analyse, false_discovery, render

NAN = math.nan


def long(**arms):
    rows = [(unit, arm, value) for arm, values in arms.items() for unit, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["unit", "arm", "value"])


def ask(table, **options):
    return analyse(table, **{"baseline": "a", "better": "lower", "scale": "raw", "margin": None, **options})


def noisy(effect, sd=0.1, n=10, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(10, 1, n)
    return long(a=base, b=base + effect + sd * rng.normal(size=n))


def test_the_document_has_every_field_of_the_contract():
    contrast = ask(noisy(-1.0), margin="5%").to_dict()["contrasts"][0]
    wanted = {
        "arm", "n", "pairs_lost", "estimate", "ci", "t", "p_value", "p_sign_flip", "equivalence", "correlation",
        "variance_reduction", "p_holm", "p_max_t", "verdict", "verdict_half_margin", "verdict_double_margin",
        "better_in", "fold_change", "failures", "worst_rank", "spread", "robustness", "sentence",
    }  # fmt: skip
    assert wanted <= set(contrast)
    assert set(contrast["ci"]) >= {"level", "low", "high"}
    assert set(contrast["equivalence"]) == {"margin", "p_value", "p_holm", "level", "low", "high"}


@pytest.mark.parametrize(
    ("effect", "sd", "better", "verdict"),
    [
        (-1.0, 0.1, "lower", Verdict.HELPS),
        (-1.0, 0.1, "higher", Verdict.HURTS),
        (1.0, 0.1, "lower", Verdict.HURTS),
        (0.0, 0.1, "lower", Verdict.EQUIVALENT),
        (0.3, 0.1, "lower", Verdict.NEGLIGIBLE),
        (0.1, 3.0, "lower", Verdict.INCONCLUSIVE),
    ],
)
def test_known_effects_get_their_verdicts(effect, sd, better, verdict):
    found = ask(noisy(effect, sd), better=better, margin=0.5).contrasts[0]
    assert found.verdict is verdict
    assert found.decided is (verdict is not Verdict.INCONCLUSIVE)


def test_a_wider_margin_turns_equivalent_and_a_narrower_one_opens_it_again():
    found = ask(noisy(0.0, 0.6), margin=0.5).contrasts[0]
    assert found.verdict_half_margin is Verdict.INCONCLUSIVE
    assert found.verdict_double_margin is Verdict.EQUIVALENT


def test_a_factor_on_the_log_scale_comes_back_as_a_fold_change():
    base = np.exp(np.random.default_rng(0).normal(3, 0.3, 8))
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, 8))
    found = ask(long(a=base, b=base * 0.5 * noise), scale="log").contrasts[0]
    assert found.estimate == pytest.approx(math.log(0.5), abs=0.02)
    assert found.fold_change.ratio == pytest.approx(0.5, rel=0.02)
    assert found.fold_change.low < found.fold_change.ratio < found.fold_change.high
    assert "times lower" in found.sentence
    assert found.mean_baseline == pytest.approx(math.exp(np.log(base).mean()))


def test_an_arm_that_the_caller_knows_to_be_identical_is_a_no_op_from_two_blocks_on():
    found = ask(long(a=[1.5, 2.5], b=[1.5, 2.5]), identical={"b"}).contrasts[0]
    assert found.verdict is Verdict.NO_OP
    assert (found.t, found.p_value, found.p_holm) == (None, None, None)
    assert "changes nothing: everything that was measured is equal to the last bit" in found.sentence


def test_one_difference_in_the_last_bit_is_no_longer_a_no_op():
    found = ask(long(a=[1.5, 2.5], b=[1.5, np.nextafter(2.5, 3)]), margin=0.1, identical={"b"}).contrasts[0]
    assert found.verdict is not Verdict.NO_OP


def test_equal_values_of_one_metric_are_no_no_op_but_may_be_equivalent():
    values = np.arange(6.0)
    found = ask(long(a=values, b=values), margin=0.1).contrasts[0]
    assert found.verdict is Verdict.EQUIVALENT
    without = ask(long(a=values, b=values)).contrasts[0]
    assert without.verdict is Verdict.INCONCLUSIVE
    assert "one metric alone does not show" in without.sentence


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_values_at_a_bound_say_nothing_of_the_arms(bound):
    found = ask(long(a=[bound] * 8, b=[bound] * 8), margin=0.1).contrasts[0]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "cannot tell them apart" in found.sentence


def test_differences_of_large_numbers_are_equal_only_where_rounding_explains_it():
    base = 1e9 + np.arange(6.0)
    spread = ask(long(a=base, b=base + np.array([1e-4, 2e-4, 1.5e-4, 3e-4, 1e-4, 2e-4]))).contrasts[0]
    assert spread.sd > 0
    assert spread.ci.kind == "t"
    rounded = ask(long(a=base / 3, b=base / 3 + 0.1)).contrasts[0]
    assert (rounded.sd, rounded.ci.kind) == (0, "exact")


def test_an_arm_whose_trials_all_failed_as_the_baselines_did_is_invalid_and_not_equal():
    table = noisy(0.0, n=8)
    table.loc[table["arm"] != "c", "value"] = NAN
    for looks in (None, (6, 8)):
        found = ask(table, margin=1.0, looks=looks).contrasts[0]
        assert (found.verdict, found.decided) == (Verdict.INVALID, True)
        assert "nothing to compare" in found.sentence


def test_fewer_than_six_blocks_are_never_equivalent_and_it_says_why():
    table = with_differences(b=exactly(0.0, 0.01, n=5), c=exactly(-5.0, 0.01, n=5))
    found = ask(table, margin=1.0)
    assert found.contrast("b").verdict is Verdict.INCONCLUSIVE
    assert "fewer than 6 complete pairs, and there are 5" in found.contrast("b").sentence
    assert found.contrast("c").verdict is Verdict.HELPS
    assert ask(with_differences(b=exactly(0.0, 0.01, n=6)), margin=1.0).contrasts[0].verdict is Verdict.EQUIVALENT


def test_one_block_has_no_interval_and_no_verdict_and_says_so():
    found = ask(long(a=[1.0], b=[1.0]), margin="10%")
    contrast = found.contrasts[0]
    assert contrast.verdict is Verdict.INCONCLUSIVE
    assert (contrast.ci.low, contrast.ci.high, contrast.t, contrast.p_value) == (None, None, None, None)
    assert any("One block only" in note for note in found.notes)


def test_equal_differences_need_as_many_blocks_as_the_sign_flip():
    few = ask(long(a=np.arange(5.0), b=np.arange(5.0) + 0.5)).contrasts[0]
    enough = ask(long(a=np.arange(6.0), b=np.arange(6.0) + 0.5)).contrasts[0]
    assert (few.verdict, few.t, few.ci.low) == (Verdict.INCONCLUSIVE, None, None)
    assert (enough.verdict, enough.ci.low, enough.ci.kind) == (Verdict.HURTS, 0.5, "exact")


def test_a_table_of_one_value_has_no_verdict_but_a_warning():
    found = ask(long(a=[3.0] * 4, b=[3.0] * 4))
    assert found.contrasts[0].verdict is Verdict.INCONCLUSIVE
    assert any("check that this column measures something" in note for note in found.notes)


def test_an_arm_does_not_look_good_because_its_bad_trials_are_missing():
    rng = np.random.default_rng(0)
    base = rng.normal(10, 0.5, 12)
    arm = base - 1 + rng.normal(0, 0.1, 12)
    whole = ask(long(a=base, b=arm)).contrasts[0]
    arm[:5] = NAN
    torn = ask(long(a=base, b=arm)).contrasts[0]
    assert whole.verdict is Verdict.HELPS
    assert torn.p_value < 0.001
    assert torn.verdict is Verdict.INCONCLUSIVE
    assert (torn.n, torn.pairs_lost, torn.failures.arm, torn.failures.baseline) == (7, 5, 5, 0)
    assert "failed in 5 of 12 blocks" in torn.sentence


def test_an_arm_that_fails_where_the_baseline_does_not_hurts():
    base = np.random.default_rng(0).normal(10, 0.5, 8)
    found = ask(long(a=base, b=[NAN] * 8)).contrasts[0]
    assert found.verdict is Verdict.HURTS
    assert found.failures.p_mcnemar == pytest.approx(2 / 2**8)
    assert found.worst_rank.favours == "baseline"
    rescued = ask(long(a=[NAN] * 8, b=base)).contrasts[0]
    assert rescued.verdict is Verdict.HELPS


def test_nothing_is_called_equivalent_when_only_one_of_the_two_failed():
    table = noisy(0.0, 0.05)
    assert ask(table, margin=0.5).contrasts[0].verdict is Verdict.EQUIVALENT
    table.loc[(table["arm"] == "b") & (table["unit"] == 3), "value"] = NAN
    assert ask(table, margin=0.5).contrasts[0].verdict is Verdict.INCONCLUSIVE


def test_a_failure_of_both_in_one_block_leaves_the_verdict_to_the_other_blocks():
    table = noisy(0.0, 0.05)
    table.loc[table["unit"] == 3, "value"] = NAN
    found = ask(table, margin=0.5).contrasts[0]
    assert (found.verdict, found.n, found.pairs_lost) == (Verdict.EQUIVALENT, 9, 1)


def test_a_row_that_is_not_there_is_missing_and_not_failed():
    table = noisy(-1.0)
    table = table[~((table["arm"] == "b") & (table["unit"] == 3))]
    found = ask(table).contrasts[0]
    assert (found.n, found.pairs_lost, found.failures.arm) == (9, 1, 0)
    assert found.verdict is Verdict.HELPS


def test_the_failed_column_overrules_the_value_and_may_say_that_an_empty_value_did_not_fail():
    table = noisy(-1.0)
    table["failed"] = False
    table.loc[(table["arm"] == "b") & (table["unit"] == 3), "failed"] = True
    table.loc[(table["arm"] == "b") & (table["unit"] == 4), "value"] = NAN
    found = ask(table).contrasts[0]
    assert (found.n, found.pairs_lost, found.failures.arm) == (8, 2, 1)


def test_statuses_are_read_as_failures():
    table = noisy(-1.0)
    table["failed"] = "complete"
    table.loc[(table["arm"] == "b") & (table["unit"] == 3), "failed"] = "diverged"
    assert ask(table).contrasts[0].failures.arm == 1


def test_a_baseline_that_failed_everywhere_leaves_no_verdict_but_an_explanation():
    found = ask(long(a=[NAN] * 3, b=[1.0, 2.0, 3.0]))
    assert found.contrasts[0].verdict is Verdict.INCONCLUSIVE
    assert found.contrasts[0].estimate is None
    assert any("no value in any block" in note for note in found.notes)


def test_holm_is_over_tested_contrasts_only():
    rng = np.random.default_rng(0)
    base = rng.normal(10, 1, 10)
    table = long(a=base, b=base - 0.5 + rng.normal(0, 0.5, 10), c=base, d=base + rng.normal(0, 1, 10))
    found = ask(table)
    raw = {c.arm: c.p_value for c in found.contrasts}
    assert found.contrast("c").p_holm is None
    assert found.contrast("b").p_holm == pytest.approx(min(1.0, 2 * min(raw["b"], raw["d"])))


def test_a_verdict_that_only_stands_alone_says_so():
    rng = np.random.default_rng(3)
    base = rng.normal(10, 1, 10)
    d = rng.normal(0, 1, 10)
    d = (d - d.mean()) / d.std(ddof=1) - 0.8
    others = {f"x{i}": base + rng.normal(0, 5, 10) for i in range(8)}
    found = ask(long(a=base, b=base + d, **others)).contrast("b")
    assert 0.01 < found.p_value < 0.05
    assert (found.verdict, found.verdict_uncorrected) == (Verdict.INCONCLUSIVE, Verdict.HELPS)
    assert "Alone it would be 'helps'; it is one of 9 contrasts." in found.sentence


def test_arms_that_were_settled_before_training_appear_with_their_reason():
    found = ask(
        noisy(-1.0),
        given={
            "k1": (Verdict.NO_OP, "a blur of kernel 1 is the identity"),
            "bad": (Verdict.INVALID, "3 and 4 do not join"),
        },
    )
    assert found.contrast("k1").verdict is Verdict.NO_OP
    assert "kernel 1 is the identity" in found.contrast("k1").sentence
    assert "cannot be built: 3 and 4 do not join" in found.contrast("bad").sentence
    assert found.contrast("b").p_holm == found.contrast("b").p_value


def test_costs_stand_beside_quality():
    found = ask(noisy(0.0), margin=0.5, costs={"parameters": {"a": 600.0, "b": 100.0}}).contrasts[0]
    assert found.costs[0].ratio == pytest.approx(1 / 6)
    assert "no difference that matters" in found.sentence
    assert "parameters 6 times fewer" in found.sentence


def test_exploratory_analyses_are_corrected_together_and_labelled():
    first, second = ask(noisy(-0.1, 0.3), metric="x"), ask(noisy(0.0, 0.3, seed=5), metric="y")
    corrected = false_discovery([first, second])
    p = sorted([first.contrasts[0].p_value, second.contrasts[0].p_value])
    expected = sorted([min(2 * p[0], p[1]), p[1]])
    assert sorted(a.contrasts[0].p_fdr for a in corrected) == pytest.approx(expected)
    assert all(a.family == "exploratory" for a in corrected)
    assert "exploratory" in render(corrected[0])


def test_lopsided_differences_with_a_disagreeing_exact_test_are_flagged():
    d = np.array([0.1, 0.12, 0.11, 0.13, 0.09, 0.1, -0.02, 4.0])
    found = ask(long(a=np.arange(8.0), b=np.arange(8.0) + d)).contrasts[0]
    assert found.robustness.skewed
    assert found.robustness.agree is False
    assert "lopsided" in found.sentence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.rename(columns={"unit": "unt"}), "no column 'unit'; did you mean 'unt'"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "more than one row for the same cell"),
        (lambda t: t.assign(value=t["value"].astype(object).where(t.index != 2, "lots")), "row 3: 'lots'"),
        (lambda t: t.assign(value=t["value"].where(t.index != 2, math.inf)), "infinite values"),
        (lambda t: t.assign(arm="a"), "more than one row"),
        (lambda t: t[t["arm"] == "a"], "only the arm 'a'"),
        (lambda t: t.assign(arm=t["arm"].where(t.index != 0)), "column 'arm' is empty in row 1"),
        (lambda t: t.assign(failed="maybe"), "'maybe' in column 'failed'"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused_with_one_message(change, message):
    with pytest.raises(HarnessError, match=message):
        ask(change(noisy(-1.0)))


def test_values_without_a_logarithm_are_named():
    with pytest.raises(HarnessError, match="unit 1, arm b: -2"):
        ask(long(a=[1.0, 2.0], b=[1.0, -2.0]), scale="log")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "A"}, "no arm 'A' to be the baseline"),
        ({"better": "less"}, "better: 'less'"),
        ({"scale": "logs"}, "did you mean 'log'"),
        ({"alpha": 0.7}, "alpha: 0.7"),
        ({"looks": (9, 6)}, "growing whole numbers"),
    ],
)
def test_questions_that_make_no_sense_are_refused(options, message):
    with pytest.raises(HarnessError, match=message):
        ask(noisy(-1.0), **options)


def test_an_infinite_value_of_a_failed_trial_does_no_harm():
    table = noisy(-1.0).assign(failed=False)
    table.loc[0, ["value", "failed"]] = [math.inf, True]
    assert ask(table).contrasts[0].failures.baseline == 1


def test_the_text_names_the_verdict_of_every_arm_and_needs_no_statistics():
    found = ask(noisy(-1.0), margin="5%", metric="fid")
    text = render(found)
    assert "'b' helps: fid was" in text
    assert "better" in found.contrasts[0].sentence
    assert not any(word in found.contrasts[0].sentence for word in ("p =", "null", "nan", "None"))
    assert render(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == text


def exactly(mean, sd, n=10, seed=0):
    """Differences with exactly this mean and standard deviation."""
    d = np.random.default_rng(seed).normal(0, 1, n)
    return (d - d.mean()) / d.std(ddof=1) * sd + mean


def with_differences(**arms):
    base = np.arange(10.0, 10.0 + len(next(iter(arms.values()))))
    return long(a=base, **{arm: base + d for arm, d in arms.items()})


def test_equivalence_with_fixed_blocks_asks_for_the_ninety_percent_interval_only():
    """With ten pairs of s = 1 the half-widths are 0.580 (90 %) and 0.715 (95 %); 0.65 lies between them."""
    table = with_differences(b=exactly(0.0, 1.0))
    found = ask(table, margin=0.65).contrasts[0]
    assert (found.ci.high, found.equivalence.high) == pytest.approx((0.7154, 0.5797), abs=1e-4)
    assert found.verdict is Verdict.EQUIVALENT
    assert ask(table, margin=0.57).contrasts[0].verdict is Verdict.INCONCLUSIVE


def test_one_failure_against_six_wins_is_not_enough_to_help():
    base = np.arange(10.0, 17.0)
    arm = base - np.array([1.0, 1.1, 1.2, 0.9, 1.3, 0.8, NAN])
    found = ask(long(a=base, b=arm)).contrasts[0]
    assert found.p_value < 0.001
    assert found.worst_rank.favours == "arm"
    assert found.worst_rank.p_value > 0.05
    assert (found.verdict, found.decided) == (Verdict.INCONCLUSIVE, False)
    assert "ranked worst" in found.sentence


def test_failures_alone_decide_nothing_when_the_worst_rank_comparison_does_not_reject():
    d = np.concatenate([np.linspace(-0.2, -0.1, 13), [3.0], np.full(6, NAN)])
    found = ask(with_differences(b=d)).contrasts[0]
    assert found.failures.p_mcnemar < 0.05
    assert found.worst_rank.p_value > 0.05
    assert found.verdict is Verdict.INCONCLUSIVE


def test_the_verdict_needs_the_p_value_over_all_contrasts():
    one = exactly(0.76, 1.0, seed=1)
    table = with_differences(b=one, c=exactly(0.01, 1.0, seed=2))
    found = ask(table).contrast("b")
    assert found.p_value < 0.05 < found.p_holm < 0.1
    assert (found.verdict, found.verdict_uncorrected) == (Verdict.INCONCLUSIVE, Verdict.HURTS)
    assert found.ci.level == pytest.approx(0.975)
    assert found.ci.low < 0 < found.ci.high


def test_equivalence_of_several_arms_is_corrected_too():
    table = with_differences(b=exactly(0.0, 1.0, seed=1), c=exactly(0.0, 1.0, seed=2))
    found = ask(table, margin=0.65).contrasts[0]
    assert 0.025 < found.equivalence.p_value < 0.05
    assert (found.verdict, found.verdict_uncorrected) == (Verdict.INCONCLUSIVE, Verdict.EQUIVALENT)
    assert found.equivalence.high == pytest.approx(-found.equivalence.low)
    assert found.equivalence.high > 0.65
    assert ask(table, margin=0.9).contrasts[0].verdict is Verdict.EQUIVALENT


def test_the_interval_excludes_zero_exactly_where_a_difference_was_shown():
    rng = np.random.default_rng(5)
    for looks in (None, (6, 10)):
        for _ in range(4):
            arms = {f"x{i}": rng.normal(rng.choice([0, 1.0]), 1, 10) for i in range(4)}
            for c in ask(with_differences(**arms), margin=0.8, looks=looks).contrasts:
                differs = c.verdict in (Verdict.HELPS, Verdict.HURTS, Verdict.NEGLIGIBLE)
                assert differs is (c.p_holm <= 0.05)
                assert differs is (c.ci.low > 0 or c.ci.high < 0)


def test_a_decided_contrast_hands_its_share_of_alpha_on():
    """Alone at 0.025 each, 'c' (p = 0.03) is open; once 'b' is decided it is tested at 0.05."""
    c = exactly(0.7715, 1.0, seed=2)
    clear, unclear = exactly(9.0, 1.0, seed=1), exactly(0.01, 1.0, seed=1)
    one = ask(with_differences(b=unclear, c=c)).contrast("c")
    two = ask(with_differences(b=clear, c=c)).contrast("c")
    assert 0.025 < one.p_value < 0.05
    assert (one.verdict, one.ci.level) == (Verdict.INCONCLUSIVE, pytest.approx(0.975))
    assert (two.verdict, two.ci.level) == (Verdict.HURTS, pytest.approx(0.95))


def test_without_a_single_value_of_the_baseline_a_share_of_it_is_no_margin():
    rows = pd.DataFrame({"unit": [0, 0, 1, 1], "arm": ["baseline", "arm"] * 2, "value": math.nan, "failed": True})
    [contrast] = analyse(rows, baseline="baseline", better="lower", scale="raw", margin="10%").contrasts
    assert contrast.verdict is Verdict.INVALID


@pytest.mark.parametrize(("better", "wins"), [("lower", 1), ("higher", 2)])
def test_a_block_without_a_difference_is_won_by_neither(better, wins):
    rows = [(u, arm, x) for arm, values in (("a", (1, 2, 3, 4)), ("b", (1, 3, 4, 3))) for u, x in enumerate(values)]
    (c,) = analyse(
        pd.DataFrame(rows, columns=["unit", "arm", "value"]), baseline="a", better=better, scale="raw", margin=None
    ).contrasts
    assert (c.better_in.blocks, c.better_in.of) == (wins, 4)
