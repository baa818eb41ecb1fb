from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pretended import fill, study

from harness.driver import Driver
from harness.errors import DataError, StudyError
from harness.executors.in_process import InProcess
from harness.report.verdict_tables import headline
from harness.report.write import document
from harness.results.store import Store
from harness.statistics import Verdict
from harness.statistics.claims import EXPECTATIONS, settle
from harness.study.controls import of_names
from harness.study.design import arms, trials
from harness.study.reading import checked
from harness.study.study import Study
from harness.tables import compare
from harness.terminal.summary import lines
from harness.verdicts.judge import StudyVerdicts, judge_stored

EQUAL, HELPS = "spectral_norm=convs+heads", "spectral_norm=convs"
FIDS = {"baseline": 60.0, HELPS: 48.0, EQUAL: 60.0}
AWAY = {"training.loss.adversarial": 0}
WORSE, BETTER, SAME = ({**FIDS, "positive control": fid} for fid in (80.0, 48.0, 60.0))


def asked(**changes: Any) -> Study:
    return study(design={"blocks": 9}, **changes)


def judged(folder: Path, of: Study, **options: Any) -> StudyVerdicts:
    return judge_stored(fill(folder / of.study, of, **{"pictures": False, "fids": FIDS, **options}))[1]


def verdicts(findings: StudyVerdicts) -> dict[str, str]:
    return {c.arm: c.verdict.value for c in findings.contrasts}


@pytest.mark.parametrize(
    ("controls", "fids", "verdict", "said"),
    [
        ({}, FIDS, "not sensitive", "No positive control was declared"),
        ({"positive": AWAY}, WORSE, "equivalent", "told apart, worse as expected: fid_efficientnet 33 % higher"),
        ({"positive": AWAY}, SAME, "not sensitive", "not told apart: fid_efficientnet"),
        (
            {"positive": AWAY},
            BETTER,
            "not sensitive",
            "told apart, but the other way: expected to be worse, it is better",
        ),
        ({"positive": {"settings": AWAY, "expect": "better"}}, BETTER, "equivalent", "better as expected"),
        ({"positive": {"settings": AWAY, "expect": "differs"}}, BETTER, "equivalent", "told apart, better:"),
    ],
)
def test_nothing_is_equivalent_unless_the_positive_control_was_told_apart_as_expected(
    tmp_path: Path, controls: dict[str, Any], fids: dict[str, float], verdict: str, said: str
) -> None:
    findings = judged(tmp_path, asked(controls=controls), fids=fids)
    assert verdicts(findings) == {HELPS: "helps", EQUAL: verdict}
    text = "\n".join(lines(findings))
    assert said in text
    found = document(findings)
    assert found["sensitivity"]["shown"] is (verdict == "equivalent")
    assert said.lower() in found["sensitivity"]["reason"].lower()
    if verdict != "equivalent":
        assert said in headline(findings)
        (contrast,) = (c for c in findings.contrasts if c.arm == EQUAL)
        assert "this experiment could not have told" in contrast.sentence
        assert contrast.reason in contrast.sentence  # type: ignore[operator]
        assert "inside the margin of 10%" in contrast.sentence


def test_a_control_costs_the_arms_no_error_rate_and_is_no_contrast(tmp_path: Path) -> None:
    without = judged(tmp_path, asked())
    beside = judged(tmp_path, asked(study="beside", controls={"positive": AWAY, "negative": "a/a"}), fids=WORSE)
    assert without.primary is not None
    assert beside.primary is not None
    assert without.primary.family_size == beside.primary.family_size == 2
    for a, b in zip(without.contrasts, beside.contrasts, strict=True):
        assert (a.arm, a.ci, a.p_holm, a.equivalence) == (b.arm, b.ci, b.p_holm, b.equivalence)


def test_what_a_difference_shows_of_itself_needs_no_control(tmp_path: Path) -> None:
    fids = {**FIDS, HELPS: 58.0, EQUAL: 90.0}
    findings = judged(tmp_path, asked(), fids=fids)
    assert verdicts(findings) == {HELPS: "negligible", EQUAL: "hurts"}
    assert "positive control" not in headline(findings)


def test_a_failed_positive_control_is_no_alarm_and_a_negative_one_told_apart_is(tmp_path: Path) -> None:
    quiet = judged(tmp_path, asked(controls={"positive": AWAY}), fids=SAME)
    assert quiet.sound
    loud = judged(
        tmp_path,
        asked(study="loud", controls={"negative": {"training.ema": 0.1}}),
        fids={**FIDS, "negative control": 70.0},
    )
    assert not loud.sound
    assert "must make no difference, differs from 'baseline'" in "\n".join(lines(loud))


def test_other_metrics_are_gated_by_what_the_control_shows_by_them(tmp_path: Path) -> None:
    of = asked(controls={"positive": AWAY}, measure={"margin": "10%", "also": ["ssim"], "margins": {"ssim": 0.1}})
    findings = judged(tmp_path, of, fids=WORSE)
    (ssim,) = findings.others
    assert ssim.sensitivity is not None
    # By SSIM the control is 0.7 % away: far within the margin, which could not have told.
    assert (verdicts(findings)[EQUAL], ssim.contrast(EQUAL).verdict) == ("equivalent", Verdict.NOT_SENSITIVE)


def test_a_claim_that_rests_on_an_equality_is_untested_where_the_experiment_could_not_have_told(tmp_path: Path) -> None:
    claims = [
        {"id": e, "quote": e, "arm": EQUAL, "expect": e} for e in ("no difference", "helps", "not worse", "builds")
    ]
    without, told = (
        {
            s.claim.id: s.outcome
            for s in judged(tmp_path, asked(claims=claims, study=name, controls=c), fids=WORSE).claims
        }
        for name, c in (("a", {}), ("b", {"positive": AWAY}))
    )
    assert without == {"no difference": "untested", "helps": "untested", "not worse": "untested", "builds": "supported"}
    assert told == {
        "no difference": "supported",
        "helps": "contradicted",
        "not worse": "supported",
        "builds": "supported",
    }


def test_a_verdict_that_is_not_sensitive_settles_nothing_but_that_the_arm_can_be_built() -> None:
    settled = {expect: settle(expect, Verdict.NOT_SENSITIVE) for expect in EXPECTATIONS}
    assert settled.pop("builds") == "supported"
    assert settled.pop("invalid") == "contradicted"
    assert set(settled.values()) == {"untested"}


def test_main_effects_are_gated_as_arms_are(tmp_path: Path) -> None:
    axes = {"discriminator.spectral_norm": ["none", "convs"], "discriminator.blur.position": ["none", "input"]}
    design = {"kind": "factorial", "blocks": 9}
    fids = {"spectral_norm=convs": 60.0, "position=input": 75.0, "spectral_norm=convs,position=input": 75.0}
    none, one = (
        judged(
            tmp_path, study(study=name, axes=axes, design=design, controls=c), fids={**fids, "positive control": 90.0}
        )
        for name, c in (("a", {}), ("b", {"positive": AWAY}))
    )
    assert [{e.term: e.verdict for e in f.effects.effects}["spectral_norm"] for f in (none, one) if f.effects] == [
        Verdict.NOT_SENSITIVE,
        Verdict.EQUIVALENT,
    ]
    assert "positive control" in headline(none)


@pytest.mark.parametrize("shorthand", [AWAY, {"training": {"loss": {"adversarial": 0}}}])
def test_a_plain_mapping_of_settings_is_a_control_that_is_expected_to_be_worse(shorthand: dict[str, Any]) -> None:
    short, whole = (
        asked(controls={"positive": c}).controls.positive for c in (AWAY, {"settings": AWAY, "expect": "worse"})
    )
    assert short == whole
    assert checked(asked(controls={"positive": shorthand, "negative": [AWAY, "a/a"]}))


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"positive": {"training.loss.adverserial": 0}}, "did you mean 'training.loss.adversarial'"),
        ({"positive": {"training.loss.adversarial": -1}}, "greater than or equal to 0"),
        ({"positive": {"training.loss.adversarial": 1.0}}, "is the baseline itself"),
        ({"positive": {"data.holdout": 0.4}}, "holds out different images"),
        ({"negative": {"training.stepz": 3}}, "no such setting"),
        ({"positive": {"settings": AWAY, "expect": "worst"}}, "did you mean 'worse'"),
        ({"positive": "a/a"}, "planted-harm"),
        ({"negative": ["a-a"]}, "'a/a'"),
    ],
)
def test_a_control_that_cannot_be_is_refused_with_the_way_out(controls: dict[str, Any], message: str) -> None:
    from harness.study import yaml_lines
    from harness.study.reading import _checked

    data = {**asked().model_dump(mode="json"), "controls": controls}
    with pytest.raises(StudyError) as refused:
        _checked(yaml_lines.Document(data, {}), "study.yaml", ())
    assert message in str(refused.value)


def test_a_control_is_measured_at_the_horizon_only_unless_the_earlier_steps_count() -> None:
    def measured(**changes: Any) -> dict[str, tuple[int, ...]]:
        of = asked(controls={"positive": AWAY, "negative": ["a/a", "one-ulp"]}, **changes)
        driver = Driver(of, Path("nowhere"), executor=InProcess(), watch=lambda _: None)
        tasks = [driver._task(trial) for trial in trials(driver.arms, range(1))]
        return {t.arm: t.measure.steps(t.settings.training.steps) for t in tasks}

    steps = measured()
    assert steps["baseline"] == steps["one-ulp"] == (99, 201, 300)
    assert steps["positive control"] == steps["a/a"] == (300,)
    assert measured(measure={"primary": "area(ssim)", "margin": 0.1})["positive control"] == (99, 201, 300)


LOOKS = {"blocks": {"looks": [9, 18, 27]}}


def needed(findings: StudyVerdicts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return findings.open_arms, findings.open_controls


@pytest.mark.slow
def test_a_control_goes_on_only_until_it_is_told_and_the_study_waits_for_it_only_where_a_verdict_does(
    tmp_path: Path,
) -> None:
    controls = {"positive": AWAY, "negative": "a/a"}
    of = study(design=LOOKS, controls=controls)
    told = judged(tmp_path / "told", of, fids=WORSE, blocks=9)
    # The A/A arm repeats the baseline here, and is equal in the first look.
    assert needed(told) == ((), ())
    assert verdicts(told)[EQUAL] == "equivalent"
    waiting = judged(tmp_path / "waiting", of, fids=SAME, blocks=9)
    assert needed(waiting) == ((), ())  # equal to the last bit: it will not be told apart by more blocks
    noisy = {**FIDS, "positive control": 61.5}
    assert needed(judged(tmp_path / "small", of, fids=noisy, blocks=9)) == ((), ())


def test_a_control_that_was_added_to_a_finished_study_is_trained_to_the_first_look_and_takes_no_verdict_away(
    tmp_path: Path,
) -> None:
    for name, design in (("fixed", {"blocks": 9}), ("looks", LOOKS)):
        folder = tmp_path / name / "pretended"
        before = judge_stored(fill(folder, study(design=design), fids=FIDS, pictures=False))[1]
        rows = {path: path.read_bytes() for path in (folder / "trials").iterdir()}
        later = study(design=design, controls={"positive": AWAY})
        store = Store(folder)
        store.freeze(later, {})
        between = judge_stored(store)[1]
        assert verdicts(between) == verdicts(before) == {HELPS: "helps", EQUAL: "not sensitive"}
        assert "it has no rows yet" in headline(between)
        driver = Driver(later, tmp_path / name, executor=InProcess(), watch=lambda _: None)
        assert {arm.name for arm in driver._open_arms()} >= {"baseline", "positive control"}
        after = judge_stored(fill(folder, later, fids=WORSE, pictures=False))[1]
        assert {path: path.read_bytes() for path in rows} == rows
        assert verdicts(after) == {HELPS: "helps", EQUAL: "equivalent"}
        (amendment,) = after.history
        assert (amendment.after_the_fact, amendment.changes[0].setting) == (False, "controls.positive")
        assert needed(after) == ((), ())


def test_controls_of_the_old_spelling_are_read_from_stored_studies(tmp_path: Path) -> None:
    names = ["a/a", "planted-harm", "no-ops"]
    of = asked(controls=of_names(names))
    store = fill(tmp_path, of, pictures=False, blocks=1)
    written = json.loads((tmp_path / "study.json").read_text())
    old = {key: value for key, value in of.model_dump(mode="json").items() if key != "controls"}
    old["design"] = {**old["design"], "controls": names}
    change = {"setting": "design.controls", "was": ["a/a"], "now": names}
    entry = {"at": "2026-01-02T03:04:05+00:00", "trials": 1, "blocks": 1, "changes": [change], "after_the_fact": False}
    (tmp_path / "study.json").write_text(
        json.dumps({**written, "format": 1, "study": old, "planned": old, "history": [entry]})
    )
    frozen = store.frozen()
    assert frozen.study == of
    assert frozen.history[0].changes[0].now == of_names(names)
    assert {c.arm for c in judge_stored(store)[1].controls} == {"planted-harm", "a/a", "no-op blur", "no-op adamw"}


TABLE = "unit,arm,value\n" + "\n".join(
    f"{u},{arm},{60 * factor * (1 + 0.01 * ((7 * u + i) % 3))}"
    for i, (arm, factor) in enumerate({"base": 1.0, "same": 1.001, "broken": 1.4}.items())
    for u in range(8)
)


def test_a_table_is_judged_by_the_same_rule(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    how: dict[str, Any] = {"baseline": "base", "better": "lower", "scale": "log", "margin": "10%"}
    without = compare(path, **how)
    assert {c["arm"]: c["verdict"] for c in without["contrasts"]} == {"same": "not sensitive", "broken": "hurts"}
    assert without["sensitivity"]["reason"] == "no positive control was declared"
    named = compare(path, **how, positive_control="broken")
    assert {c["arm"]: c["verdict"] for c in named["contrasts"]} == {"same": "equivalent"}
    assert [c["outcome"] for c in named["controls"]] == ["told apart"]
    other_way = compare(path, **how, positive_control="broken", expect="better")
    assert [c["verdict"] for c in other_way["contrasts"]] == ["not sensitive"]
    with pytest.raises(DataError, match="no arm 'brokn' to be the positive control; did you mean 'broken'"):
        compare(path, **how, positive_control="brokn")


def test_a_table_with_a_column_per_arm_takes_one_as_the_control(tmp_path: Path) -> None:
    wide = pd.read_csv(io.StringIO(TABLE)).pivot_table(index="unit", columns="arm", values="value").reset_index()
    found = compare(wide, baseline="base", better="lower", scale="log", margin="10%", positive_control="broken")
    assert {c["arm"]: c["verdict"] for c in found["contrasts"]} == {"same": "equivalent"}


def test_a_control_of_other_training_items_raises_no_note_on_mismatched_data(tmp_path: Path) -> None:
    of = asked(controls={"positive": {"data.limit": 50}})
    store = fill(tmp_path, of, fids=WORSE, pictures=False)
    for path in (tmp_path / "trials").glob("*positive_control*"):
        rows = pd.read_parquet(path)
        rows.assign(data_hash="e" * 8).to_parquet(path)
    assert not any("data_hash" in note for note in judge_stored(Store(store.folder))[1].notes)
    for path in (tmp_path / "trials").glob("b000-baseline*"):
        pd.read_parquet(path).assign(data_hash="f" * 8).to_parquet(path)
    assert any("data_hash" in note for note in judge_stored(Store(store.folder))[1].notes)


def test_a_study_goes_on_with_baseline_and_control_while_a_verdict_waits_for_the_control(tmp_path: Path) -> None:
    findings = judged(tmp_path, study(design=LOOKS, controls={"positive": AWAY}), fids=SAME, blocks=9)
    (control,) = findings.controls
    undecided = replace(findings, controls=(replace(control, decided=False),))
    assert needed(undecided) == ((), ("positive control",))
    (helps, _) = findings.contrasts
    assert findings.primary is not None
    no_equality = replace(undecided, primary=replace(findings.primary, contrasts=(helps,)))
    assert needed(no_equality) == ((), ())


def test_rows_of_another_control_under_the_same_name_are_named_and_not_judged(tmp_path: Path) -> None:
    mine, other = (asked(controls={"positive": {"training.loss.adversarial": w}}) for w in (0, 0.5))
    assert mine.hash != other.hash != asked().hash == asked(controls={}).hash
    fill(tmp_path / "other", other, fids=BETTER, pictures=False)
    findings = judged(tmp_path, mine, fids=WORSE)
    for path in (tmp_path / "other").glob("*/*positive_control*.parquet"):
        shutil.copy(path, tmp_path / "pretended" / path.parent.name / path.name)
    mixed = judge_stored(Store(tmp_path / "pretended"))[1]
    assert verdicts(findings)[EQUAL] == "equivalent"
    assert verdicts(mixed)[EQUAL] == "not sensitive"
    assert any("computed under other settings" in note for note in mixed.notes)


def test_a_control_that_is_named_twice_is_one_arm() -> None:
    of = asked(controls={"negative": ["a/a", "no-ops", AWAY, "a/a", AWAY, "no-ops"]})
    names = [arm.name for arm in arms(of) if arm.control]
    assert names == ["a/a", "no-op blur", "no-op adamw", "negative control"]


def test_a_control_whose_rows_and_the_baselines_do_not_belong_together_shows_nothing(tmp_path: Path) -> None:
    of = asked(controls={"positive": AWAY})
    assert judged(tmp_path, of, fids=WORSE).controls[0].outcome == "told apart"
    (path,) = (tmp_path / of.study / "trials").glob("b002-positive*.parquet")
    table = pq.read_table(path)
    column = table.schema.get_field_index("code_version")
    pq.write_table(table.set_column(column, "code_version", pa.array(["0.2.0+def"])), path)
    findings = judge_stored(Store(tmp_path / of.study))[1]
    (control,) = findings.controls
    assert (control.outcome, control.passed) == ("not told apart", None)
    assert "do not belong together: code_version differs in 1 of 9 blocks" in control.sentence
    assert verdicts(findings)[EQUAL] == "not sensitive"
