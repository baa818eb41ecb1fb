"""Which stored rows are judged."""

from __future__ import annotations

import shutil
from pathlib import Path

from pretended import fill, study

from harness.verdicts.judge import judge_stored


def test_shards_run_with_other_settings_and_copied_together_are_named_and_not_judged(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    fill(mine, study(design={"blocks": 8}), pictures=False)
    fill(other, study(design={"blocks": 8}, training={"steps": 90}), pictures=False)
    for path in other.glob("*/b00[1357]-*.parquet"):
        shutil.copy(path, mine / path.parent.name / path.name)
    _, verdicts = judge_stored(mine)
    assert verdicts.trials_done == 12
    assert any("12 trials were computed under other settings" in note for note in verdicts.notes)
    assert verdicts.primary is not None
    assert {contrast.n for contrast in verdicts.primary.contrasts} == {4}


def test_rows_of_the_study_alone_leave_no_such_note(tmp_path: Path) -> None:
    fill(tmp_path, study(design={"blocks": 6}), pictures=False)
    _, verdicts = judge_stored(tmp_path)
    assert verdicts.trials_done == 18
    assert not any("other settings" in note for note in verdicts.notes)
