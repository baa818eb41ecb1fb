from __future__ import annotations

from pathlib import Path

import factory
import pytest
import tiny
import yaml

from harness.results.store import Store
from harness.verdicts.judge import judge_stored


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [6, {"looks": [6, 8]}], ids=["fixed", "looks"])
def test_a_control_added_to_a_finished_study_computes_its_own_trials_only(tmp_path: Path, blocks: object) -> None:
    file = tmp_path / "study.yaml"
    of = factory.asked(design={"blocks": blocks}, failures={"diversity_floor": 0.0})
    # A signal as the measure: images of so few steps are no better than the mean image, and no arm would be judged.
    of["measure"] |= {"primary": "loss_l1@last 20%", "margin": "10%", "also": []}
    file.write_text(yaml.safe_dump(of))
    assert tiny.call("run", file, "--results", tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "tiny" / "trials").glob("*.parquet")}
    assert judge_stored(Store(tmp_path / "tiny"))[1].contrasts[0].verdict == "not sensitive"

    file.write_text(yaml.safe_dump({**of, "controls": {"positive": {"training.optimizer.lr": 1.0e-7}}}))
    again = tiny.call("run", file, "--results", tmp_path)
    assert again.returncode == 0, again.stderr
    after = {path: path.read_bytes() for path in (tmp_path / "tiny" / "trials").glob("*.parquet")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 6
    assert "Positive control (training.optimizer.lr=1e-07): told apart, worse as expected" in again.stdout
    findings = judge_stored(Store(tmp_path / "tiny"))[1]
    assert [c.verdict.value for c in findings.contrasts] == ["equivalent"]
    assert [a.after_the_fact for a in findings.history] == [False]
    assert findings.primary is not None
    assert findings.primary.provisional is None
