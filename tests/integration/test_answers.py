"""Statements and what stored studies answer: joined from rows and plans, nothing written twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
import yaml

from harness.answers import answers, page, read_statements
from harness.answers.answers import stored_studies
from harness.errors import DataError, StoreError

STORED = tiny.ROOT / "tests" / "stored" / "format_0" / "tiny"
STATEMENTS = {
    "posts": {"900": {"title": "Blur?", "study": "tiny"}},
    "statements": [
        {"id": "900-1", "says": "An input blur helps", "contrast": "blur"},
        {"id": "900-2", "says": "It passes | all", "contrast": "blur", "answer": "false", "evidence": [
            {"plan": "tiny", "says": "lets through"}]},
        {"id": "900-3", "says": "The post says so", "contrast": "text", "answer": "true", "text": True},
        {"id": "900-4", "says": "Nobody asked", "contrast": "none"},
        {"id": "900-10", "says": "Another", "contrast": "none"},
    ],
}  # fmt: skip
CLAIMS = [
    {"id": "900-1", "quote": "An input blur helps.", "arm": "position=input", "expect": "helps"},
    {"id": "900-1b", "quote": "Structure, too.", "arm": "position=input", "metric": "ssim", "expect": "helps"},
]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for name, seed in (("tiny", 0), ("tiny+seed1", 1)):
        shutil.copytree(STORED, folder / name)
        file = folder / name / "study.json"
        document = json.loads(file.read_text())
        document["claims"] = CLAIMS
        document["design"]["seed"] = seed
        file.write_text(json.dumps(document))
    return folder


def written(tmp_path: Path, statements: object) -> Path:
    file = tmp_path / "statements.yaml"
    file.write_text(yaml.safe_dump(statements))
    return file


def test_each_statement_is_answered_by_rows_plans_and_text_and_the_rest_is_open(results: Path, tmp_path: Path) -> None:
    statements, studies = read_statements(written(tmp_path, STATEMENTS)), stored_studies(results)
    one, two, three, four, ten = answers(statements, studies)
    assert [(e.kind, e.source) for e in one.evidence] == [("study", "tiny"), ("study", "tiny")]
    contrast = studies["tiny"].findings.contrasts[0]
    assert f"position=input, fid_efficientnet (squared feature distance): {contrast.verdict}" in one.evidence[0].finding
    assert "3 pairs, corrected for 2 arms" in one.evidence[0].finding
    assert "exploratory" in one.evidence[1].finding
    assert (two.outcome, two.settled) == ("false", True)
    assert "0.748 at 0.25 pi" in two.evidence[0].finding
    assert (three.outcome, three.evidence[0].kind) == ("true", "text")
    assert (four.outcome, four.settled, four.evidence) == ("open", False, ())
    assert ten.evidence == ()  # 900-1 is not 900-10


def test_the_page_has_a_row_for_each_statement_a_picture_and_the_studies(results: Path, tmp_path: Path) -> None:
    statements, studies = read_statements(written(tmp_path, STATEMENTS)), stored_studies(results)
    text = page(statements, studies, answers(statements, studies), Path("results"))
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| 900")] == [
        f"| 900-{n}" for n in (1, 2, 3, 4, 10)
    ]
    assert "It passes \\| all" in text
    assert "(<tiny/report/figures/forest.svg>)" in text
    assert "2 of 5 statements are settled" in text
    assert "`python -m harness run studies/tiny.yaml --set design.seed=1 --results again`" in text


def test_words_that_a_plan_does_not_say_are_named(results: Path, tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(STATEMENTS))
    wrong["statements"][1]["evidence"][0]["says"] = "lets nothing through"
    with pytest.raises(StoreError, match="900-2: the plan of tiny says nothing of 'lets nothing through'"):
        answers(read_statements(written(tmp_path, wrong)), stored_studies(results))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statements": [{"id": "901-1", "says": "x", "contrast": "y"}]}, "901-1: no such post"),
        ({"statements": [{"id": "900-1", "says": "x", "contrast": "y"}] * 2}, "900-1 more than once"),
        ({"statements": [{"id": "900-1", "says": "x", "contrast": "y", "evidence": [{}]}]}, "evidence is"),
    ],
)
def test_a_file_of_statements_that_does_not_hold_together_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read_statements(written(tmp_path, {**STATEMENTS, **change}))


def test_the_command_prints_the_page_or_one_document(results: Path, tmp_path: Path) -> None:
    file = written(tmp_path, STATEMENTS)
    shown = tiny.call("answers", results, "--claims", file)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("# What came out")
    said = json.loads(tiny.call("answers", results, "--claims", file, "--json").stdout)
    assert [(entry["id"], entry["settled"]) for entry in said["statements"]][:2] == [("900-1", False), ("900-2", True)]
    nowhere = tiny.call("answers", tmp_path / "nowhere", "--claims", file)
    assert nowhere.returncode == 2
    assert "holds no folder of results" in nowhere.stderr
