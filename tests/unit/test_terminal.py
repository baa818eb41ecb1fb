from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dummy
import pretended
import pytest
from rich.console import Console
from tiny import call, environment

from harness.driver import Planned
from harness.preflight.busy_cores import busy_cores, own_seconds
from harness.preflight.stage import Stage, stage
from harness.results.running import FILE, Running, running
from harness.statistics.number_format import aligned
from harness.terminal.progress import View, blocks_at_work, share_done
from harness.terminal.summary import summary
from harness.terminal.time_left import TimeLeft
from harness.trial.task import TrialProgress
from harness.verdicts.judge import StudyVerdicts, judge_stored

HEAVY = {"torch", "numpy", "pandas", "pydantic", "scipy", "optuna", "matplotlib"}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> StudyVerdicts:
    study = pretended.study(controls={"negative": "a/a"}, design={"blocks": {"looks": [6, 9]}})
    folder = tmp_path_factory.mktemp("terminal") / "pretended"
    pretended.fill(folder, study, statuses={("spectral_norm=convs", 1): "diverged"}, pictures=False)
    return judge_stored(folder)[1]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_verdicts_fit_a_window_and_come_first(findings: StudyVerdicts, width: int) -> None:
    lines = summary(findings, width).splitlines()
    assert max(map(len, lines)) <= width
    verdict = next(i for i, line in enumerate(lines) if re.search(r"convs\+heads:? +negligible", line))
    metrics = next(i for i, line in enumerate(lines) if "ssim" in line)
    assert verdict < metrics or width == 100
    assert verdict <= 9
    assert not any(line.rstrip().endswith("±") or line.lstrip().startswith(("%", "±")) for line in lines)


def test_without_a_window_the_table_of_arms_is_whole(findings: StudyVerdicts) -> None:
    head, rule, *rows = summary(findings).split("\n\n")[1].splitlines()
    assert re.split(r"  +", head)[:4] == ["arm", "verdict", "change", "interval"]
    assert len(rows) == len(findings.arms)
    assert set(rule) == {"─", " "}


def test_a_row_that_is_too_wide_is_a_paragraph_without_empty_cells() -> None:
    rows = [("arm", "verdict", "change", "p"), ("a" * 10, "helps", "12 % lower", "-"), ("b", "", "3", "0.5")]
    assert aligned(rows, 20) == "aaaaaaaaaa: helps\n  change 12 % lower\nb\n  change 3; p 0.5"
    assert aligned(rows, 200) == aligned(rows)


def test_the_live_table_shows_the_blocks_at_work() -> None:
    blocks = list(range(40))
    assert blocks_at_work(blocks, {0, 1}) == blocks[:12]
    for running_blocks in ({5}, {17, 18}, {38, 39}):
        shown = blocks_at_work(blocks, running_blocks)
        assert running_blocks <= set(shown)
        assert len(shown) == 12
    assert blocks_at_work(blocks[:7], set()) == blocks[:7]


def test_trials_that_were_done_before_are_in_the_live_table_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in dummy.stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
    dummy.drive(dummy.study(2, 1), tmp_path)
    planned = next(one for one in dummy.drive(dummy.study(2, 2), tmp_path) if isinstance(one, Planned))
    assert len(planned.done) == 2
    view = View(Console(file=io.StringIO()))
    view(planned)
    assert view.cells == {(arm.name, 0): "complete" for arm in planned.arms}


def test_a_command_that_gives_signs_of_life_is_at_work_and_not_at_1900_percent() -> None:
    progress = [None, *(TrialProgress("b000-a", step, steps, 0.0, 0.0) for step, steps in ((19, 1), (30, 120)))]
    assert [share_done(one) for one in progress] == ["…", "…", "25 %"]


def test_the_time_that_is_left_blends_plan_and_pace_and_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.terminal.time_left.time.monotonic", lambda: now[0])
    left = TimeLeft(100, 600.0)
    widths = []
    for done in range(5, 100, 10):  # it takes 1,000 s, and was planned to take 600
        now[0], left.done = 10.0 * done, float(done)
        low, high = left.seconds() or (0.0, 0.0)
        widths.append((high - low) / (1000 - now[0]))
        if done > 40:
            assert low <= 1.1 * (1000 - now[0])
            assert high >= 0.9 * (1000 - now[0])
    assert widths[-1] < widths[0]
    assert str(TimeLeft(100, None)) == ""
    assert str(TimeLeft(100, 600.0)) == "about 9 to 11 min left"
    left.more(100)
    assert (left.seconds() or (0, 0))[1] > 900


def shown(*events: Any, terminal: bool = False, **options: Any) -> str:
    text = io.StringIO()
    view = View(Console(file=text, force_terminal=terminal, width=80, _environ={"TERM": "dumb"}), **options)
    with view:
        for event in events:
            view(event)
    return text.getvalue()


STAGES = (Stage("data"), Stage("data", "12 items", 3.0), Stage("pace", "2.0 of 2 cores busy", 1.0, warning=True))


def test_stages_are_named_with_what_each_found() -> None:
    assert shown(*STAGES) == "data: 12 items (3 s)\npace: 2.0 of 2 cores busy (1 s)\n"


def test_quietly_only_what_needs_attention_is_printed_and_a_log_has_every_line() -> None:
    log = io.StringIO()
    assert shown(*STAGES, detail="quiet", log=log) == "pace: 2.0 of 2 cores busy (1 s)\n"
    first, second = log.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d data: 12 items \(3 s\)", first)
    assert "pace" in second


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in dummy.stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
    happened = dummy.drive(dummy.study(2, 2, signals=5), tmp_path)
    text = shown(*happened, terminal=True)
    assert "b000-baseline: started" in text
    assert re.search(r"b001-baseline: complete, fid_efficientnet 5\d", text)
    assert "\x1b[2K" not in text


def test_a_stage_that_fails_is_not_said_to_have_found_anything() -> None:
    announced: list[Stage] = []

    def broken() -> None:
        with stage("data", announced.append) as say:
            say("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert announced == [Stage("data")]


def test_status_says_what_runs_now(tmp_path: Path) -> None:
    pretended.fill(tmp_path / "pretended", pretended.study(), blocks=2, pictures=False)
    now = Running(tmp_path / "pretended")
    now.started("b002-baseline", "baseline", 2)
    assert "now: b002-baseline, for" in call("status", tmp_path / "pretended").stdout
    assert running(tmp_path / "pretended")[0].arm == "baseline"
    now.close()
    assert running(tmp_path / "pretended") == ()
    (tmp_path / "pretended" / FILE).write_text(
        f'{{"host": "{os.uname().nodename}", "process": 99999999, "trials": []}}'
    )
    assert "now:" not in call("status", tmp_path / "pretended").stdout


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="Linux says it")
def test_what_children_of_this_process_do_is_not_what_others_do() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    before = own_seconds()
    with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert own_seconds() - before > 0.25
        process.communicate(b"\n")


def test_busy_cores_are_between_none_and_all() -> None:
    busy = busy_cores(0.05)
    assert busy is None or 0 <= busy <= 1.5 * (os.cpu_count() or 1)


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys, harness.cli.app; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "[]\n"


def test_run_says_at_once_what_it_reads_in_a_window_and_nowhere_else(tmp_path: Path) -> None:
    ours, its = os.openpty()
    command = [sys.executable, "-m", "harness", "run", "none.yaml"]
    subprocess.run(command, cwd=tmp_path, env=environment(), stdout=its, stderr=subprocess.DEVNULL, check=False)
    os.close(its)
    assert b"reading none.yaml" in os.read(ours, 1024)
    os.close(ours)
    assert "reading" not in call("run", tmp_path / "none.yaml").stdout
