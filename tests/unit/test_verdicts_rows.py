"""Which stored rows are judged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pretended import fill, study

from harness.errors import StoreError
from harness.provenance import OWN
from harness.results.store import Store
from harness.statistics import Verdict
from harness.study.design import arms
from harness.verdicts.belonging import FEATURES, SAME, mixed_blocks, unlike_pairs
from harness.verdicts.judge import StudyVerdicts, judge_stored


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, study(design={"blocks": 6}), pictures=False)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "study"))


def change(folder: Path, table: str, file_of: str, **values: Any) -> None:
    """Write other values into the first row of a trial's file."""
    file = folder / table / f"{file_of}.parquet"
    old = pq.read_table(file)
    rows = old.to_pylist()
    rows[0] |= values
    pq.write_table(pa.Table.from_pylist(rows, schema=old.schema), file)


def judged(folder: Path) -> StudyVerdicts:
    return judge_stored(folder)[1]


def test_shards_run_with_other_settings_and_copied_together_are_named_and_not_judged(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    fill(mine, study(design={"blocks": 8}), pictures=False)
    fill(other, study(design={"blocks": 8}, training={"steps": 90}), pictures=False)
    for path in other.glob("*/b00[1357]-*.parquet"):
        shutil.copy(path, mine / path.parent.name / path.name)
    verdicts = judged(mine)
    assert verdicts.trials_done == 12
    assert any("12 trials not judged, computed under other settings" in note for note in verdicts.notes)
    assert {contrast.n for contrast in verdicts.contrasts} == {4}
    assert Store(mine).set_aside_damaged() == []


@pytest.mark.parametrize(
    ("arm", "gated"),
    [
        ("spectral_norm=convs", {"spectral_norm=convs"}),
        ("baseline", {"spectral_norm=convs", "spectral_norm=convs+heads"}),
    ],
)
def test_an_arm_whose_trials_ran_at_two_commits_is_not_judged(folder: Path, arm: str, gated: set[str]) -> None:
    for file in sorted(path.stem for path in (folder / "trials").glob("*.parquet")):
        mixed = pq.read_table(folder / "trials" / f"{file}.parquet").column("arm").to_pylist() == [arm]
        change(folder, "trials", file, commit="b" * 40 if mixed and file.startswith("b003") else "a" * 40)
    contrasts = judged(folder).contrasts
    assert {contrast.arm for contrast in contrasts if contrast.verdict is Verdict.INVALID} == gated
    for contrast in contrasts:
        if contrast.arm in gated:
            assert f"trials of '{arm}' ran different code (aaaaaaaaaaaa and bbbbbbbbbbbb)" in contrast.sentence


def test_rows_of_the_study_alone_are_all_judged(folder: Path) -> None:
    verdicts = judged(folder)
    assert verdicts.trials_done == 18
    assert not any("not judged" in note for note in verdicts.notes)


@pytest.mark.parametrize(
    ("table", "values", "reason"),
    [
        ("trials", {"study": "another"}, "computed under other settings"),
        ("trials", {"study_hash": "0" * 16}, "computed under other settings"),
        ("trials", {"arm": "spectral_norm=all"}, "the study has no such arm"),
        ("trials", {"arm": None}, "the study has no such arm"),
        ("trials", {"status": "great"}, "there is no such status"),
        ("trials", {"trial_id": "../../etc/passwd"}, "their id is not that of their arm and block"),
        ("trials", {"block": -1}, "their id is not that of their arm and block"),
        ("trials", {"block": None}, "their id is not that of their arm and block"),
        ("trials", {"trial_id": "b000-spectral_norm=convs"}, "their id is not that of their arm and block"),
        ("trials", {"ssim": -5.0}, r"a value of ssim is none that it can have (-1 to 1)"),
        ("trials", {"fid_efficientnet": 1e308}, "a value of fid_efficientnet is none that it can have"),
        ("trials", {"fid_efficientnet": float("inf")}, "a value of fid_efficientnet is none that it can have"),
        ("measurements", {"value": -5.0}, "a value of fid_efficientnet is none that it can have (0 to inf)"),
    ],
)
def test_a_row_that_is_not_sound_is_named_and_not_judged(
    folder: Path, table: str, values: dict[str, Any], reason: str
) -> None:
    change(folder, table, "b002-baseline", **values)
    verdicts = judged(folder)
    assert verdicts.trials_done == 17
    assert any(note.startswith("1 trial not judged, ") and reason in note for note in verdicts.notes)
    assert {contrast.n for contrast in verdicts.contrasts} == {5}
    tables = Store(folder).tables()
    assert set(tables.measurements["trial_id"]) == set(tables.signals["trial_id"]) == set(tables.trials["trial_id"])


def test_an_id_that_is_a_path_leads_nowhere(folder: Path) -> None:
    change(folder, "trials", "b002-baseline", trial_id="../../etc/passwd")
    assert not any("passwd" in trial_id for trial_id in Store(folder).tables().trials["trial_id"])
    assert Store(folder).set_aside_damaged() == [folder / "trials" / "b002-baseline.parquet"]


def test_a_row_copied_under_another_name_counts_once_it_is_gone(folder: Path) -> None:
    trials = folder / "trials"
    shutil.copy(trials / "b002-baseline.parquet", trials / "b007-baseline.parquet")
    assert any("2 trials not judged, as they are there more than once" in note for note in judged(folder).notes)
    Store(folder).set_aside_damaged()
    assert judged(folder).trials_done == 18


def test_rows_that_are_not_sound_are_computed_again(folder: Path) -> None:
    change(folder, "trials", "b002-baseline", ssim=-5.0)
    assert Store(folder).set_aside_damaged() == [folder / "trials" / "b002-baseline.parquet"]
    assert "b002-baseline" not in Store(folder).done()
    fill(folder, study(design={"blocks": 6}), pictures=False)
    assert judged(folder).trials_done == 18


@pytest.mark.parametrize(
    ("table", "column", "values", "reason"),
    [
        ("trials", "block", ["0"], "column block holds string, not int64"),
        ("trials", "ssim", ["0.7"], None),
        ("trials", "arm", [1], "column arm holds int64, not string"),
        ("trials", "block", [0.5], "column block holds double, not int64"),
        ("trials", "block", None, "no column block"),
        ("measurements", "value", [["x"]], "column value holds list<element: string>, not double"),
        ("signals", "step", [None], None),
        ("signals", "trial_id", ["b001-baseline"], "it holds rows of another trial"),
    ],
)
def test_a_column_of_another_type_is_a_damaged_file(
    folder: Path, table: str, column: str, values: list[Any] | None, reason: str | None
) -> None:
    file = folder / table / "b000-baseline.parquet"
    old = pq.read_table(file)
    rest = old.drop_columns([column] if column in old.column_names else [])
    values = values and values * old.num_rows
    pq.write_table(rest if values is None else rest.append_column(column, pa.array(values)), file)
    tables = Store(folder).tables()
    if reason is None:
        assert len(tables.trials) == 18
        assert len(tables.signals)
        return
    with pytest.raises(StoreError, match="is damaged") as error:
        assert len(tables.trials) + len(tables.signals)
    assert reason in str(error.value)
    assert file in Store(folder).set_aside_damaged()
    assert len(Store(folder).tables().trials) == 17


CONVS, HEADS = "spectral_norm=convs", "spectral_norm=convs+heads"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("code_version", "0.2.0+def"),
        ("packages", '{"python": "3.11", "torch": "2.15.0"}'),
        ("device", "NVIDIA H100"),
        ("data_hash", "x" * 8),
        ("heldout_hash", "x" * 8),
        ("feature_id", "efficientnet:87654321"),
    ],
)
def test_a_contrast_of_rows_that_do_not_belong_together_is_not_judged(folder: Path, column: str, value: str) -> None:
    before = {c.arm: c for c in judged(folder).contrasts}
    change(folder, "trials", f"b002-{CONVS}", **{column: value})
    after = judged(folder)
    mixed, alike = (next(c for c in after.contrasts if c.arm == arm) for arm in (CONVS, HEADS))
    assert mixed.verdict == "invalid"
    assert f"{column} differs in 1 of 6 blocks" in str(mixed.reason)
    assert "do not belong together" in mixed.sentence
    assert alike == before[HEADS]
    assert any(f"Trials differ in {column}" in note for note in after.notes)
    assert after.trials_done == 18


def test_features_that_differ_gate_their_own_metric_alone(folder: Path) -> None:
    for arm, features in (("baseline", "a"), (CONVS, "b"), (HEADS, "a")):
        for block in range(6):
            change(folder, "measurements", f"b{block:03d}-{arm}", metric="ssim", value=0.5, feature_id=features)
    verdicts = judged(folder)
    assert "invalid" not in {contrast.verdict for contrast in verdicts.contrasts}
    (ssim,) = verdicts.others
    assert {c.arm: c.verdict == "invalid" for c in ssim.contrasts} == {CONVS: True, HEADS: False}


def test_whole_blocks_of_another_version_are_judged_and_named(folder: Path) -> None:
    before = judged(folder).contrasts
    for arm in ("baseline", CONVS, HEADS):
        change(folder, "trials", f"b005-{arm}", code_version="0.2.0+def")
    after = judged(folder)
    assert after.contrasts == before
    assert any("Trials differ in code_version: '0.1.0+abc' in 15, '0.2.0+def' in 3." in note for note in after.notes)


def test_what_rows_do_not_say_is_not_a_difference(folder: Path) -> None:
    before = judged(folder)
    for column in ("heldout_hash", "code_version", "device", "feature_id"):
        change(folder, "trials", f"b002-{CONVS}", **{column: None})
    assert judged(folder).contrasts == before.contrasts
    assert judged(folder).notes == before.notes


def test_a_difference_that_is_declared_harmless_is_named_and_judged(folder: Path) -> None:
    change(folder, "trials", f"b002-{CONVS}", code_version="0.2.0+def")
    before = judged(folder)
    store = fill(folder, study(design={"blocks": 6}, harmless=["code_version"]), pictures=False)
    after = judged(folder)
    assert next(c.verdict for c in before.contrasts if c.arm == CONVS) == "invalid"
    assert "invalid" not in {contrast.verdict for contrast in after.contrasts}
    assert any("which the study declares harmless" in note for note in after.notes)
    assert [str(c) for a in store.history() for c in a.changes] == ['harmless: was [], is ["code_version"]']
    assert not after.history[0].after_the_fact


def test_levels_of_the_data_may_be_of_different_data_and_not_of_different_held_out_images(tmp_path: Path) -> None:
    asked = study(axes={"data.limit": [None, 50]}, design={"blocks": 6})
    fill(tmp_path, asked, pictures=False)
    for block in range(6):
        change(tmp_path, "trials", f"b{block:03d}-limit=50", data_hash="part")
    verdicts = judged(tmp_path)
    assert "invalid" not in {contrast.verdict for contrast in verdicts.contrasts}
    assert not any("differ" in note for note in verdicts.notes)
    change(tmp_path, "trials", "b000-limit=50", heldout_hash="other")
    assert [contrast.verdict for contrast in judged(tmp_path).contrasts] == ["invalid"]


def test_the_trials_of_mixed_blocks_can_be_computed_again(folder: Path) -> None:
    change(folder, "trials", f"b002-{CONVS}", code_version="0.2.0+def")
    tables = Store(folder).tables()
    asked = tables.frozen.study
    ids = mixed_blocks(asked, tables, arms(asked))
    assert ids == ["b002-baseline", f"b002-{CONVS}", f"b002-{HEADS}"]
    Store(folder).remove_rows(ids)
    fill(folder, asked, pictures=False)
    assert mixed_blocks(asked, Store(folder).tables(), arms(asked)) == []
    assert judged(folder).trials_done == 18


def test_other_modules_of_ones_own_are_what_an_arm_is_about_and_changed_ones_are_not() -> None:
    asked = study(axes={"discriminator": {"built-in": {"kind": "zi2zi"}, "own": {"kind": "mine:critic"}}})
    every = arms(asked)
    rows = pd.DataFrame({"arm": [arm.name for arm in every], "block": 0, **dict.fromkeys((*SAME, FEATURES), "same")})
    rows["code_version"] = ["0.1.0+abc", f"0.1.0+abc{OWN}111"]
    assert unlike_pairs(rows, every) == {}
    rows["code_version"] = ["0.1.0+abc", f"0.1.0+def{OWN}111"]
    assert list(unlike_pairs(rows, every)[every[1].name]) == ["code_version"]
    same_door = arms(study(discriminator={"kind": "mine:critic"}, axes={"training.ema": [0.0, 0.9]}))
    rows["arm"] = [arm.name for arm in same_door]
    rows["code_version"] = [f"0.1.0+abc{OWN}111", f"0.1.0+abc{OWN}222"]
    assert list(unlike_pairs(rows, same_door)[same_door[1].name]) == ["code_version"]
