"""What is published under results/ stands: its page is up to date, verdicts follow from rows, the loop gives them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny

from harness.answers import answers, page, read_statements
from harness.answers.answers import stored_studies
from harness.provenance import environment
from harness.report.write import document
from harness.results.store import Store
from harness.study.study import Study
from harness.verdicts.judge import judge_stored

RESULTS = tiny.ROOT / "results"
PUBLISHED = sorted(path.parent for path in RESULTS.glob("*/study.json") if (path.parent / "trials.parquet").is_file())
GOLDEN, STEPS = "blur_position", 50
COMPUTED_ON = ("AMD EPYC", "AVX2")
"""The processor of the published rows, and the instructions that torch used there."""
ELSEWHERE = 0.02
"""Tolerance on another processor, of a value or of 1, whichever is larger: 50 steps amplify rounding only a little."""


def test_every_published_folder_is_small_and_holds_what_is_needed() -> None:
    assert PUBLISHED
    for folder in PUBLISHED:
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 4e6, folder.name
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        assert {"study.json", "plan.json", "measurements.parquet", "signals.parquet"} <= names, folder.name
        for path in (folder / "report").iterdir():
            assert path.stat().st_size < 1e6, path
        assert not names & {"trials", "checkpoints", ".cache"}, folder.name
        assert f"[{folder.name}]({folder.name}/report/report.md)" in (RESULTS / "README.md").read_text()
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) < 25e6


@pytest.mark.slow
def test_the_page_of_answers_is_what_the_command_prints() -> None:
    statements = read_statements(tiny.ROOT / "studies" / "claims" / "posts.yaml")
    studies = {name: study for name, study in stored_studies(RESULTS).items() if RESULTS / name in PUBLISHED}
    made = page(statements, studies, answers(statements, studies), Path("results"))
    assert (RESULTS / "README.md").read_text() == made, "make it anew: its first lines say how"


@pytest.mark.slow
@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_every_published_verdict_follows_from_the_rows(folder: Path) -> None:
    stored = json.loads((folder / "report" / "report.json").read_text())
    now = json.loads(json.dumps(document(judge_stored(Store(folder))[1])))
    assert now["contrasts"] == stored["contrasts"]
    assert now["claims"] == stored["claims"]
    assert now["controls"] == stored["controls"]


@pytest.mark.slow
def test_the_first_steps_of_a_published_trial_give_the_published_signals(tmp_path: Path) -> None:
    store = Store(RESULTS / GOLDEN)
    published = store.signals()
    published = published[(published["trial_id"] == "b000-baseline") & (published["step"] <= STEPS)]
    interval = int(published["step"].min())
    study = store.frozen().study.model_dump(mode="json")
    study |= {"claims": [], "controls": {}}
    study["training"]["steps"] = (
        STEPS  # streams are named by step, the schedule is constant: a shorter training begins alike
    )
    study["measure"] = {"at": ["100%"], "primary": "l1", "margin": 0.01, "signals": STEPS // interval}
    task = next(t for t in tiny.tasks(Study.model_validate(study), tmp_path) if t.trial_id == "b000-baseline")
    _, rows = tiny.computed(task, tmp_path)
    computed = {row["step"]: row for row in rows.signals}
    assert len(published) == STEPS // interval >= 10
    exact = same_kind_of_processor(store)
    for row in published.to_dict("records"):
        for signal in ("loss_d", "loss_g", "gradient_norm_g", "gradient_norm_d", "d_fake_logit"):
            assert equal(row[signal], computed[row["step"]][signal], exact), (row["step"], signal)


def same_kind_of_processor(store: Store) -> bool:
    import torch

    written, now = json.loads((store.folder / "environment.json").read_text()), environment()
    here = (now["processor"], torch.backends.cpu.get_cpu_capability())
    return here == COMPUTED_ON and written["packages"]["torch"] == now["packages"]["torch"]


def equal(published: float, computed: Any, exact: bool) -> bool:
    return published == computed if exact else math.isclose(published, computed, rel_tol=ELSEWHERE, abs_tol=ELSEWHERE)
