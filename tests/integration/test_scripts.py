"""Trials that are commands: from a study file to verdicts, with everything that can go wrong on the way."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repositories import QUICK, commit, files_of, git, quick, study, training
from tiny import ROOT, call, environment, kill, processes, wait_until

import harness
from harness.dashboard.mirror import Mirror
from harness.dashboard.quiet import quiet
from harness.driver import Driver
from harness.errors import HarnessError
from harness.executors.in_process import InProcess
from harness.executors.local import Local
from harness.executors.slurm import Slurm
from harness.results.schema import comparable
from harness.results.store import Store
from harness.statistics import Verdict
from harness.study.design import slug
from harness.study.reading import read_study
from harness.verdicts.judge import StudyVerdicts, judge


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick(tmp_path_factory.mktemp("user") / "repository")


def test_flags_of_a_command_come_to_a_verdict_and_a_report(tmp_path: Path, repository: Path) -> None:
    before = files_of(repository)
    done = call("run", study(tmp_path, repository), "--results", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert "'flags=--harm 0.5' hurts: logged(val/l1) was 0." in done.stdout
    rows = Store(tmp_path / "results" / "own").tables().trials
    assert (rows["status"] == "complete").all()
    assert rows["commit"].unique().tolist() == [git(repository, "rev-parse", "HEAD")]
    harmed = rows[rows["arm"] != "baseline"].iloc[0]
    assert harmed["command"].startswith("python train.py --out '{out}' --seed ")
    assert harmed["command"].endswith(" --harm 0.5")
    assert rows["environment"].nunique() == 1
    assert (rows["peak_bytes"] > 2**20).all()
    assert (tmp_path / "results/own/report/report.html").stat().st_size > 10_000
    assert (tmp_path / "results/own/out/b000-baseline/metrics.jsonl").is_file()
    assert not (tmp_path / "results/own/revisions").exists(), "work trees are removed when the study is done"
    assert files_of(repository) == before, "the user's repository is only read"


def driven(folder: Path, file: Path, *sets: str) -> tuple[Store, list[object]]:
    """Run a study in this process, without a report, and return its results and what happened."""
    happened: list[object] = []
    driver = Driver(read_study(file, sets), folder / "results", executor=InProcess(), watch=happened.append)
    driver.run()
    return driver.store, happened


def by_arm(store: Store) -> dict[str, dict[str, object]]:
    """Return the row of each arm in the first block."""
    rows = store.tables().trials
    return {row["arm"]: row for row in rows[rows["block"] == 0].to_dict("records")}


def test_revisions_patches_and_a_working_tree_are_each_run_as_they_were(tmp_path: Path) -> None:
    repository = quick(tmp_path / "repository")
    train = repository / "train.py"
    train.write_text(QUICK.replace("1 + chance", "3 + chance"), encoding="utf-8")
    patch = tmp_path / "two.diff"
    patch.write_text(git(repository, "diff").replace("3 + chance", "2 + chance") + "\n", encoding="utf-8")
    (repository / "new.py").write_text("", encoding="utf-8")
    file = study(
        tmp_path,
        repository,
        axes={"revision": ["main", "harmful", "working-tree"], "patch": ["none", str(patch)]},
        design={"blocks": 1},
    )
    before = files_of(repository)
    store, _ = driven(tmp_path, file)
    assert files_of(repository) == before
    rows = by_arm(store)
    value = {name: round(row["logged(val/l1)"] - rows["baseline"]["logged(val/l1)"], 6) for name, row in rows.items()}  # type: ignore[operator]
    assert value == {
        "baseline": 0,
        "revision=harmful": 0.5,
        "revision=working-tree": 2,
        f"patch={patch}": 1,
    }
    assert rows["revision=harmful"]["commit"] == git(repository, "rev-parse", "harmful")
    assert str(rows["revision=working-tree"]["commit"]).startswith("working tree ")
    assert rows[f"patch={patch}"]["commit"] == rows["baseline"]["commit"]
    assert isinstance(rows[f"patch={patch}"]["patch"], str)


def test_what_was_frozen_stays_when_the_study_goes_on(tmp_path: Path) -> None:
    repository = quick(tmp_path / "repository")
    (repository / "train.py").write_text(QUICK.replace("1 + chance", "3 + chance"), encoding="utf-8")
    file = study(tmp_path, repository, axes={"revision": ["main", "working-tree"]}, design={"blocks": 1})
    store, _ = driven(tmp_path, file)
    again, _ = driven(tmp_path, file, "design.blocks=2")
    assert len(again.done()) == 4
    commit(repository, "something else", other__py="")
    (repository / "train.py").write_text(QUICK.replace("1 + chance", "4 + chance"), encoding="utf-8")
    with pytest.raises(HarnessError, match=r"since the study started.*give the study another name"):
        driven(tmp_path, file, "design.blocks=3")
    assert len(store.done()) == 4


def test_arms_that_run_the_same_are_said_so_and_not_run(tmp_path: Path) -> None:
    repository = quick(tmp_path / "repository")
    git(repository, "branch", "same")
    git(repository, "checkout", "--quiet", "-b", "comments")
    commit(repository, "comments", train__py=QUICK.replace("import argparse", "# all that it needs\nimport argparse"))
    git(repository, "checkout", "--quiet", "main")
    file = study(
        tmp_path,
        repository,
        axes={"revision": ["main", "same", "comments", "harmful"], "flags": ["", "--end ''"]},
        design={"blocks": 1},
    )
    store, _ = driven(tmp_path, file)
    assert set(by_arm(store)) == {"baseline", "revision=harmful", "flags=--end ''"}
    plans = store.plan()
    assert {name: plan.proof for name, plan in plans.items() if plan.proof} == {
        "revision=same": "no-op",
        "revision=comments": "no-op",
    }
    assert "equal files and words" in str(plans["revision=same"].reason)
    assert "only comments and layout differ, in train.py" in str(plans["revision=comments"].reason)


@pytest.mark.parametrize(
    ("flags", "status", "error"),
    [
        ("--end raise", "failed", "exit code 1: RuntimeError: the loss is a banana"),
        ("--end nan", "diverged", "logged(val/l1) is not a finite number"),
        ("--bogus", "failed", "exit code 2: train.py: error: unrecognized arguments: --bogus"),
    ],
)
def test_a_failure_is_an_outcome_and_is_not_tried_again(
    tmp_path: Path, repository: Path, flags: str, status: str, error: str
) -> None:
    file = study(tmp_path, repository, axes={"flags": ["", flags]}, design={"blocks": 1})
    store, _ = driven(tmp_path, file)
    row = by_arm(store)[f"flags={flags}"]
    assert (row["status"], row["attempts"]) == (status, 1)
    assert error.replace("train.py", "") in str(row["error"]).replace("train.py", "")
    assert row["logged(val/l1)"] != row["logged(val/l1)"], "no value"


def test_images_are_measured_and_shown(tmp_path: Path, repository: Path) -> None:
    real = tmp_path / "real"
    subprocess.run([sys.executable, repository / "train.py", "--out", tmp_path, "--images", "24"], check=True)
    (tmp_path / "samples").rename(real)
    file = study(
        tmp_path,
        repository,
        command="--images 24",
        trial={"generated": "{out}/samples/*.png"},
        real=str(real),
        axes={"flags": ["", "--harm 0.5", "--images 0"]},
        design={"blocks": 1},
        measure={"primary": "l1", "also": ["ssim", "logged(val/l1)"], "margin": 0.01},
    )
    store, _ = driven(tmp_path, file)
    rows = by_arm(store)
    assert rows["flags=--harm 0.5"]["l1"] > 0.2 + rows["baseline"]["l1"]  # type: ignore[operator]
    assert rows["baseline"]["heldout_hash"] == rows["flags=--harm 0.5"]["heldout_hash"]
    assert rows["flags=--images 0"]["status"] == "failed"
    assert "no images" in str(rows["flags=--images 0"]["error"])
    assert {path.name for path in store.samples.glob("*.png")} >= {"b000-baseline.png", "target.png"}
    measured = store.tables().measurements
    assert set(measured.loc[measured["metric"] == "l1", "n_fake"].dropna()) == {24}


WRONG = {
    "unknown revision": (
        {"axes": {"revision": ["main", "hamrful"]}},
        "revision 'hamrful': there is none in .*did you mean 'harmful'",
    ),
    "no such patch": ({"axes": {"patch": ["none", "no.diff"]}}, "patch no.diff: no such file"),
    "unknown placeholder": ({"trial": {"command": "python train.py --out {uot}"}}, "nothing fills {uot}.*'out'"),
    "missing folder": ({"trial": {"directory": "nowhere"}}, "trial.directory: nowhere: no such folder"),
    "missing program": (
        {"trial": {"command": "no-program train.py --out {out} {flags}"}},
        "no-program: no such program",
    ),
    "missing real": (
        {"trial": {"generated": "{out}/*.png"}, "real": "nowhere"},
        "real: nowhere: no such folder",
    ),
    "a setting of built-in trials": ({"training": {"steps": 5}}, "is no setting of a trial that is a command"),
    "an axis that nothing reads": ({"axes": {"lr": [1, 2]}}, "no {lr} stands in the command"),
    "nothing logged": ({"measure": {"primary": "val"}}, r"no 'val'.*a value that a command logs is logged\(val\)"),
    "no direction": ({"measure": {"primary": "logged(x)"}}, r"write logged\(x\):lower or logged\(x\):higher"),
    "an image metric without images": ({"measure": {"primary": "ssim"}}, "ssim: is computed from images"),
    "flags inside a word": ({"trial": {"command": "python train.py --out={out} --x={flags}"}}, "only as a word"),
    "planted harm": ({"controls": {"positive": "planted-harm"}}, "goes with built-in trials"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_clear_message_before_anything_runs(tmp_path: Path, repository: Path, name: str) -> None:
    changes, message = WRONG[name]
    file = study(tmp_path, repository, **changes)
    done = call("plan", file, "--results", tmp_path / "results")
    assert done.returncode == 2, done.stdout
    assert re.search(re.sub(r"[{}]", r"\\\g<0>", message), " ".join(done.stderr.split())), done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path).rglob("out"))


def test_a_patch_that_does_not_apply_ends_it_before_anything_runs(tmp_path: Path, repository: Path) -> None:
    patch = tmp_path / "old.diff"
    patch.write_text("--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-never there\n+new\n", encoding="utf-8")
    file = study(tmp_path, repository, axes={"patch": ["none", str(patch)]})
    done = call("run", file, "--results", tmp_path / "results")
    assert done.returncode == 2
    assert f"patch {patch}: does not apply to {git(repository, 'rev-parse', 'main')[:12]}" in done.stderr
    assert not (tmp_path / "results/own/out").exists()


def test_the_plan_says_exactly_what_will_be_run(tmp_path: Path, repository: Path) -> None:
    file = study(tmp_path, repository, trial={"environment": {"MODE": "fast {seed}"}})
    before = files_of(tmp_path)
    done = call("plan", file, "--results", tmp_path / "results", "--json")
    assert done.returncode == 0, done.stderr
    baseline, harmed = json.loads(done.stdout)["commands"]
    assert files_of(tmp_path) - before <= {"results", "results/.cache"}
    store, _ = driven(tmp_path, file, "design.blocks=1")
    assert baseline["environment"]["OMP_NUM_THREADS"] == "1"
    words = shlex.split(harmed["command"])
    assert words[-2:] == ["--harm", "0.5"]
    assert words[:2] == ["python", "train.py"]
    assert words[words.index("--out") + 1] == str(store.folder.absolute() / "out" / f"b000-{slug(harmed['arm'])}")
    assert baseline["environment"]["MODE"] == f"fast {words[words.index('--seed') + 1]}"


def test_nothing_in_a_command_reaches_a_shell(tmp_path: Path, repository: Path) -> None:
    file = study(tmp_path, repository, axes={"flags": ["", "--end '; touch {out}/owned $(touch {out}/too)'"]})
    store, _ = driven(tmp_path, file, "design.blocks=1")
    assert not list((store.folder / "out").rglob("owned")) + list((store.folder / "out").rglob("too"))
    assert {row["status"] for row in by_arm(store).values()} == {"complete"}


@pytest.mark.slow
def test_a_study_of_two_revisions_that_is_killed_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    """Driver, workers and command die together; finished trials are not run again, the interrupted one is."""
    repository = quick(tmp_path / "repository")
    slow = (
        (repository / "train.py")
        .read_text(encoding="utf-8")
        .replace("random.seed(", "import time; time.sleep(2)\nrandom.seed(")
    )
    commit(repository, "it takes its time", train__py=slow)
    (repository / "train.py").write_text(slow.replace("1 + chance", "3 + chance"), encoding="utf-8")
    file = study(tmp_path, repository, axes={"revision": ["main", "working-tree"]}, design={"blocks": 2})
    words = [
        sys.executable,
        "-m",
        "harness",
        "run",
        str(file),
        "--results",
        str(tmp_path / "results"),
        "--workers",
        "1",
    ]
    out = tmp_path / "results/own/out"
    started = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    store = Store(tmp_path / "results/own")
    wait_until(lambda: len(store.done()) == 1 and len(list(out.glob("b*-*/"))) == 2)
    kill(started.pid)
    started.wait()
    wait_until(lambda: not processes(str(out)), 30)
    (interrupted,) = {path.name for path in out.iterdir() if path.is_dir()} - store.done()
    (finished,) = store.done()
    row = (store.folder / "trials" / f"{finished}.parquet").read_bytes()
    (repository / "train.py").write_text("edited meanwhile", encoding="utf-8")
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"interrupted, and run again from scratch: {interrupted}" in done.stdout
    assert (store.folder / "trials" / f"{finished}.parquet").read_bytes() == row
    rows = store.tables().trials
    assert rows["status"].tolist() == ["complete"] * 4
    assert rows.groupby("arm")["commit"].nunique().tolist() == [1, 1]
    assert "'revision=working-tree' hurts" in done.stdout or "No verdict on 'revision=working-tree'" in done.stdout
    assert not (store.folder / "revisions").exists()


@pytest.mark.slow
def test_a_command_that_says_nothing_is_given_up(tmp_path: Path, repository: Path) -> None:
    hang = {"command": "python -c 'import sys,time; time.sleep(60 if sys.argv[2:] else 0)' {out} {flags}"}
    values = {"pattern": "(?P<loss>x)"}
    file = study(
        tmp_path,
        repository,
        trial={**hang, "values": values},
        axes={"flags": ["", "hang"]},
        design={"blocks": 1},
        measure={"primary": "logged(loss)"},
        runner={"trial_timeout": 2},
    )
    happened: list[object] = []
    driver = Driver(read_study(file), tmp_path / "results", executor=Local(1), watch=happened.append)
    driver.run()
    rows = by_arm(driver.store)
    assert rows["flags=hang"]["status"] == "timeout"
    assert rows["baseline"]["status"] == "failed"
    assert "holds no values" in str(rows["baseline"]["error"])
    assert not processes("time.sleep(60 if")


@pytest.mark.slow
def test_a_folder_without_git_is_run_in_place_and_data_that_git_ignores_is_linked(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "train.py").write_text(QUICK, encoding="utf-8")
    store, _ = driven(tmp_path, study(tmp_path, plain, design={"blocks": 1}))
    assert {row["commit"] for row in by_arm(store).values()} == {store_record(store)["working-tree"]}
    with pytest.raises(HarnessError, match="revisions and patches need a git repository"):
        driven(tmp_path / "other", study(tmp_path, plain, axes={"revision": ["main", "new"]}))
    repository = quick(tmp_path / "repository")
    commit(repository, "it reads data", train__py=QUICK + "\nopen('data/numbers').read()\n", gitignore="data\n")
    git(repository, "mv", "gitignore", ".gitignore")
    git(repository, "commit", "--quiet", "--message", "data is ignored")
    (repository / "data").mkdir()
    (repository / "data" / "numbers").write_text("1", encoding="utf-8")
    for links, status in ([], "failed"), (["data"], "complete"):
        file = study(tmp_path, repository, study=f"own{len(links)}", trial={"links": links}, design={"blocks": 1})
        assert by_arm(driven(tmp_path, file)[0])["baseline"]["status"] == status


def store_record(store: Store) -> dict[str, str]:
    return dict(json.loads((store.folder / "sources.json").read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_jobs_processes_and_this_process_give_the_same_rows(tmp_path: Path, repository: Path) -> None:
    """Slurm's executor submits to processes of this machine here, as its other tests do."""
    pytest.importorskip("submitit")
    file = study(tmp_path, repository, design={"blocks": 1})
    rows = []
    for name, executor in ("here", InProcess()), ("local", Local(2)), ("jobs", Slurm(1, 0, None, cluster="local")):
        driver = Driver(read_study(file), tmp_path / name, executor=executor, watch=lambda _: None)
        driver.run()
        table = driver.store.tables().trials
        assert (table["status"] == "complete").all(), table["error"].tolist()
        rows.append([comparable(row) for row in table.to_dict("records")])
    assert json.dumps(rows[0], default=str) == json.dumps(rows[1], default=str) == json.dumps(rows[2], default=str)


@pytest.mark.slow
def test_rows_of_commands_are_loaded_compared_and_mirrored_as_any_others(tmp_path: Path, repository: Path) -> None:
    store, _ = driven(tmp_path, study(tmp_path, repository))
    tables = harness.load(store.folder)
    signals = tables.signals[tables.signals["trial_id"] == "b000-baseline"]
    assert signals["step"].tolist() == [10, 20]
    assert "seconds" not in signals, "what depends on the machine's pace is kept out"
    document = harness.compare(tables.trials, value="logged(val/l1)", baseline="baseline", better="lower")
    (compared,) = document["contrasts"]
    (judged,) = judge(store.frozen().study, tables).contrasts
    assert (compared["verdict"], compared["estimate"]) == (judged.verdict, judged.estimate)
    with quiet():
        assert Mirror(store.frozen().study, store).sync() == 6


def test_draws_that_arms_have_in_common_are_the_same_and_said_so(tmp_path: Path, repository: Path) -> None:
    file = study(tmp_path, repository, axes={"flags": ["", "--end ' '"]}, design={"blocks": 2})
    store, _ = driven(tmp_path, file)
    rows = store.tables().trials.pivot_table(index="block", columns="arm", values="logged(val/l1)")
    assert rows["baseline"].equals(rows["flags=--end ' '"].rename("baseline"))
    assert rows["baseline"].nunique() == 2, "blocks differ"
    notes = judge(store.frozen().study, store.tables()).notes
    assert any("all of the draws are the baseline's, bit for bit; nothing that was drawn or fed" in n for n in notes)
    words = quick(tmp_path / "words")
    git(words, "checkout", "--quiet", "-b", "words")
    commit(words, "better words", README__md="how to train, in other words\n")
    of_words = study(
        tmp_path, words, study="words", axes={"revision": ["main", "words", "harmful"]}, design={"blocks": 1}
    )
    store, _ = driven(tmp_path, of_words)
    said, of_code = judge(store.frozen().study, store.tables()).notes
    assert "what it changes (README.md) is no file that the program imported" in said
    assert "no file" not in of_code
    plain = study(tmp_path, repository, study="plain", trial={"matched": False}, design={"blocks": 1})
    assert not driven(tmp_path, plain)[0].tables().shared_draws
    with pytest.raises(HarnessError, match="every block would be the same"):
        read_study(
            study(tmp_path, repository, trial={"matched": False, "command": "python train.py --out {out} {flags}"})
        )


def yaml_blocks() -> list[str]:
    page = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_every_piece_of_a_study_on_the_page_is_read(tmp_path: Path) -> None:
    first, axes, values = yaml_blocks()
    file = tmp_path / "my_change.yaml"
    file.write_text(first, encoding="utf-8")
    assert read_study(file).hash
    whole = yaml.safe_load(first)
    whole["trial"]["command"] += " --lr {lr}"
    for change in (
        yaml.safe_load(axes),
        *({"trial": {**whole["trial"], **yaml.safe_load(v)}} for v in values.splitlines()),
    ):
        file.write_text(yaml.safe_dump({**whole, "axes": {"lr": [1, 2]}, **change}), encoding="utf-8")
        assert read_study(file).hash


@pytest.mark.slow
def test_the_study_on_the_page_runs_from_its_file_to_a_report_with_samples(tmp_path: Path) -> None:
    training(tmp_path / "my-gan")
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "my_change.yaml").write_text(yaml_blocks()[0], encoding="utf-8")
    words = ("run", "my_change.yaml", "--set", "design.blocks=2", "--workers", "2")
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all of the weights before the first step" in done.stdout or "of the weights before" in done.stdout
    page = (folder / "results/my_change/report/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 3, "the target, and what each arm made of it"
    store = Store(folder / "results/my_change")
    rows = store.tables().trials
    assert (rows["status"] == "complete").all(), rows["error"].tolist()
    assert rows["heldout_hash"].nunique() == 1


@pytest.mark.slow
def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path, repository: Path) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(61)'])"
    sleeps = f"import subprocess, sys, time; {child}; time.sleep(61)"
    file = study(
        tmp_path,
        repository,
        trial={"command": f'python -c "{sleeps}" {{out}} {{flags}}'},
        design={"blocks": 1},
        budget={"trial_minutes": 0.02},
    )
    store, _ = driven(tmp_path, file)
    assert {row["status"] for row in by_arm(store).values()} == {"timeout"}
    assert not processes("time.sleep(61)")


@pytest.mark.slow
def test_an_interrupted_study_ends_its_command_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal's group, the one that keeps the command too."""
    repository = quick(tmp_path / "repository")
    commit(repository, "slow", train__py=QUICK.replace("random.seed(", "import time; time.sleep(3)\nrandom.seed(", 1))
    file = study(tmp_path, repository, design={"blocks": 1})
    words = [
        sys.executable,
        "-m",
        "harness",
        "run",
        str(file),
        "--results",
        str(tmp_path / "results"),
        "--workers",
        "1",
    ]
    started = subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    out = tmp_path / "results/own/out"
    wait_until(lambda: processes(str(out)))
    os.killpg(started.pid, signal.SIGINT)
    said = started.communicate(timeout=60)[0].decode()
    assert started.returncode == 130, said
    assert not processes(str(out))
    assert [path.name for path in (tmp_path / "results/own/revisions").iterdir()] == ["repository.git"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(Store(tmp_path / "results/own").done()) == 2


def trained(folder: Path, repository: Path, *, matched: bool, blocks: int) -> StudyVerdicts:
    """Run some blocks of the training repository: an unused layer, and a patch that hurts."""
    file = study(
        folder,
        repository,
        study=f"matched-{matched}",
        trial={
            "command": "python train.py --data {directory}/data --experiment_dir {out} --random_seed {seed}",
            "generated": "{out}/samples/*.png",
            "matched": matched,
        },
        real=str(repository / "data/val/targets"),
        axes={"revision": ["main", "unused-layer"], "patch": ["none", str(folder / "no-eval.diff")]},
        design={"blocks": blocks},
        measure={"primary": "l1", "margin": "3%"},
    )
    return Driver(read_study(file), folder / "results", executor=Local(2), watch=lambda _: None).run()


@pytest.mark.slow
def test_an_unused_layer_changes_nothing_with_named_draws_and_everything_with_seeds(tmp_path: Path) -> None:
    """And dropout that is left on where the generator is measured hurts, on a script that knows nothing of draws."""
    repository = training(tmp_path / "repository")
    named = trained(tmp_path, repository, matched=True, blocks=5)
    patch, unused = named.contrasts
    assert patch.verdict is Verdict.HURTS
    assert unused.verdict is Verdict.NO_OP
    assert "equal to the last bit" in unused.sentence
    naive = trained(tmp_path, repository, matched=False, blocks=2)
    unused = naive.contrasts[1]
    assert unused.verdict is not Verdict.NO_OP
    values = naive.tables.trials.pivot_table(index="block", columns="arm", values="l1")
    assert (values["revision=unused-layer"] != values["baseline"]).all()
