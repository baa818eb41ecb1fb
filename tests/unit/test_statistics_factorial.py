"""Effects against worked examples that are printed in textbooks, and against statsmodels."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from harness.errors import HarnessError
from harness.statistics import Verdict, effects, factorial
from harness.statistics.factorial import lenth

FILTRATION = (45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96)
"""Montgomery, Design and Analysis of Experiments: the unreplicated 2^4 of filtration rates, in standard order."""

CHEMICAL = {(-1, -1): (28, 25, 27), (1, -1): (36, 32, 32), (-1, 1): (18, 19, 23), (1, 1): (31, 30, 29)}
"""Montgomery, the 2^2 of a chemical process with three replicates; also analysed with the replicates as blocks."""

BATTERY = {
    (1, 15): (130, 155, 74, 180), (1, 70): (34, 40, 80, 75), (1, 125): (20, 70, 82, 58),
    (2, 15): (150, 188, 159, 126), (2, 70): (136, 122, 106, 115), (2, 125): (25, 70, 58, 45),
    (3, 15): (138, 110, 168, 160), (3, 70): (174, 120, 150, 139), (3, 125): (96, 104, 82, 60),
}  # fmt: skip
"""Montgomery, battery life by material and temperature, 3 x 3 with four replicates."""

SIRSTV = (
    (196.3052, 196.1240, 196.1890, 196.2569, 196.3403), (196.3042, 196.3825, 196.1669, 196.3257, 196.0422),
    (196.1303, 196.2005, 196.2889, 196.0343, 196.1811), (196.2795, 196.1748, 196.1494, 196.1485, 195.9885),
    (196.2119, 196.1051, 196.1850, 196.0052, 196.2090),
)  # fmt: skip
"""NIST StRD, SiRstv: resistivity of silicon by instrument, with certified sums of squares and F."""


def filtration():
    cells = itertools.product((-1, 1), repeat=4)
    return pd.DataFrame([dict(zip("DCBA", c, strict=True), value=y) for c, y in zip(cells, FILTRATION, strict=True)])


def table(cells, names):
    return pd.DataFrame(
        [dict(zip(names, c, strict=True), rep=r, value=y) for c, ys in cells.items() for r, y in enumerate(ys)]
    )


def by_term(found):
    return {e.term: e for e in found}


def test_the_filtration_example_has_its_printed_effects_and_sums_of_squares():
    found = by_term(effects(filtration(), factors=list("ABCD")))
    printed = {
        "A": (21.625, 1870.56), "B": (3.125, 39.0625), "C": (9.875, 390.062), "D": (14.625, 855.563),
        "A:B": (0.125, 0.0625), "A:C": (-18.125, 1314.06), "A:D": (16.625, 1105.56), "B:C": (2.375, 22.5625),
        "B:D": (-0.375, 0.5625), "C:D": (-1.125, 5.0625), "A:B:C": (1.875, 14.0625), "A:B:D": (4.125, 68.0625),
        "A:C:D": (-1.625, 10.5625), "B:C:D": (-2.625, 27.5625), "A:B:C:D": (1.375, 7.5625),
    }  # fmt: skip
    assert set(found) == set(printed)
    for term, (estimate, squares) in printed.items():
        assert found[term].estimate == pytest.approx(estimate)
        assert found[term].sum_of_squares == pytest.approx(squares, abs=0.006)


def test_lenth_on_the_filtration_example_gives_the_printed_margins():
    found = factorial(filtration(), factors=list("ABCD"), better="higher")
    assert found.pse == pytest.approx(2.625)
    assert found.margin_of_error == pytest.approx(6.748, abs=5e-4)
    assert found.simultaneous_margin_of_error == pytest.approx(13.699, abs=5e-4)
    active = {e.term for e in found.effects if abs(e.estimate) > found.margin_of_error}
    assert active == {"A", "C", "D", "A:C", "A:D"}
    assert {e.term for e in found.effects if e.p_value < 0.05} == active
    assert all(e.pse == found.pse for e in found.effects)


def test_the_p_value_of_lenth_is_the_alpha_at_which_the_margin_of_error_reaches_the_effect():
    found = effects(filtration(), factors=list("ABCD"))
    estimates = np.array([e.estimate for e in found])
    for e in found:
        assert lenth(estimates, alpha=e.p_value)[1] == pytest.approx(abs(e.estimate))


def test_the_half_fraction_of_the_filtration_example_is_estimated_with_its_aliases():
    """Montgomery prints A 19.00, B 1.50, C 14.00, D 16.50, AB -1.00, AC -18.50, AD 19.00 for I = ABCD."""
    half = filtration().query("A * B * C == D")
    found = by_term(effects(half, factors=list("ABCD")))
    printed = {"A": 19.0, "B": 1.5, "C": 14.0, "D": 16.5, "A:B": -1.0, "A:C": -18.5, "A:D": 19.0}
    assert {term: e.estimate for term, e in found.items()} == pytest.approx(printed)
    assert found["A:B"].aliases == ("C:D",)
    assert found["A"].aliases == ("B:C:D",)


def test_the_other_half_fraction_has_aliases_with_a_minus():
    half = filtration().query("A * B * C == -D")
    assert by_term(effects(half, factors=list("ABCD")))["A:B"].aliases == ("-C:D",)


def test_the_chemical_process_has_its_printed_analysis_of_variance():
    found = factorial(table(CHEMICAL, "AB"), factors=["A", "B"])
    terms = by_term(found.effects)
    assert [terms[t].estimate for t in ("A", "B", "A:B")] == pytest.approx([8.33, -5.00, 1.67], abs=0.005)
    assert [terms[t].sum_of_squares for t in ("A", "B", "A:B")] == pytest.approx([208.33, 75.00, 8.33], abs=0.005)
    assert found.residual_sum_of_squares == pytest.approx(31.34, abs=0.01)
    assert [terms[t].f for t in ("A", "B", "A:B")] == pytest.approx([53.15, 19.13, 2.13], rel=2e-3)
    assert terms["A:B"].p_value == pytest.approx(0.1826, abs=3e-4)


def test_the_chemical_process_in_blocks_has_its_printed_analysis_of_variance():
    found = factorial(table(CHEMICAL, "AB"), factors=["A", "B"], unit="rep")
    terms = by_term(found.effects)
    assert (found.block_sum_of_squares, found.block_df) == (pytest.approx(6.50), 2)
    assert (found.residual_sum_of_squares, found.residual_df) == (pytest.approx(24.84, abs=0.01), 6)
    pooled = found.residual_sum_of_squares / found.residual_df
    in_anova = [terms[t].sum_of_squares / terms[t].df / pooled for t in ("A", "B", "A:B")]
    assert in_anova == pytest.approx([50.32, 18.12, 2.01], abs=0.02)


def test_an_effect_is_tested_against_its_own_variation_over_blocks():
    found = by_term(factorial(table(CHEMICAL, "AB"), factors=["A", "B"], unit="rep").effects)
    for term, sign in (("A", lambda a, _: a), ("B", lambda _, b: b), ("A:B", lambda a, b: a * b)):
        by_block = np.array([sum(sign(*cell) * ys[r] for cell, ys in CHEMICAL.items()) / 2 for r in range(3)])
        reference = stats.ttest_1samp(by_block, 0.0)
        assert found[term].estimate == pytest.approx(by_block.mean())
        assert found[term].p_value == pytest.approx(reference.pvalue)
    assert found["A"].p_holm == pytest.approx(2 * found["A"].p_value)
    assert found["A:B"].p_holm == pytest.approx(found["A:B"].p_value)


def test_a_term_of_more_levels_is_the_f_test_of_repeated_measurements():
    """The same as the paired t test for two levels, and as statsmodels' AnovaRM for three."""
    from statsmodels.stats.anova import AnovaRM

    rng = np.random.default_rng(3)
    cells = itertools.product(("p", "q"), ("x", "y", "z"), range(6))
    rows = pd.DataFrame([{"f": f, "g": g, "block": b, "value": rng.normal(b + (g == "y"), 1)} for f, g, b in cells])
    found = by_term(factorial(rows, factors=["f", "g"], unit="block").effects)
    reference = AnovaRM(rows, "value", "block", within=["f", "g"]).fit().anova_table
    for term in ("f", "g", "f:g"):
        assert found[term].f == pytest.approx(reference.loc[term, "F Value"])
        assert found[term].p_value == pytest.approx(reference.loc[term, "Pr > F"])
    assert [(c.arm, c.baseline) for c in found["g"].contrasts] == [("g=y", "g=x"), ("g=z", "g=x")]


def test_battery_life_with_three_levels_has_its_printed_analysis_of_variance():
    found = factorial(table(BATTERY, ("material", "temperature")), factors=["material", "temperature"])
    terms = by_term(found.effects)
    printed = {
        "material": (10683.72, 2, 7.91, 0.0020),
        "temperature": (39118.72, 2, 28.97, 0.0000),
        "material:temperature": (9613.78, 4, 3.56, 0.0186),
    }
    for term, (squares, df, f, p) in printed.items():
        assert terms[term].sum_of_squares == pytest.approx(squares, abs=0.01)
        assert terms[term].df == df
        assert terms[term].f == pytest.approx(f, abs=0.005)
        assert terms[term].p_value == pytest.approx(p, abs=5e-5)
        assert terms[term].estimate is None
    assert found.residual_sum_of_squares == pytest.approx(18230.75)
    assert found.factors["temperature"] == ("15", "70", "125")
    means = {p["levels"]: p["mean"] for p in found.main_effects_plot if p["factors"] == ("material",)}
    assert list(means.values()) == pytest.approx([83.17, 108.33, 125.08], abs=0.005)


def test_nist_silicon_resistivity_reaches_the_certified_digits():
    rows = [{"instrument": i, "value": y} for i, ys in enumerate(SIRSTV, start=1) for y in ys]
    found = factorial(pd.DataFrame(rows), factors=["instrument"])
    assert found.effects[0].sum_of_squares == pytest.approx(5.11462616e-2, rel=1e-8)
    assert found.residual_sum_of_squares == pytest.approx(2.16636560e-1, rel=1e-8)
    assert found.effects[0].f == pytest.approx(1.18046237440255, rel=1e-8)


@pytest.mark.parametrize("blocked", [True, False])
def test_unbalanced_tables_agree_with_statsmodels_type_three(blocked):
    rng = np.random.default_rng(0)
    cells = itertools.product(("p", "q"), ("x", "y", "z"), range(5))
    rows = pd.DataFrame([{"f": f, "g": g, "block": b, "value": rng.normal(b, 1)} for f, g, b in cells])
    rows = rows.drop(index=[3, 11, 17])
    found = by_term(factorial(rows, factors=["f", "g"], unit="block" if blocked else None).effects)
    if not blocked:
        rows = rows.drop(columns="block")
    model = smf.ols("value ~ C(f, Sum) * C(g, Sum)" + (" + C(block, Sum)" if blocked else ""), rows).fit()
    reference = sm.stats.anova_lm(model, typ=3)
    for term, name in (("f", "C(f, Sum)"), ("g", "C(g, Sum)"), ("f:g", "C(f, Sum):C(g, Sum)")):
        assert found[term].sum_of_squares == pytest.approx(reference.loc[name, "sum_sq"])
        if not blocked:
            assert found[term].p_value == pytest.approx(reference.loc[name, "PR(>F)"])


def test_two_levels_in_blocks_are_the_paired_t_test():
    """One factor of two levels with each unit as a block is the sleep example again: t = -4.0621, p = 0.002833."""
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    rows = pd.DataFrame({"id": [*range(10)] * 2, "group": [2] * 10 + [1] * 10, "value": [*two, *one]})
    effect = effects(rows, factors=["group"], unit="id", better="higher")[0]
    assert effect.estimate == pytest.approx(1.58)
    assert math.sqrt(effect.f) == pytest.approx(4.0621, abs=5e-5)
    assert effect.p_value == pytest.approx(0.002833, abs=5e-7)
    assert (effect.ci.low, effect.ci.high) == pytest.approx((0.7001142, 2.4598858))
    assert effect.verdict is Verdict.HELPS


def test_a_failed_cell_costs_its_row_and_the_other_effects_stay_right():
    rng = np.random.default_rng(2)
    cells = itertools.product((0, 1), (0, 1), range(4))
    rows = pd.DataFrame(
        [{"a": a, "b": b, "block": k, "value": 5 * a + 100 * k + 0.01 * rng.normal()} for a, b, k in cells]
    )
    rows.loc[3, "value"] = math.nan
    found = factorial(rows, factors=["a", "b"], unit="block")
    assert found.rows_lost == 1
    assert by_term(found.effects)["a"].estimate == pytest.approx(5.0, abs=0.03)
    assert by_term(found.effects)["b"].estimate == pytest.approx(0.0, abs=0.03)


def factorial_rows(rng, blocks, *, shift=0.0, varies=0.0):
    """A 2 x 2 design: factor `a` moves the value by `shift` on average, and by block."""
    rows = []
    for block in range(blocks):
        base, by_block = rng.normal(), varies * rng.normal() + shift
        for a, b in itertools.product((0, 1), (0, 1)):
            rows.append((block, a, b, base + a * by_block + 0.3 * rng.normal()))
    return pd.DataFrame(rows, columns=["block", "a", "b", "value"])


def main_effect(rows, **options):
    return by_term(factorial(rows, factors=["a", "b"], unit="block", better="lower", **options).effects)["a"]


def test_a_level_that_fails_where_it_would_have_been_bad_does_not_help():
    rows = factorial_rows(np.random.default_rng(1), 10, shift=-0.4)
    assert main_effect(rows).verdict is Verdict.HELPS
    rows.loc[(rows["a"] == 1) & (rows["block"] < 5), "value"] = math.nan
    effect = main_effect(rows)
    assert effect.verdict is Verdict.INCONCLUSIVE
    assert effect.contrasts[0].failures.arm == 5
    assert "ranked worst" in effect.contrasts[0].reason


def test_a_level_that_always_fails_hurts():
    rows = factorial_rows(np.random.default_rng(1), 8)
    rows.loc[rows["a"] == 1, "value"] = math.nan
    effect = main_effect(rows)
    assert (effect.verdict, effect.estimate, effect.sum_of_squares) == (Verdict.HURTS, None, None)


def test_a_block_with_a_failed_trial_keeps_the_effect_of_its_complete_pairs():
    rows = factorial_rows(np.random.default_rng(1), 8, shift=-1.0)
    torn = rows.copy()
    torn.loc[0, "value"] = math.nan
    contrast = main_effect(torn).contrasts[0]
    assert (contrast.n, contrast.pairs_lost, contrast.failures.baseline) == (8, 0, 1)
    kept = rows[rows["block"] == 0].set_index(["a", "b"])["value"]
    others = rows[rows["block"] > 0].groupby(["block", "a"])["value"].mean().unstack()
    gaps = [kept[1, 1] - kept[0, 1], *(others[1] - others[0])]
    assert contrast.estimate == pytest.approx(np.mean(gaps))


def test_main_effects_are_looked_at_together_and_stop_when_decided():
    rows = factorial_rows(np.random.default_rng(2), 12, shift=-2.0)
    early = factorial(rows[rows["block"] < 6], factors=["a", "b"], unit="block", better="lower", looks=(6, 9, 12))
    effect = by_term(early.effects)["a"]
    assert (effect.verdict, effect.contrasts[0].look.number) == (Verdict.HELPS, 1)
    assert (early.decided, early.next_look) == (False, 9)
    late = factorial(rows, factors=["a", "b"], unit="block", better="lower", margin=1.0, looks=(6, 9, 12))
    assert by_term(late.effects)["b"].verdict is Verdict.EQUIVALENT
    assert (late.decided, late.next_look) == (True, None)


@pytest.mark.slow
def test_effects_that_vary_over_blocks_keep_the_error_rate():
    """Against the pooled residual it was 0.103, and with failures 0.107; four standard errors of 300 are 0.05."""
    rng = np.random.default_rng(4)
    wrong = {False: 0, True: 0}
    for _ in range(300):
        rows = factorial_rows(rng, 8, varies=0.6)
        for fails in wrong:
            if fails:
                bad = (rows["a"] == 1) & (rows["value"] > rows["value"].quantile(0.85))
                rows.loc[bad, "value"] = math.nan
            verdicts = [e.verdict for e in factorial(rows, factors=["a", "b"], unit="block", better="lower").effects]
            wrong[fails] += Verdict.HELPS in verdicts or (Verdict.HURTS in verdicts and not fails)
    assert wrong[False] / 300 <= 0.05 + 0.05
    assert wrong[True] / 300 <= 0.05 + 0.05


def test_a_single_block_with_more_than_two_levels_takes_the_last_interaction_as_error():
    cells = {cell: (values[0],) for cell, values in BATTERY.items()}
    found = factorial(table(cells, ("material", "temperature")), factors=["material", "temperature"])
    assert found.residual_df == 4
    assert [e.term for e in found.effects] == ["material", "temperature"]
    assert any("highest order serves as the error" in note for note in found.notes)


def test_words_for_off_come_first_and_a_first_level_can_be_named():
    rows = pd.DataFrame({"sn": ["convs", "none"] * 4, "value": [1.0, 2.0, 1.1, 2.1, 0.9, 1.9, 1.0, 2.2]})
    assert factorial(rows, factors=["sn"]).factors["sn"] == ("none", "convs")
    assert factorial(rows, factors=["sn"], first={"sn": "convs"}).factors["sn"] == ("convs", "none")
    assert effects(rows, factors=["sn"])[0].estimate == pytest.approx(-1.05)


def test_plots_hold_the_mean_of_every_level_and_of_every_pair_of_levels():
    found = factorial(filtration(), factors=list("ABCD"))
    assert len(found.main_effects_plot) == 8
    assert len(found.interaction_plot) == 6 * 4
    high = next(p for p in found.main_effects_plot if p["factors"] == ("A",) and p["levels"] == ("1",))
    assert (high["mean"], high["n"]) == (pytest.approx(80.875), 8)


def test_effects_on_the_log_scale_are_fold_changes():
    rows = filtration()
    effect = by_term(effects(rows, factors=list("ABCD"), scale="log"))["A"]
    high, low = (np.log(rows.loc[rows["A"] == level, "value"]).mean() for level in (1, -1))
    assert effect.fold_change == pytest.approx(math.exp(high - low))


def test_lenth_needs_no_scale():
    values = np.array([21.6, 3.1, 9.9, 14.6, 0.1, -18.1, 16.6])
    assert np.array(lenth(values * 7)) == pytest.approx(np.array(lenth(values)) * 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": ["A", "E"]}, "no column 'E'"),
        ({"factors": []}, "name each factor once"),
        ({"factors": ["A", "A"]}, "name each factor once"),
        ({"factors": ["A", "one"]}, "'one' has one level only"),
        ({"factors": ["A"], "unit": "one"}, "more than one row for the cell"),
        ({"factors": ["A"], "scale": "log", "value": "negative"}, "no logarithm"),
        ({"factors": ["A"], "value": "text"}, "text in column 'text'"),
    ],
)
def test_tables_without_a_factorial_design_are_refused(options, message):
    rows = filtration().assign(one=1, negative=-1.0, text="x")
    with pytest.raises(HarnessError, match=message):
        factorial(rows, **options)


def test_the_document_is_json_without_nan():
    document = factorial(filtration(), factors=list("ABCD"), better="higher", margin="5%").to_dict()
    json.dumps(document, allow_nan=False)
    assert set(document["effects"][0]) >= {"term", "estimate", "sum_of_squares", "p_value", "pse", "margin_of_error"}
