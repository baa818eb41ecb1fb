from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import factory
import numpy as np
import pandas as pd
import pytest
import tiny
import yaml
from PIL import Image

import harness

HEAVY = [
    "torch",
    "torchvision",
    "pandas",
    "numpy",
    "scipy",
    "pyarrow",
    "pydantic",
    "yaml",
    "optuna",
    "matplotlib",
    "typer",
    "rich",
]
SCRIPT = """
import sys
from collections.abc import Sequence

import harness


def verdicts(study: str | harness.Study) -> dict[str, str]:
    found = harness.run(study, results="results", executor="local", workers=1, settings=["design.blocks=2"])
    return {contrast.arm: contrast.verdict.value for contrast in found.contrasts}


def trials(study: harness.Study) -> int:
    count: int = harness.plan(study, build=False)["trials"]
    return count


def rows(folders: Sequence[str]) -> int:
    return sum(len(harness.load(folder).trials) for folder in folders)


study = harness.Study(study="mine", axes={"training.optimizer.lr": [1e-4, 1e-3]})
print(verdicts(study), trials(study), rows(sys.argv[1:]), study.measure.primary, harness.__version__)
print(harness.compare("table.csv", baseline="old", better="lower", scale="log", margin="5%")["contrasts"])
print(harness.score("real", "fake", metrics=["l1"])["metrics"])
"""


def python(code: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=tiny.environment(), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_harness_brings_nothing_heavy() -> None:
    assert python(f"import sys, harness; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_import_harness_takes_less_than_a_tenth_of_a_second() -> None:
    code = "import time; t = time.process_time(); import harness; print(time.process_time() - t)"
    assert min(float(python(code)) for _ in range(5)) < 0.1


def test_every_public_name_is_there_and_documented() -> None:
    assert {"Study", "run", "plan", "load", "compare", "score"} <= set(harness.__all__) <= set(dir(harness))
    for name in set(harness.__all__) - {"__version__"}:
        assert getattr(harness, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        harness.nothing  # noqa: B018


@pytest.mark.slow
def test_a_users_strict_script_passes_mypy_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(SCRIPT.replace('executor="local"', 'executor="locl"').replace('["l1"]', "[1]"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "right.py", "wrong.py"]
    done = subprocess.run(command, env=tiny.environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 2, done.stdout
    assert all(line.startswith("wrong.py") for line in errors)


def test_a_frame_is_compared_like_the_file_that_holds_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"seed": [1, 2, 3, 4], "old": [61.0, 64, 59, 63], "new": [55.0, 57, 54, 56]})
    table.to_csv(tmp_path / "table.csv", index=False)
    of_frame, of_file = (
        harness.compare(t, baseline="old", better="lower", scale="log") for t in (table, tmp_path / "table.csv")
    )
    assert of_frame.pop("table") != of_file.pop("table")
    assert of_frame == of_file
    assert of_frame["contrasts"][0]["verdict"] == "helps"
    with pytest.raises(harness.HarnessError, match="table: no rows"):
        harness.compare(table.iloc[:0], baseline="old")


def test_a_study_made_in_python_passes_the_checks_of_a_file() -> None:
    wrong = harness.Study.model_validate({"study": "s", "axes": {"discriminator.spectralnorm": ["none", "convs"]}})
    with pytest.raises(harness.HarnessError, match=r"study s: 1 problem\n.*did you mean 'discriminator.spectral_norm'"):
        harness.plan(wrong, build=False)
    right = harness.Study.model_validate({"study": "s", "axes": {"discriminator.spectral_norm": ["none", "convs"]}})
    assert harness.plan(right, build=False, settings=["design.blocks=3"])["trials"] == 6


def test_an_unknown_executor_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(harness.HarnessError, match="no 'locl'; did you mean 'local'"):
        harness.run(factory.study(), results=tmp_path, executor="locl")  # type: ignore[arg-type]


def test_run_returns_the_verdicts_that_are_stored_and_leaves_the_report(tmp_path: Path) -> None:
    code = (
        "import dummy, harness; dummy.without_torch();"
        "v = harness.run(dummy.study(2, 4), results='results', executor=dummy.Formula());"
        "print(*(f'{c.arm} {c.n} {c.verdict}' for c in v.contrasts))"
    )
    said = python(code, tmp_path)
    assert re.fullmatch(r"lr=\S+ 4 \w+", said)
    assert (tmp_path / "results" / "load" / "report" / "report.html").is_file()
    assert len(harness.load(tmp_path / "results" / "load").trials) == 8


@pytest.mark.slow
def test_the_examples_of_the_page_on_python_run_as_they_stand(tmp_path: Path) -> None:
    page = (tiny.ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 7
    (tmp_path / "studies").mkdir()
    asked = factory.asked(study="quickstart", measure={"primary": "ssim", "margin": "10%", "also": ["l1"]})
    (tmp_path / "studies" / "quickstart.yaml").write_text(yaml.safe_dump(asked))
    for name in ("real", "generated"):
        (tmp_path / name).mkdir()
        for i in range(2):
            pixels = np.full((16, 16), 40 * i + len(name), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    # Workers import the script again, and must find nothing to do in it.
    lines = [line for block in blocks for line in block.splitlines()]
    script = 'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in lines)
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], env=tiny.environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"4 \['baseline', 'spectral_norm=convs'\]\nspectral_norm=convs \w+ \S+ \S+\n", done.stdout)
    assert "\n12\n'new' helps: value was " in done.stdout
