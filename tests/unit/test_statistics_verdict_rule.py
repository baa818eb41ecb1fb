from __future__ import annotations

import math

import pytest

from harness.errors import HarnessError
from harness.statistics import EXPECTATIONS, VERDICTS, Margin, Verdict, settle
from harness.statistics.verdict_rule import classify


@pytest.mark.parametrize(
    ("text", "value", "relative"),
    [
        ("10%", 0.1, True),
        (" 2.5 % ", 0.025, True),
        ("0.6", 0.6, False),
        (0.6, 0.6, False),
        ("±5%", 0.05, True),
        (3, 3, False),
    ],
)
def test_a_margin_is_read_as_a_person_writes_it(text, value, relative):
    found = Margin.parse(text)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.relative is relative
    assert Margin.parse(str(found)) == found


def test_no_margin_stays_no_margin():
    assert Margin.parse(None) is None


@pytest.mark.parametrize("text", ["", "ten", "-5%", "0", "0%", "1..2", True, math.inf, math.nan, "10%%", -1])
def test_what_is_no_margin_is_refused_with_an_example(text):
    with pytest.raises(HarnessError, match="such as"):
        Margin.parse(text)


def test_a_percentage_on_the_log_scale_is_the_log_of_the_ratio():
    assert Margin.parse("25%").on("log", math.nan) == pytest.approx(math.log(1.25), rel=1e-15)


def test_half_of_a_percentage_is_half_the_percentage_not_half_the_log():
    assert Margin.parse("10%").times(0.5).on("log", math.nan) == pytest.approx(math.log(1.05), rel=1e-15)


def test_a_percentage_on_the_raw_scale_is_of_the_size_of_the_baseline_mean():
    assert Margin.parse("10%").on("raw", -4.0) == pytest.approx(0.4)
    assert Margin.parse("0.3").on("raw", -4.0) == 0.3


def test_a_percentage_of_a_mean_of_zero_asks_for_an_absolute_margin():
    with pytest.raises(HarnessError, match="absolute margin"):
        Margin.parse("10%").on("raw", 0.0)


@pytest.mark.parametrize(
    ("differs", "equal", "arm_is_better", "verdict"),
    [
        (True, False, True, Verdict.HELPS),
        (True, False, False, Verdict.HURTS),
        (True, True, True, Verdict.NEGLIGIBLE),
        (True, True, False, Verdict.NEGLIGIBLE),
        (False, True, True, Verdict.EQUIVALENT),
        (False, False, True, Verdict.INCONCLUSIVE),
    ],
)
def test_the_rule_from_what_was_shown_to_the_verdict(differs, equal, arm_is_better, verdict):
    assert classify(differs, equal, arm_is_better) == verdict.value


@pytest.mark.parametrize(
    ("text", "scale", "words"),
    [("10%", "log", "-9.1 to +10 %"), ("25%", "log", "-20 to +25 %"), ("10%", "raw", "±10%"), ("0.3", "log", "±0.3")],
)
def test_a_margin_on_the_log_scale_is_said_with_both_its_ends(text, scale, words):
    assert Margin.parse(text).in_words(scale) == words


def test_every_expectation_is_supported_by_something_and_never_both_supported_and_contradicted():
    for expected, (supports, contradicts) in EXPECTATIONS.items():
        assert supports, expected
        assert not supports & contradicts, expected
        for verdict in VERDICTS:
            assert settle(expected, verdict) in {"supported", "contradicted", "not settled", "untested"}


@pytest.mark.parametrize("expected", sorted(set(EXPECTATIONS) - {"invalid", "builds"}))
def test_inconclusive_settles_no_statement_about_quality(expected):
    assert settle(expected, Verdict.INCONCLUSIVE) == "not settled"
    assert settle(expected, Verdict.INVALID) == "not settled"


def test_whether_an_arm_can_be_built_is_settled_by_any_verdict():
    for verdict in VERDICTS:
        assert settle("builds", verdict) == ("contradicted" if verdict is Verdict.INVALID else "supported")


def test_statements_about_a_difference_are_settled_as_the_table_says():
    assert settle("helps", Verdict.HELPS) == "supported"
    assert settle("helps", Verdict.EQUIVALENT) == "contradicted"
    assert settle("no difference", Verdict.NEGLIGIBLE) == "supported"
    assert settle("no difference", Verdict.HURTS) == "contradicted"
    assert settle("invalid", Verdict.HELPS) == "contradicted"


def test_an_unknown_expectation_names_the_nearest():
    with pytest.raises(HarnessError, match="did you mean 'helps'"):
        settle("helpss", Verdict.HELPS)
