"""Modules and paths of a study are found beside its file, from whatever folder a command is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import factory
import pytest
import tiny
import yaml
from PIL import Image

from harness import plugins
from harness.provenance import OWN, code_version
from harness.study.reading import read_study
from harness.study_folder import located, look_beside, study_folder


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = study_folder()
    yield
    look_beside(before)


def study_in(folder: Path, source: str = "def net(): return 1\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "nets_beside.py").write_text(source)
    (folder / "pictures").mkdir()
    for shade in range(8):
        Image.new("L", (16, 16), 20 * shade).save(folder / "pictures" / f"{shade}.png")
    asked = factory.asked(
        data={"kind": "images", "path": "pictures", "image_size": 16, "channels": 1},
        generator={"kind": "dcgan", "channels": 4, "latent": 6},
        discriminator={"kind": "dcgan", "channels": 4},
        measure={"primary": "ssim_diversity", "margin": 0.1, "also": []},
    )
    (folder / "study.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    return folder / "study.yaml"


def test_a_relative_path_leads_beside_the_study_and_where_nothing_is_there_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = study_in(tmp_path / "studies")
    (tmp_path / "here" / "only_here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    read_study(file)
    assert located("pictures") == file.parent / "pictures"
    assert located("only_here") == Path("only_here")
    assert located(str(tmp_path / "here")) == tmp_path / "here"


def test_two_studies_of_one_process_each_get_the_module_beside_them(tmp_path: Path) -> None:
    first = study_in(tmp_path / "a")
    second = study_in(tmp_path / "b", "def net(): return 2\n")
    read_study(first)
    digest = code_version(("nets_beside:net",)).partition(OWN)[2]
    assert plugins.load("nets_beside:net")() == 1
    read_study(second)
    assert plugins.load("nets_beside:net")() == 2
    assert code_version(("nets_beside:net",)).partition(OWN)[2] != digest
    read_study(first)
    assert plugins.load("nets_beside:net")() == 1


def test_what_is_loaded_is_left_alone_where_nothing_of_its_name_lies_beside_the_study(tmp_path: Path) -> None:
    read_study(study_in(tmp_path / "a"))
    loaded = sys.modules["factory"]
    plugins.load("factory:study")
    assert sys.modules["factory"] is loaded


def test_a_missing_module_says_where_it_was_looked_for(tmp_path: Path) -> None:
    read_study(study_in(tmp_path / "a"))
    with pytest.raises(Exception, match="no module named 'nowhere_at_all'; install it, or put it beside the study"):
        plugins.load("nowhere_at_all:net")


@pytest.mark.slow
def test_a_study_of_own_code_and_pictures_is_run_by_other_processes_from_another_folder(tmp_path: Path) -> None:
    file = study_in(tmp_path / "a", (tiny.ROOT / "tests" / "own_gans.py").read_text(encoding="utf-8"))
    asked = yaml.safe_load(file.read_text(encoding="utf-8"))
    asked["discriminator"] = {"kind": "nets_beside:patchgan", "options": {"layers": 2}}
    asked["axes"] = {"training.optimizer.lr": [1e-3, 1e-4]}
    asked["training"] = {"steps": 4, "batch_size": 4}
    asked["failures"] = {"diversity_floor": 0.0}
    file.write_text(yaml.safe_dump(asked), encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", str(file), "--results", str(tmp_path / "results"), "--workers", "2"],
        cwd=tmp_path / "elsewhere",
        env=tiny.environment(PYTHONPATH=str(tiny.ROOT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "results" / "tiny" / "trials").iterdir())) == 4
