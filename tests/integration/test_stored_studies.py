"""Results folders of earlier formats, kept under tests/stored, are read, judged, continued and repeated."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny

from harness.driver import Driver
from harness.executors.in_process import InProcess
from harness.provenance import environment
from harness.report.write import document
from harness.results.schema import comparable
from harness.results.store import Store
from harness.study.reading import read_study
from harness.verdicts.judge import judge_stored

STORED = tiny.ROOT / "tests" / "stored"
FORMATS = sorted(STORED.glob("format_*"))
COMPUTED_ON = ("AMD EPYC", "AVX2")
"""The processor that computed the stored rows, and the instructions that torch used there."""
ELSEWHERE = 0.15
"""Tolerance for rows computed on another processor, of the value or of 1, whichever is larger. Without the wide
instructions (ATEN_CPU_CAPABILITY=default) the farthest value, a Fréchet distance, moves by 0.058."""
OF_THE_CODE = {"code_version", "packages", "study_hash"}
LATER = {"epochs", "heldout_hash", "matched_fraction_d", "matched_fraction_g"}
"""Columns that earlier formats did not have."""
RULES = ("verdict", "decided", "sentence", "reason", "p_holm", "p_max_t", "look", "ci", "low", "high")
"""What the rules for verdicts over a family of contrasts may say otherwise from one version to the next, the level and
the bounds of intervals among it."""


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a stored folder: the study file, its verdicts as printed then, and the results in `tiny`."""
    copy = tmp_path / "stored"
    shutil.copytree(request.param, copy)
    return copy


def same_kind_of_processor(folder: Path) -> bool:
    import torch

    written, now = json.loads((folder / "tiny" / "environment.json").read_text()), environment()
    here = (now["processor"], torch.backends.cpu.get_cpu_capability())
    return here == COMPUTED_ON and written["packages"] == now["packages"]


def differences(was: Any, now: Any, where: str = "") -> Iterator[str]:
    """Yield where two JSON documents differ, rules for verdicts and what only one of them says left out."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in was.keys() & now.keys():
            if not name.startswith(RULES):
                yield from differences(was[name], now[name], f"{where}.{name}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (a, b) in enumerate(zip(was, now, strict=True)):
            yield from differences(a, b, f"{where}[{index}]")
    elif was != now:
        yield f"{where}: was {was}, is {now}"


def test_a_folder_of_an_earlier_format_is_judged_as_it_was(stored: Path) -> None:
    _, findings = judge_stored(Store(stored / "tiny"))
    was, now = json.loads((stored / "document.json").read_text()), json.loads(json.dumps(document(findings)))
    assert now["trials_done"] == now["trials_planned"] == 9
    for name in ("contrasts", "arms", "exploratory", "controls", "claims", "effects"):
        assert list(differences(was[name], now[name], name)) == []
    assert findings.history == ()


@pytest.mark.slow
def test_a_folder_of_an_earlier_format_is_continued_and_its_rows_are_kept(stored: Path) -> None:
    before = {path: path.read_bytes() for path in (stored / "tiny" / "trials").iterdir()}
    study = read_study(stored / "study.yaml", ["design.blocks=4"])
    driver = Driver(study, stored, executor=InProcess(), watch=lambda _: None)
    findings = driver.run()
    assert {path: path.read_bytes() for path in before} == before
    assert findings.trials_done == 12
    assert [contrast.n for contrast in findings.contrasts] == [4, 4]
    (amendment,) = findings.history
    assert (amendment.trials, amendment.blocks, amendment.after_the_fact) == (9, 3, True)
    assert [str(change) for change in amendment.changes] == ["design.blocks: was 3, is 4"]


@pytest.mark.slow
def test_the_rows_of_an_earlier_format_are_computed_again_bit_by_bit(stored: Path, tmp_path: Path) -> None:
    study = read_study(stored / "study.yaml")
    old, exact = Store(stored / "tiny").tables(), same_kind_of_processor(stored)
    trials = {row["trial_id"]: row for row in old.trials.astype(object).to_dict("records")}
    measured = {(row["trial_id"], row["step"], row["metric"]): row for row in old.measurements.to_dict("records")}
    signals = {(row["trial_id"], row["step"]): row for row in old.signals.to_dict("records")}
    for task in tiny.tasks(study, tmp_path):
        _, rows = tiny.computed(task, tmp_path)
        row = {name: value for name, value in comparable(rows.trial).items() if name not in OF_THE_CODE | LATER}
        assert unlike(trials.pop(task.trial_id), row, exact) == {}
        for row in rows.measurements:
            assert unlike(measured.pop((row["trial_id"], row["step"], row["metric"])), row, exact) == {}
        for row in rows.signals:
            assert unlike(signals.pop((task.trial_id, row["step"])), row, exact) == {}
    assert (trials, measured, signals) == ({}, {}, {})


def unlike(stored: dict[str, Any], computed: dict[str, Any], exact: bool) -> dict[str, tuple[Any, Any]]:
    """Return what a stored row says otherwise than the computed one, by column: as it was, and as it is."""
    return {name: (stored[name], now) for name, now in computed.items() if not equal(stored[name], now, exact)}


def equal(a: Any, b: Any, exact: bool) -> bool:
    if pd.isna(a) or pd.isna(b):
        return bool(pd.isna(a) and pd.isna(b))
    if exact or not isinstance(b, float):
        return bool(a == b)
    return math.isclose(a, b, rel_tol=ELSEWHERE, abs_tol=ELSEWHERE)
