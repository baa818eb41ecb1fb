from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
from pretended import fill, study

from harness.errors import StoreError
from harness.metrics.catalogue import metric_named
from harness.report.verdict_tables import headline
from harness.report.write import document, write
from harness.results.merge import merge
from harness.results.schema import References
from harness.results.store import Store
from harness.statistics import Verdict
from harness.study.study import Study
from harness.terminal.summary import lines
from harness.verdicts.health import FLOOR_SHARE, Health, Yardstick, health_of
from harness.verdicts.judge import StudyVerdicts, judge_stored

HELPS, EQUAL = "spectral_norm=convs", "spectral_norm=convs+heads"
FIDS = {"baseline": 60.0, HELPS: 48.0, EQUAL: 60.0, "positive control": 80.0}
TOLD = {"positive": {"training.loss.adversarial": 0}}
BLOCKS = 9


def by(metric: str = "fid_efficientnet", width: float | None = math.log(1.1), **references: float | None) -> Yardstick:
    known = {"untrained": None, "mean_image": None, **references}
    return Yardstick(metric_named(metric), width, References(metric, **known) if references else None)


@pytest.mark.parametrize(
    ("yardstick", "trial", "expected"),
    [
        (by(), {"value": 60.0, "before": 62.0}, Health.LEARNED),
        (by(), {"value": 60.0, "before": None}, Health.LEARNED_ONCE),
        (by(), {"value": 60.0, "before": 70.0}, Health.STILL_LEARNING),
        (by(), {"value": 70.0, "before": 60.0}, Health.LEARNED),
        (by(untrained=400.0), {"value": 60.0, "before": 70.0}, Health.STILL_LEARNING),
        (by(untrained=62.0), {"value": 60.0, "before": 70.0}, Health.UNTRAINED),
        (by(untrained=55.0), {"value": 60.0, "before": 70.0}, Health.UNTRAINED),
        (by(untrained=66.1), {"value": 60.0, "before": 60.0}, Health.LEARNED),
        (by(untrained=400.0, mean_image=65.0), {"value": 60.0, "before": 60.0}, Health.MEAN_IMAGE),
        (by(), {"value": 60.0, "before": 60.0, "floor": FLOOR_SHARE * 60.0 + 0.1}, Health.FEW_IMAGES),
        (by(), {"value": 60.0, "before": 60.0, "floor": FLOOR_SHARE * 60.0 - 0.1}, Health.LEARNED),
        (by(untrained=61.0), {"value": 60.0, "before": 60.0, "status": "collapsed"}, Health.COLLAPSED),
        (by(untrained=61.0), {"value": None, "before": None, "status": "diverged"}, Health.FAILED),
        (by(width=None), {"value": 60.0, "before": 90.0}, Health.LEARNED),
        (by("ssim", 0.02), {"value": 0.7, "before": 0.65}, Health.STILL_LEARNING),
        (by("ssim", 0.02), {"value": 0.65, "before": 0.7}, Health.LEARNED),
        (by("ssim", 0.02, untrained=0.64), {"value": 0.65, "before": 0.65}, Health.UNTRAINED),
        (by("ssim", 0.02, untrained=0.1, mean_image=0.3), {"value": 0.65, "before": 0.65}, Health.LEARNED),
        (by("l1", 0.01, untrained=0.4, mean_image=0.11), {"value": 0.105, "before": 0.105}, Health.MEAN_IMAGE),
    ],
)
def test_each_trial_has_the_worst_health_that_applies(
    yardstick: Yardstick, trial: dict[str, Any], expected: Health
) -> None:
    assert health_of(yardstick, **{"status": "complete", "floor": None, **trial})[0] is expected


def asked(**changes: Any) -> Study:
    return study(**{"design": {"blocks": BLOCKS}, "controls": TOLD, **changes})


def judged(
    folder: Path, of: Study | None = None, references: dict[str, Any] | None = None, **options: Any
) -> StudyVerdicts:
    store = fill(folder, of or asked(), **{"pictures": False, "fids": FIDS, **options})
    if references is not None:
        whole = {"metric": "fid_efficientnet", "untrained": None, "mean_image": None, **references}
        (folder / "references.json").write_text(json.dumps(whole))
    return judge_stored(store)[1]


def verdicts(findings: StudyVerdicts) -> dict[str, str]:
    return {c.arm: c.verdict.value for c in findings.contrasts}


def test_a_study_that_learned_says_when_it_was_measured_and_how_far_from_the_floor(tmp_path: Path) -> None:
    findings = judged(tmp_path, references={"untrained": 1900.0, "mean_image": 1700.0})
    assert verdicts(findings) == {HELPS: "helps", EQUAL: "equivalent"}
    assert findings.health is not None
    found = document(findings)["health"]
    assert (found["step"], found["metric"], found["gate"]) == (300, "fid_efficientnet", None)
    baseline, *arms = found["arms"]
    assert baseline["arm"] == "baseline"
    assert baseline["counts"] == {"still learning": BLOCKS}
    assert set(baseline["by_block"]) == set(map(str, range(BLOCKS)))
    assert baseline["of_floor"] == pytest.approx(baseline["value"] / 5.5)
    assert baseline["change"] == pytest.approx((201 / 300) ** 0.3 - 1)
    assert [arm["arm"] for arm in arms] == [HELPS, EQUAL, "positive control"]
    text = headline(findings)
    assert "Measured at step 300" in text
    assert f"baseline was still learning in {BLOCKS} of {BLOCKS} blocks" in text
    assert "times its floor of 5.5" in text
    assert "Between steps 201 and 300 it became 11 % lower" in text
    assert findings.health.sentence in "\n".join(lines(findings))


@pytest.mark.parametrize(
    ("references", "statuses", "said"),
    [
        ({"untrained": 62.0}, {}, "no better than untrained in"),
        ({"untrained": 1900.0, "mean_image": 62.0}, {}, "no better than the mean image in"),
        (None, {("baseline", b): "collapsed" for b in range(BLOCKS)}, f"collapsed in {BLOCKS} of {BLOCKS} blocks"),
        (None, {("baseline", b): "diverged" for b in range(BLOCKS)}, f"failed in {BLOCKS} of {BLOCKS} blocks"),
    ],
)
def test_no_arm_is_judged_against_a_baseline_that_learned_nothing(
    tmp_path: Path, references: dict[str, Any] | None, statuses: dict[tuple[str, int], str], said: str
) -> None:
    findings = judged(tmp_path, references=references, statuses=statuses, fids={**FIDS, HELPS: 90.0, EQUAL: 60.3})
    gated = [c for c in findings.contrasts if c.verdict is Verdict.INVALID]
    # Beside a baseline that fails, an arm that learns is shown to help by the test on failures.
    assert verdicts(findings) == dict.fromkeys((HELPS, EQUAL), "helps" if statuses else "invalid")
    for contrast in gated:
        assert "cannot be judged: the baseline learned nothing to compare with" in contrast.sentence
        assert (contrast.decided, contrast.look.next) == (True, None)
    assert said in headline(findings)
    assert document(findings)["health"]["gate"] is not None
    store = judge_stored(tmp_path)[0]
    pages = write(findings, store)
    assert said in pages["html"].read_text(encoding="utf-8")


def test_an_arm_that_learned_where_the_baseline_did_not_helps_and_one_that_did_not_is_not_judged(
    tmp_path: Path,
) -> None:
    fids = {"baseline": 1890.0, HELPS: 200.0, EQUAL: 2100.0, "positive control": 2900.0}
    findings = judged(tmp_path, references={"untrained": 1900.0}, fids=fids)
    assert verdicts(findings) == {HELPS: "helps", EQUAL: "invalid"}
    assert f"'{EQUAL}' was no better than untrained in {BLOCKS} of {BLOCKS} blocks" in headline(findings)


def test_all_blocks_collapsed_is_no_equivalence(tmp_path: Path) -> None:
    statuses = {(arm, b): "collapsed" for arm in ("baseline", HELPS, EQUAL) for b in range(BLOCKS)}
    assert set(verdicts(judged(tmp_path, statuses=statuses)).values()) == {"invalid"}


def test_a_few_bad_blocks_gate_nothing(tmp_path: Path) -> None:
    statuses = {("baseline", 0): "diverged"}
    findings = judged(tmp_path, statuses=statuses)
    assert "invalid" not in verdicts(findings).values()
    assert f"still learning in {BLOCKS - 1} of {BLOCKS} blocks, failed in 1" in headline(findings)


def test_an_invalid_verdict_of_health_settles_no_claim(tmp_path: Path) -> None:
    claims = [{"id": e, "quote": e, "arm": EQUAL, "expect": e} for e in ("no difference", "invalid", "builds")]
    findings = judged(tmp_path, asked(claims=claims), references={"untrained": 62.0})
    assert {s.outcome for s in findings.claims} == {"not settled"}


def test_costs_do_not_rest_on_what_was_learned(tmp_path: Path) -> None:
    of = asked(measure={"margin": "10%", "also": ["seconds_per_step"], "margins": {"seconds_per_step": "5%"}})
    findings = judged(tmp_path, of, references={"untrained": 62.0})
    (cost,) = findings.others
    assert cost.sensitivity is None
    assert Verdict.INVALID not in {c.verdict for c in cost.contrasts}


def test_before_the_first_look_nothing_is_invalid(tmp_path: Path) -> None:
    of = asked(design={"blocks": {"looks": [6, 9]}})
    findings = judged(tmp_path, of, references={"untrained": 62.0}, blocks=3)
    assert set(verdicts(findings).values()) == {"inconclusive"}
    assert findings.open_arms == (HELPS, EQUAL)


def test_main_effects_are_not_judged_where_most_trials_learned_nothing(tmp_path: Path) -> None:
    axes = {"discriminator.spectral_norm": ["none", "convs"], "discriminator.blur.position": ["none", "input"]}
    of = asked(axes=axes, design={"kind": "factorial", "blocks": BLOCKS})
    findings = judged(tmp_path, of, references={"untrained": 62.0})
    assert findings.effects is not None
    assert {e.verdict for e in findings.effects.effects if ":" not in e.term} == {Verdict.INVALID}


def test_health_is_of_the_first_metric_of_images_where_the_primary_one_is_a_signal(tmp_path: Path) -> None:
    of = asked(measure={"primary": "oscillation_d", "margin": "10%", "also": ["ssim", "l1"]})
    assert of.measure.health_metric == "ssim"
    assert asked(measure={"primary": "failures", "margin": 0.1, "also": []}).measure.health_metric is None
    assert judged(tmp_path, of).health is not None


def test_merged_shards_keep_what_was_measured_without_learning(tmp_path: Path) -> None:
    judged(tmp_path / "shard", references={"untrained": 1900.0})
    merged = Store(tmp_path / "merged")
    merge([Store(tmp_path / "shard")], merged)
    health = judge_stored(merged)[1].health
    assert health is not None
    assert health.untrained == 1900.0


def test_rows_of_before_are_read_without_references_and_damaged_ones_are_named(tmp_path: Path) -> None:
    findings = judged(tmp_path)
    assert findings.health is not None
    assert findings.health.untrained is None
    (tmp_path / "references.json").write_text('{"metric": "ssim"')
    with pytest.raises(StoreError, match="delete it, and `run` makes it again"):
        judge_stored(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"training": {"steps": 6, "batch_size": 4, "ema": 0.99}, "failures": {"diversity_floor": 0.0}},
            "no better than untrained in 6 of 6 blocks",
        ),
        ({"generator": {"kind": "own_noise:noise"}}, "no better than untrained in 6 of 6 blocks"),
        ({"failures": {"diversity_floor": 0.9}}, "collapsed in 6 of 6 blocks"),
    ],
    ids=["six steps", "pure noise", "all collapsed"],
)
def test_networks_that_learned_nothing_are_never_called_equivalent(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    measure = {"at": ["50%", "100%"], "primary": "l1", "margin": "25%", "also": ["ssim"]}
    file = tiny.command(tmp_path, design={"blocks": 6}, measure=measure, **changes)[4]
    done = tiny.call("run", file, "--results", tmp_path)
    assert tiny.ended(done.returncode, done.stdout), done.stderr
    assert not re.search(r"^spectral_norm=convs +equivalent", done.stdout, re.MULTILINE)
    findings = judge_stored(tmp_path / "tiny")[1]
    assert verdicts(findings) == {"spectral_norm=convs": "invalid"}
    assert said in headline(findings)
    assert findings.health is not None
    assert findings.health.untrained == pytest.approx(0.48, abs=0.1)
