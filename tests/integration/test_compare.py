"""Files in, one document out: long and wide tables, CSV and Parquet, and what people get wrong."""

from __future__ import annotations

import itertools
import json
import sys
from subprocess import run

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.statistics import render
from harness.tables import compare

SLEEP = {
    "one": [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    "two": [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}
HOW = {"baseline": "two", "better": "higher", "margin": "0.5"}


@pytest.fixture
def wide(tmp_path):
    path = tmp_path / "sleep.csv"
    pd.DataFrame({"patient": range(1, 11), **SLEEP}).to_csv(path, index=False)
    return path


@pytest.fixture
def long(tmp_path):
    path = tmp_path / "sleep.parquet"
    frame = pd.DataFrame({"patient": range(1, 11), **SLEEP})
    frame.melt("patient", var_name="drug", value_name="hours").to_parquet(path)
    return path


def test_a_wide_table_gives_the_published_t_test(wide):
    contrast = compare(wide, unit="patient", **HOW)["contrasts"][0]
    assert (contrast["arm"], contrast["n"], contrast["pairs_lost"]) == ("one", 10, 0)
    assert contrast["estimate"] == pytest.approx(-1.58)
    assert contrast["t"] == pytest.approx(-4.0621, abs=5e-5)
    assert contrast["p_value"] == pytest.approx(0.002833, abs=5e-7)
    assert contrast["verdict"] == "hurts"


def test_long_and_wide_csv_and_parquet_give_the_same_contrasts(wide, long, tmp_path):
    from_wide = compare(wide, unit="patient", **HOW)["contrasts"]
    from_long = compare(long, unit="patient", arm="drug", value="hours", **HOW)["contrasts"]
    as_text = tmp_path / "long.tsv"
    pd.read_parquet(long).to_csv(as_text, sep="\t", index=False)
    from_text = compare(as_text, unit="patient", arm="drug", value="hours", **HOW)["contrasts"]
    for contrasts in (from_wide, from_long, from_text):
        for c in contrasts:
            c.pop("sentence")
    assert from_wide == from_long == from_text


def test_usual_column_names_need_not_be_given(tmp_path):
    frame = pd.DataFrame({"block": range(10), **SLEEP}).melt("block", var_name="arm")
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    assert compare(path, **HOW)["contrasts"][0]["n"] == 10


def test_a_wide_table_without_units_takes_each_row_as_a_unit(tmp_path):
    path = tmp_path / "bare.csv"
    pd.DataFrame(SLEEP).to_csv(path, index=False)
    assert compare(path, **HOW)["contrasts"][0]["t"] == pytest.approx(-4.0621, abs=5e-5)


def test_columns_of_a_wide_table_can_be_chosen(tmp_path):
    path = tmp_path / "more.csv"
    pd.DataFrame({**SLEEP, "note": ["x", "y"] * 5, "three": SLEEP["one"]}).to_csv(path, index=False)
    with pytest.raises(HarnessError, match="text in column 'note'"):
        compare(path, **HOW)
    for chosen in ("one, three", "one,two,three"):
        assert [c["arm"] for c in compare(path, arm=chosen, **HOW)["contrasts"]] == ["one", "three"]


def test_a_folder_of_parquet_files_is_one_table(long, tmp_path):
    folder = tmp_path / "trials"
    folder.mkdir()
    frame = pd.read_parquet(long)
    frame.iloc[:7].to_parquet(folder / "a.parquet")
    frame.iloc[7:].to_parquet(folder / "b.parquet")
    assert compare(folder, unit="patient", arm="drug", value="hours", **HOW)["contrasts"][0]["n"] == 10


def test_arms_named_by_numbers_are_found(tmp_path):
    path = tmp_path / "numbered.csv"
    pd.DataFrame({"unit": range(10), "0": SLEEP["two"], "1": SLEEP["one"]}).melt("unit", var_name="arm").to_csv(
        path, index=False
    )
    assert compare(path, baseline="0", better="higher")["contrasts"][0]["arm"] == "1"


def test_empty_cells_and_the_failed_column_are_failures(tmp_path):
    frame = pd.DataFrame({"unit": range(10), **SLEEP}).melt("unit", var_name="arm")
    frame.loc[2, "value"] = None
    frame["crashed"] = "no"
    frame.loc[2, "crashed"] = "yes"
    path = tmp_path / "failed.csv"
    frame.to_csv(path, index=False)
    for failed in (None, "crashed"):
        contrast = compare(path, failed=failed, **HOW)["contrasts"][0]
        assert (contrast["n"], contrast["pairs_lost"], contrast["failures"]["arm"]) == (9, 1, 1)


def test_costs_are_medians_of_their_column(tmp_path):
    frame = pd.DataFrame({"unit": range(10), **SLEEP}).melt("unit", var_name="arm")
    frame["seconds"] = np.where(frame["arm"] == "one", 3.0, 6.0)
    frame.loc[3, "seconds"] = 500.0
    path = tmp_path / "costs.csv"
    frame.to_csv(path, index=False)
    cost = compare(path, costs=["seconds"], **HOW)["contrasts"][0]["costs"][0]
    assert (cost["name"], cost["ratio"]) == ("seconds", 0.5)


def test_looks_are_read_from_text(wide):
    document = compare(wide, unit="patient", looks="4, 7,10", **HOW)
    assert document["looks"] == [4, 7, 10]
    assert document["contrasts"][0]["ci"]["kind"] == "repeated"


def test_a_factorial_table_gives_effects_and_no_contrasts(tmp_path):
    yields = (45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96)
    cells = itertools.product((-1, 1), repeat=4)
    path = tmp_path / "filtration.csv"
    rows = [
        {
            **dict(
                zip("DCBA", c, strict=True),
            ),
            "rate": y,
        }
        for c, y in zip(cells, yields, strict=True)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    document = compare(path, factors="A,B,C,D", value="rate", better="higher")
    effects = {e["term"]: e for e in document["effects"]}
    assert document["contrasts"] == []
    assert effects["A"]["estimate"] == pytest.approx(21.625)
    assert effects["A"]["sum_of_squares"] == pytest.approx(1870.5625)
    assert effects["A"]["pse"] == pytest.approx(2.625)
    assert effects["A"]["margin_of_error"] == pytest.approx(6.748, abs=5e-4)
    text = render(document)
    assert "'A' helps: rate is 21.6 higher" in text
    assert "What 'A' does depends on 'C'" in text
    json.dumps(document, allow_nan=False)


def test_every_document_is_json_and_its_text_has_a_sentence_an_arm(wide):
    document = compare(wide, unit="patient", **HOW)
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert document["contrasts"][0]["sentence"] in render(document)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "patent"}, r"no column 'patent' for the units \(--unit\); did you mean 'patient'"),
        ({"unit": "patient", "value": "hour"}, "no column 'hour' for the values"),
        ({"unit": "patient", "baseline": "tow"}, "no column 'tow' of a wide table.*did you mean 'two'"),
        ({"unit": "patient", "baseline": None}, "no baseline"),
        ({"unit": "patient", "margin": "ten"}, "margin: 'ten'"),
        ({"unit": "patient", "looks": "6,nine"}, "looks: '6,nine'"),
        ({"unit": "patient", "failed": "crashed"}, "leave failed cells empty"),
        ({"unit": "patient", "scale": "log"}, "no logarithm"),
        ({"factors": "drug", "unit": "patient"}, "no column 'drug'"),
        ({"factors": "patient", "baseline": None}, "no column 'value'"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(wide, options, message):
    with pytest.raises(HarnessError, match=message) as caught:
        compare(wide, **{**HOW, **options})
    assert "\n" not in str(caught.value)


def test_an_unknown_baseline_of_a_long_table_names_the_nearest(long):
    with pytest.raises(HarnessError, match="no arm 'tow' to be the baseline; did you mean 'two'"):
        compare(long, unit="patient", arm="drug", value="hours", baseline="tow", better="higher")


def test_a_file_that_is_not_there_names_its_neighbour(wide):
    with pytest.raises(HarnessError, match=r"no such file; did you mean 'sleep.csv'"):
        compare(wide.parent / "sleeep.csv", **HOW)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "cannot be read as a table"),
        ("head.csv", b"unit,one,two\n", "no rows"),
        ("torn.parquet", b"PAR1 not really", "cannot be read as a table"),
        ("sheet.xlsx", b"PK", "unknown kind of table"),
        ("ragged.csv", b"unit,one,two\n1,2,3\n1,2,3,4,5,6\n", "cannot be read as a table"),
        ("binary.csv", b"\xff\xfe\x00\x01\x80", "cannot be read as a table"),
        ("text.csv", b"unit,one,two\n1,2,3\n2,lots,3\n", "row 2: 'lots'"),
        ("inf.csv", b"unit,one,two\n1,2,3\n2,inf,3\n", "infinite values"),
        ("twice.csv", b"unit,one,two\n1,2,3\n1,2,3\n", "more than one row for the same cell"),
    ],
)
def test_files_that_hold_no_table_are_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(HarnessError, match=message) as caught:
        compare(path, **{**HOW, "unit": None})
    assert "\n" not in str(caught.value)


def test_one_unit_gives_a_document_that_says_why_there_is_no_verdict(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("unit,one,two\n1,2.0,3.0\n")
    document = compare(path, **HOW)
    assert document["contrasts"][0]["verdict"] == "inconclusive"
    assert document["contrasts"][0]["ci"]["low"] is None
    assert "One block only" in render(document)


def test_constant_values_have_no_verdict_but_a_warning(tmp_path):
    path = tmp_path / "constant.csv"
    path.write_text("unit,one,two\n1,3,3\n2,3,3\n3,3,3\n")
    document = compare(path, **HOW)
    assert document["contrasts"][0]["verdict"] == "inconclusive"
    assert "check that this column measures something" in render(document)


def test_importing_the_analysis_loads_neither_torch_nor_statsmodels_nor_matplotlib():
    heavy = ("torch", "statsmodels", "matplotlib", "optuna")
    code = f"import harness.statistics, sys; print(*(m for m in {heavy} if m in sys.modules))"
    found = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
