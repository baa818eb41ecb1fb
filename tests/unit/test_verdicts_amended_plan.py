"""What a change of the plan after rows were seen does to the error rate, and where it is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pretended import fill, study

from harness.report.write import document, write
from harness.results.frozen import FrozenStudy
from harness.statistics.amended import JudgedPlan, amended_error_rate
from harness.terminal.summary import lines
from harness.verdicts.amended_plan import provisional
from harness.verdicts.judge import judge_stored

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def fixed(*blocks):
    return tuple(JudgedPlan((n,), 1, 1) for n in blocks)


def test_a_plan_that_stands_has_the_error_rate_it_was_made_for():
    """20,000 studies: four standard errors are 0.006."""
    assert amended_error_rate(fixed(12)) == pytest.approx(0.05, abs=0.006)
    assert amended_error_rate((JudgedPlan((6, 9, 12), 1, 3),)) == pytest.approx(0.05, abs=0.006)
    assert amended_error_rate((JudgedPlan((6, 9, 12), 6, 3),)) <= 0.05 + 0.006


def test_two_looks_far_apart_at_five_percent_are_nearly_two_tests():
    """Armitage, McPherson & Rowe 1969: two equal looks at 0.05 reject in 0.083, with many observations."""
    assert amended_error_rate(fixed(200, 400)) == pytest.approx(0.083, abs=0.008)


def test_each_prolongation_after_the_fact_costs_more():
    rates = [amended_error_rate(fixed(*range(4, 4 * k + 1, 4))) for k in range(1, 6)]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(0.088, abs=0.01)
    assert rates[4] > 0.13


def frozen(*designs, blocks=4):
    first, *rest = (study(design={"blocks": design}) for design in designs)
    state = FrozenStudy.of(first)
    for amended in rest:
        state = state.amended(amended, trials=3 * blocks, blocks=blocks, at=NOW)
    return state


def test_going_on_along_a_schedule_fixed_before_is_free():
    assert provisional(frozen(4)) is None
    assert provisional(frozen({"looks": [4, 8]}, {"looks": [4, 8], "beyond": 6})) is None


def test_more_blocks_after_the_fact_make_verdicts_provisional_with_the_rate_they_have():
    said = provisional(frozen(4, 12))
    assert said.error_rate == amended_error_rate((JudgedPlan((4,), 2, 1), JudgedPlan((12,), 2, 1)))
    assert "design.blocks: was 4, is 12" in said.reason
    longer = provisional(frozen(4, 8, {"looks": [8, 12]}))
    assert longer.error_rate > 0.05


def test_the_report_the_document_and_the_terminal_say_so(tmp_path: Path) -> None:
    store = fill(tmp_path, study(design={"blocks": 4}))
    frozen_now = store.frozen().amended(study(design={"blocks": 6}), trials=12, blocks=4, at=NOW)
    store.write_file("study.json", json.dumps(frozen_now.document()).encode())
    store, findings = judge_stored(tmp_path)
    stored = document(findings)
    assert stored["provisional"]["error_rate"] > 0.05
    assert stored["headline"].startswith("Provisional: the study was changed: after 4 blocks had rows")
    assert "Provisional: the study was changed" in "\n".join(lines(findings))
    for path in write(findings, store).values():
        if path.suffix in (".html", ".md"):
            assert "a false difference now has a probability of 0.0" in path.read_text(encoding="utf-8")
