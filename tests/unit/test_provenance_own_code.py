"""The digest of a user's own code: what it covers, and that changed code does not go on with old rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import factory
import pytest
import tiny
import yaml

from harness import provenance
from harness.provenance import OWN, code_version, own_sources

NETS = """
from torch import nn

from harness.models import Conditions, Judgement
from parts.layers import WIDTH


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(256, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1), nn.Flatten(0))

    def forward(self, image, conditions):
        return Judgement(self.net(image))


def critic(image_size, channels, styles):
    return Critic()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ownnets.py").write_text(NETS)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "layers.py").write_text("from . import sizes\nWIDTH = sizes.WIDTH\n")
    (tmp_path / "parts" / "sizes.py").write_text("WIDTH = 8\n")
    (tmp_path / "unrelated.py").write_text("")
    return tmp_path


def digest(*doors: str) -> str:
    provenance._own_digest.cache_clear()
    return code_version(doors).partition(OWN)[2]


@pytest.mark.usefixtures("folder")
def test_the_sources_are_the_module_and_what_it_imports_from_its_folder() -> None:
    assert list(own_sources(("ownnets:critic",))) == [
        "ownnets.py",
        "parts/__init__.py",
        "parts/layers.py",
        "parts/sizes.py",
    ]


def test_an_edit_anywhere_among_them_shows_and_one_elsewhere_does_not(folder: Path) -> None:
    before = digest("ownnets:critic")
    (folder / "unrelated.py").write_text("X = 1\n")
    assert digest("ownnets:critic") == before
    (folder / "parts" / "sizes.py").write_text("WIDTH = 9\n")
    assert digest("ownnets:critic") != before


def test_an_installed_package_counts_with_its_own_files_only() -> None:
    files = own_sources(("typer.core:TyperGroup",))
    assert files
    assert {name.partition("/")[0] for name in files} == {"typer"}


def test_what_cannot_be_found_or_read_is_left_out(folder: Path) -> None:
    (folder / "broken.py").write_text("def (\n")
    assert list(own_sources(("broken:f", "nowhere.at_all:f", "math:sqrt"))) == ["broken.py"]


def test_without_own_code_the_version_is_the_packages() -> None:
    assert OWN not in code_version()


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "run", "study.yaml", "--executor", "in-process", *more]
    env = tiny.environment(PYTHONPATH=str(tiny.ROOT))
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_changed_code_does_not_go_on_with_the_rows_of_before(folder: Path) -> None:
    asked = factory.asked(
        study="own",
        discriminator={"kind": "ownnets:critic"},
        axes={"training.optimizer.lr": [1e-3, 1e-4]},
        training={"steps": 4, "batch_size": 4, "loss": {"category": 0}},
        design={"blocks": 1},
    )
    (folder / "study.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    first = run(folder)
    assert first.returncode in (0, 1), first.stderr
    assert run(folder).returncode == first.returncode
    (folder / "parts" / "sizes.py").write_text("WIDTH = 9\n")
    refused = run(folder, "--set", "design.blocks=2")
    assert refused.returncode == 2
    assert "your own code changed since 2 trials were computed (ownnets.py, parts/__init__.py" in refused.stderr
    assert "--set study=own-2" in refused.stderr
    (folder / "parts" / "sizes.py").write_text("WIDTH = 8\n")
    assert run(folder, "--set", "design.blocks=2").returncode == first.returncode
