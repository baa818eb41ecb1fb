from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.named_draws.command import Matching, matched_argv, matched_environment
from harness.named_draws.compare import compare_traces

SCRIPT = """
import random, sys, time
import numpy as np

def augment(item):
    return item + random.random() + np.random.rand()

def unused():
    return random.random(), np.random.randn(4)

def main(arguments):
    random.seed(1 if "--other-seed" not in arguments else time.time())
    np.random.seed(1)
    if "--extra" in arguments:
        unused()
    print([augment(item) for item in range(3)])
    if "--child" in arguments:
        import subprocess
        subprocess.run([sys.executable, __file__], check=True)
    if "--wait" in arguments:
        print("waiting", flush=True)
        time.sleep(60)
    sys.exit(3 if "--fail" in arguments else 0)

if __name__ == "__main__":
    main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("repository") / "train it.py"
    path.write_text(SCRIPT)
    return path


def match(*words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "match", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_program_is_equal_in_equal_blocks_and_its_change_moves_nothing_else(script: Path) -> None:
    first = match("--block", "3", "--", sys.executable, script)
    changed = match("--block", "3", "--", sys.executable, script, "--extra", "--other-seed")
    other = match("--block", "4", script)
    replication = match("--block", "3", "--seed", "1", script)
    assert first.returncode == 0
    assert first.stderr == "match: 6 draws in 1 process, block 3\n"
    assert changed.stdout == first.stdout
    assert changed.stderr == "match: 8 draws in 1 process, block 3\n"
    assert len({first.stdout, other.stdout, replication.stdout}) == 3


def test_a_module_runs_too_and_programs_that_a_program_starts_are_matched(script: Path) -> None:
    (script.parent / "module.py").write_text(SCRIPT)
    run = match("--", "-m", "module", "--child", folder=script.parent)
    first, second = run.stdout.splitlines()
    assert run.returncode == 0
    assert "12 draws in 2 processes" in run.stderr
    assert first == second


def test_traces_say_where_two_versions_part_and_what_they_share(script: Path, tmp_path: Path) -> None:
    plain, extra, again = (tmp_path / name for name in ("plain.jsonl", "extra.jsonl", "again.jsonl"))
    for trace, words in ((plain, ()), (extra, ("--extra",)), (again, ())):
        assert match("--trace", trace, script, *words).returncode == 0
    same = match("--compare", plain, again)
    assert same.returncode == 0
    assert "draws    100.0% equal: 6 of 6 draws in A and 6 in B" in same.stdout
    assert "the traces do not part" in same.stdout
    parted = match("--compare", plain, extra, "--json")
    document: dict[str, Any] = json.loads(parted.stdout)
    assert document["draws"] == {"a": 6, "b": 8, "equal": 6, "share": 0.75}
    assert document["parts_at"]["trace"] == "B"
    assert document["parts_at"]["draw"] == 1
    assert "unused" in document["parts_at"]["what"]
    assert not document["identical"]


def test_draws_can_be_traced_as_they_are(script: Path, tmp_path: Path) -> None:
    plain = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    trace = tmp_path / "trace.jsonl"
    traced = match("--as-is", "--trace", trace, script)
    assert traced.stdout == plain.stdout
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [line.get("function") for line in lines] == [None, *["random.random", "numpy.rand"] * 3, None]
    assert lines[-1]["end"]["draws"] == 6


def test_the_exit_code_is_the_commands_own(script: Path) -> None:
    assert match("--", sys.executable, script, "--fail").returncode == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command; write it after --"),
        (["--", "no-such-program"], "no-such-program: No such file or directory"),
        (["--", sys.executable, "-I", "-c", "1"], "without named draws"),
        (["--compare", "no", "no"], "no: No such file or directory"),
        (["--compare", __file__, __file__], "no trace"),
    ],
)
def test_mistakes_are_messages(words: list[str], message: str) -> None:
    run = match(*words)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr


REPOSITORY = Path(__file__).parents[1] / "training_repository"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from images import write; "
    for name, numbers in (("train", "range(24)"), ("val", "range(24, 28)")):
        code = f"{write} write({str(folder / name)!r}, {numbers}, 16)"
        subprocess.run([sys.executable, "-c", code], check=True)
    return folder


def trained(pairs: Path, folder: Path, *edits: tuple[str, str], options: tuple[str, ...] = ()) -> tuple[Path, str]:
    """Return the trace of a few steps of the training repository with edits to its networks, and what was printed."""
    folder.mkdir()
    for file in REPOSITORY.glob("*.py"):
        text = file.read_text()
        for old, new in edits if file.name == "networks.py" else ():
            assert old in text
            text = text.replace(old, new)
        (folder / file.name).write_text(text)
    trace = folder / "trace.jsonl"
    words = ["--data", pairs, "--experiment_dir", folder / "out", "--steps", "3", "--batch_size", "8"]
    run = match("--block", "1", "--trace", trace, *options, "--", sys.executable, folder / "train.py", *words)
    assert run.returncode == 0, run.stderr
    return trace, run.stdout


UNUSED = (
    "        self.up2 = nn",
    "        self.unused = nn.Conv2d(1, channels, 4, 2, 1)\n        self.up2 = nn",
)
FIRST = "nn.Conv2d(2, channels, 4, 2, 1)"


@pytest.mark.slow
def test_in_a_training_repository_changes_move_nothing_but_themselves(pairs: Path, tmp_path: Path) -> None:
    plain, printed = trained(pairs, tmp_path / "plain")
    unused, printed_unused = trained(pairs, tmp_path / "unused", UNUSED)
    normed, _ = trained(pairs, tmp_path / "normed", (FIRST, f"nn.utils.spectral_norm({FIRST})"))
    assert printed_unused == printed
    compared = compare_traces(plain, unused)
    assert compared.keeps_a
    assert compared.batches.equal == compared.batches.a >= 3
    weights = compared.weights
    assert weights.equal == weights.a < weights.b
    spectral = compare_traces(plain, normed)
    assert spectral.keeps_a
    assert spectral.weights.share == 1
    assert spectral.parts_at is not None
    assert "spectral_norm" in spectral.parts_at["what"]


@pytest.mark.slow
def test_in_a_training_repository_the_scripts_own_seeds_move_nearly_all(pairs: Path, tmp_path: Path) -> None:
    options = ("--as-is",)
    plain, _ = trained(pairs, tmp_path / "plain", options=options)
    unused, _ = trained(pairs, tmp_path / "unused", UNUSED, options=options)
    compared = compare_traces(plain, unused)
    assert (compared.weights.share or 0) < 0.1
    assert compared.batches.share == 0 or compared.batches.equal < compared.batches.a


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_ends_with_the_process_that_matches_it(script: Path, number: signal.Signals) -> None:
    words = matched_argv([sys.executable, "-u", str(script), "--wait"], Matching(block="1"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline() == "waiting\n"
        started = time.monotonic()
        process.send_signal(number)
        assert process.stdout.read() == ""
    assert time.monotonic() - started < 30
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)


def test_the_environment_alone_matches_too(script: Path) -> None:
    environment = {**os.environ, **matched_environment(Matching(block="3"))}
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == match("--block", "3", script).stdout
    assert run.stderr == ""


def test_the_users_own_sitecustomize_still_runs(script: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    before = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{before}{os.pathsep}{tmp_path}".lstrip(os.pathsep)}
    variables = matched_environment(Matching(block="3"), environment)
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env={**environment, **variables}
    )
    assert run.stdout.startswith("mine\n")
