from __future__ import annotations

from pathlib import Path

import factory
import pytest

from harness.results.schema import MEASUREMENT_COLUMNS, TRIAL_COLUMNS, ArmPlan, is_trained, schema_text, trial_columns
from harness.study.design import arms


def test_the_written_schema_is_the_schema() -> None:
    assert (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8") == schema_text()


def test_every_column_has_a_meaning_and_a_name_of_its_own() -> None:
    for columns in (trial_columns(["a"], ["fid_efficientnet"]), MEASUREMENT_COLUMNS):
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.meaning for column in columns)
    assert {c.name for c in TRIAL_COLUMNS} < {c.name for c in trial_columns(["a"], ["ssim"])}


@pytest.mark.parametrize(
    ("proof", "plain", "as_control"),
    [
        (None, True, True),
        ("no-op", False, True),
        ("invalid", False, False),
        ("too-costly", False, False),
        ("confounded", True, True),
    ],
)
def test_arms_that_are_settled_are_not_trained(proof: str | None, plain: bool, as_control: bool) -> None:
    plan = ArmPlan("x", {}, proof, None, None, None, None, None, None, None)
    (arm, *_) = arms(factory.study())
    assert is_trained(factory.study(), arm, plan) is plain
    assert is_trained(factory.study(train_no_ops=True), arm, plan) is as_control
    assert is_trained(factory.study(), arm, None)
