"""Statements about several arms: what a study's rows say of a ranking, an interaction and a spread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pretended
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from harness.report.write import write
from harness.results.store import Store
from harness.verdicts.judge import StudyVerdicts, judge

SN, LR = "discriminator.spectral_norm", "training.optimizer.lr"
RATES = {"low": 1e-4, "high": 1e-3}


def judged(folder: Path, fids: dict[str, float], claims: list[dict[str, Any]], **changes: Any) -> StudyVerdicts:
    study = pretended.study(claims=[{"id": "c", "quote": "So it is.", **claim} for claim in claims], **changes)
    store = pretended.fill(folder, study, fids=fids, pictures=False)
    return judge(study, store.tables(), {})


def outcomes(verdicts: StudyVerdicts) -> list[str]:
    return [claim.outcome for claim in verdicts.claims]


def test_a_ranking_is_supported_or_contradicted_by_the_blocks_up_to_the_first_look(tmp_path: Path) -> None:
    order = ["spectral_norm=convs", "baseline", "spectral_norm=convs+heads"]
    fids = {"baseline": 60.0, order[0]: 48.0, order[2]: 75.0}
    verdicts = judged(
        tmp_path / "pretended", fids, [{"order": order}, {"order": order[::-1]}], design={"blocks": {"looks": [6, 9]}}
    )
    assert outcomes(verdicts) == ["supported", "contradicted"]
    assert "over 6 blocks" in verdicts.claims[0].evidence


def factorial(folder: Path, fids: dict[str, float], *claims: dict[str, Any]) -> StudyVerdicts:
    axes = {SN: ["none", "convs"], LR: RATES}
    return judged(folder / "pretended", fids, list(claims), axes=axes, design={"kind": "factorial", "blocks": 6})


def test_together_two_axes_help_more_than_their_sum(tmp_path: Path) -> None:
    claim = {"interaction": [LR, SN], "expect": "helps"}
    more = {"baseline": 60.0, "spectral_norm=convs": 60.0, "lr=high": 60.0, "spectral_norm=convs,lr=high": 40.0}
    assert outcomes(factorial(tmp_path, more, claim)) == ["supported"]


def test_a_smaller_spread_over_rates_supports_the_claim_and_a_larger_one_contradicts_it(tmp_path: Path) -> None:
    claim = {"spread": {"of": SN, "over": LR}, "expect": "helps"}
    tame = {"baseline": 60.0, "lr=high": 120.0, "spectral_norm=convs": 60.0, "spectral_norm=convs,lr=high": 66.0}
    wild = {"baseline": 60.0, "lr=high": 66.0, "spectral_norm=convs": 60.0, "spectral_norm=convs,lr=high": 120.0}
    assert outcomes(factorial(tmp_path / "tame", tame, claim)) == ["supported"]
    assert outcomes(factorial(tmp_path / "wild", wild, claim)) == ["contradicted"]


def test_the_report_says_what_a_joint_claim_is_about_and_its_numbers(tmp_path: Path) -> None:
    order = ["spectral_norm=convs", "baseline", "spectral_norm=convs+heads"]
    study = pretended.study(claims=[{"id": "rank", "quote": "Convs first.", "order": order}])
    store = pretended.fill(tmp_path / "pretended", study)
    files = write(judge(study, store.tables(), {}), store)
    [claim] = json.loads(files["json"].read_text(encoding="utf-8"))["claims"]
    assert (claim["order"], claim["outcome"]) == (order, "supported")
    assert claim["evidence"].startswith("Page's L ")
    assert "spectral_norm=convs better than baseline better than" in files["html"].read_text(encoding="utf-8")


ARM = "spectral_norm=convs"


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({}, "about one of arm, order, interaction and spread; found none of them"),
        ({"arm": ARM}, "expect is missing"),
        ({"arm": ARM, "order": [ARM, "b", "c"]}, "found arm and order"),
        ({"order": [ARM, "b"]}, "three different arms"),
        ({"order": [ARM, "b", "c"], "expect": "helps"}, "a ranking takes no expect"),
        ({"arm": ARM, "expect": "helps", "metric": "psnr"}, "metric 'psnr' is not measured; add it to measure.also"),
        ({"interaction": [SN, LR], "expect": "helps"}, "no axis 'training.optimizer.lr'"),
        ({"spread": {"of": SN, "over": SN}, "expect": "helps"}, "use design.kind factorial"),
    ],
)
def test_a_claim_that_no_row_could_settle_is_refused_with_the_reason(claim: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("'", ".")):
        pretended.study(claims=[{"id": "c", "quote": "So it is.", **claim}])


def test_a_ranking_and_a_spread_of_arms_that_are_not_judged_are_not_settled(tmp_path: Path) -> None:
    order = ["spectral_norm=convs", "baseline", "spectral_norm=convs+heads"]
    fids = {"baseline": 60.0, order[0]: 48.0, order[2]: 75.0}
    study = pretended.study(claims=[{"id": "c", "quote": "So it is.", "order": order}], design={"blocks": 6})
    store = pretended.fill(tmp_path / "rank", study, fids=fids, pictures=False)
    path = tmp_path / "rank" / "trials" / "b002-spectral_norm=convs.parquet"
    table = pq.read_table(path)
    other = pa.array(["0.2.0+def"] * len(table), table.schema.field("code_version").type)
    pq.write_table(table.set_column(table.schema.get_field_index("code_version"), "code_version", other), path)
    [claim] = judge(study, store.tables(), {}).claims
    assert claim.outcome == "not settled"
    assert "code_version differs" in claim.evidence


@pytest.mark.parametrize(
    "claim",
    [
        {"order": ["baseline", "lr=high", "spectral_norm=convs"]},
        {"interaction": [SN, LR], "expect": "helps"},
        {"spread": {"of": SN, "over": LR}, "expect": "helps"},
    ],
)
def test_a_joint_claim_before_the_first_row_is_not_settled(tmp_path: Path, claim: dict[str, Any]) -> None:
    axes = {SN: ["none", "convs"], LR: RATES}
    claims = [{"id": "x", "quote": "x", **claim}]
    study = pretended.study(axes=axes, claims=claims, design={"kind": "factorial", "blocks": 6})
    store = Store(tmp_path / "empty")
    store.freeze(study, {})
    assert outcomes(judge(study, store.tables(), {})) == ["not settled"]
