"""The examples of docs/own-code.md and studies/own_gan run as they stand; the contract refuses what breaks it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import nn

import harness
from harness.errors import HarnessError
from harness.models import Conditions, Generated, Judgement
from harness.models.contract import check_networks, example_conditions

DOCS = Path(__file__).parents[2] / "docs" / "own-code.md"
SIZE = {"image_size": 8, "channels": 1}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_documented_example_runs_and_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mynets.py").write_text(blocks("python")[0])
    (tmp_path / "study.yaml").write_text(blocks("yaml")[0])
    done = tiny.call("run", tmp_path / "study.yaml", "--results", tmp_path / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "your own code: mynets:painter, mynets:critic" in done.stdout
    trials = harness.load(tmp_path / "results" / "mine").trials
    assert len(trials) == 4
    assert set(trials["status"]) == {"complete"}
    assert 0 < trials.set_index("arm").loc["width=64", "matched_fraction"].max() < 1
    documented: dict[str, Any] = {}
    exec("from mynets import critic, painter\n" + blocks("python")[-1], documented)
    tests = [test for name, test in documented.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


@pytest.mark.slow
def test_a_copy_of_the_example_runs_in_another_folder_as_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shorter = ("training.steps=9", "controls.positive={training.steps: 3}", "design.blocks=2")
    words = [word for setting in shorter for word in ("--set", setting)]
    shutil.copytree(tiny.ROOT / "studies" / "own_gan", tmp_path / "own_gan")
    assert "python -m harness run own_gan/study.yaml" in (tmp_path / "own_gan" / "README.md").read_text()
    done = tiny.call("run", "own_gan/study.yaml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = harness.load("results/own_gan").trials
    assert set(trials["arm"]) == {"baseline", "norm=spectral", "positive control"}
    assert trials[["matched_fraction_g", "matched_fraction_d"]].to_numpy().min() >= 0.92


class Pixels(nn.Module):
    """A generator whose faults can be chosen."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.layer = nn.Linear(3, 64)
        self.idle = nn.Linear(2, 2) if fault == "idle" else None

    def forward(self, conditions: Conditions) -> Any:
        assert conditions.latent is not None
        image = torch.tanh(self.layer(conditions.latent)).view(-1, 1, 8, 8)
        match self.fault:
            case "range":
                return Generated(image + 2)
            case "shape":
                return Generated(image[:, :, :4])
            case "type":
                return image
            case "code":
                return Generated(image, image.flatten(1))
            case "noise":
                return Generated((image + 0.01 * torch.rand_like(image)) / 2)
        return Generated(image)


class Judge(nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.layer = nn.Linear(64, 1)

    def forward(self, image: torch.Tensor, conditions: Conditions) -> Any:  # noqa: ARG002 - the contract's signature
        logit = self.layer(image.flatten(1))
        return Judgement(logit if self.fault == "column" else logit.squeeze(1))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("range", "end with a tanh"),
        ("shape", r"images of shape \(4, 1, 4, 8\); \(4, 1, 8, 8\) are needed"),
        ("type", r"returned a Tensor; a Generated\(image, code\) is needed"),
        ("code", "has no method encode"),
        ("noise", "two calls in evaluation mode differ"),
        ("idle", "no gradient reaches idle.weight, idle.bias"),
        ("column", r"logits of shape \(4, 1\); \(4,\), one per image, or \(4, H, W\)"),
    ],
)
def test_networks_that_break_the_contract_are_told_how(fault: str, message: str) -> None:
    conditions = example_conditions(4, styles=1, latent=3, **SIZE)
    with pytest.raises(HarnessError, match=message):
        check_networks(Pixels(fault), Judge(fault), conditions, **SIZE)


def test_networks_that_keep_the_contract_pass() -> None:
    check_networks(Pixels(""), Judge(""), example_conditions(4, styles=1, latent=3, **SIZE), **SIZE)
