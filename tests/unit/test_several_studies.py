from __future__ import annotations

import json
from pathlib import Path

import pretended
import pytest
from tiny import call

FIDS = {"baseline": 60.0, "spectral_norm=convs": 48.0, "spectral_norm=convs+heads": 90.0}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("several")
    pretended.fill(results / "first", pretended.study(study="first", design={"blocks": 6}), pictures=False)
    other = pretended.study(
        study="second", question="Is <b>more</b> better? | x", design={"blocks": 6}, measure={"margin": "5%"}
    )
    pretended.fill(results / "second", other, fids=FIDS, pictures=False)
    pretended.fill(results / "begun", pretended.study(study="begun"), blocks=0, pictures=False)
    (results / "nothing").mkdir()
    (results / "index.html").write_text("an older page")
    return results


def test_one_page_over_studies_has_question_verdict_interval_cost_and_link(results: Path) -> None:
    (results / "first" / "report").mkdir()
    (results / "first" / "report" / "report.html").write_text("")
    done = call("report", *sorted(results.iterdir()), "--json")
    assert done.returncode == 0, done.stderr
    assert "nothing: holds no study; left out" in done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["study"], row["arm"], row["verdict"]) for row in rows] == [
        ("begun", "", "none yet"),
        ("first", "spectral_norm=convs", "helps"),
        ("first", "spectral_norm=convs+heads", "negligible"),
        ("second", "spectral_norm=convs", "helps"),
        ("second", "spectral_norm=convs+heads", "hurts"),
    ]
    assert rows[1]["link"] == "first/report/report.html"
    assert "lower" in rows[1]["interval"]
    page = (results / "index.html").read_text()
    assert "Is &lt;b&gt;more&lt;/b&gt; better?" in page
    assert "<script" not in page
    assert 'href="first/report/report.html"' in page
    assert "\\| x" in (results / "index.md").read_text()


def test_a_difference_names_settings_and_verdicts(results: Path) -> None:
    done = call("diff", "first", "second", "--results", results)
    assert done.returncode == 0, done.stderr
    assert 'measure.margin: "10%" -> "5%"' in done.stdout
    assert "negligible" in done.stdout
    arms = {
        arm["arm"]: arm
        for arm in json.loads(call("diff", "first", "second", "--results", results, "--json").stdout)["arms"]
    }
    assert arms["spectral_norm=convs"]["apart"] is False
    assert arms["spectral_norm=convs+heads"]["apart"] is True
    same = call("diff", "first", "first", "--results", results)
    assert same.stdout.startswith("the same settings\n")


def test_where_there_is_no_study_one_line_says_so(tmp_path: Path) -> None:
    done = call("report", tmp_path / "a", tmp_path / "b", "--results", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no study there" in done.stderr
