"""Loops of a user's own: all that is around the built-in one is around them too, and faults are said in one line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import factory
import own_loops
import pytest
import tiny
import torch
import yaml

import harness
from harness.errors import HarnessError
from harness.models import build_pair
from harness.study.settings import TrialSettings
from harness.study.study import Study
from harness.trial.trainer import Trainer
from harness.trial.training import train


def trainer(settings: TrialSettings) -> Trainer:
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    paired = settings.generator.kind == "unet"
    return Trainer(pair, settings, factory.split(paired=paired), block="0")


def own(loop: str, **training: Any) -> TrialSettings:
    return factory.settings(training={"kind": f"own_loops:{loop}", **training})


def weights(trained: Trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for net in trained.pair.networks().values() for p in net.parameters()]


def test_a_loop_of_few_lines_is_the_built_in_one_bit_for_bit() -> None:
    loss = {"l1": 0.0, "category": 0.0, "constant": 0.0}
    built_in, few = (
        trainer(factory.dcgan(training={"loss": loss, "ema": 0.5, **kind}))
        for kind in ({}, {"kind": "own_loops:few_lines"})
    )
    progress = [list(train(each)) for each in (built_in, few)]
    assert all(torch.equal(a, b) for a, b in zip(weights(built_in), weights(few), strict=True))
    for a, b in zip(built_in.measured.state_dict().values(), few.measured.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert [p.loss_g for p in progress[0]] == pytest.approx([p.loss_g for p in progress[1]], rel=1e-6)


def test_a_loop_goes_on_from_its_state_as_if_it_had_never_stopped() -> None:
    settings = own("with_more_state", steps=6, ema=0.5)
    whole = trainer(settings)
    losses = [p.loss_g for p in train(whole)]
    first = trainer(settings)
    steps = train(first)
    begun = [next(steps).loss_g for _ in range(3)]
    second = trainer(settings)
    second.load_state(first.state())
    assert begun + [p.loss_g for p in train(second)] == losses
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        ("without_done", r"own_loops:without_done: yielded a float at step 0; yield trainer.done\(loss_g=…\)"),
        ("stops", r"own_loops:stops: ended after 2 of 3 steps; loop over trainer.steps\(\)"),
        ("no_iterator", "returned a list; a Iterator is needed"),
        ("absent", "module 'own_loops' has no 'absent'"),
    ],
)
def test_a_loop_that_breaks_the_contract_is_told_how(loop: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        list(train(trainer(own(loop))))


def test_a_step_that_is_never_ended_does_not_go_on_for_ever() -> None:
    with pytest.raises(ValueError, match=r"step 1 was left without trainer.done"):
        list(train(trainer(own("forgets"))))


def test_the_loop_that_is_not_named_changes_no_digest_and_one_that_is_does() -> None:
    plain = factory.study()
    named = Study.model_validate(factory.asked(training={**factory.asked()["training"], "kind": "gan"}))
    other = Study.model_validate(
        factory.asked(training={**factory.asked()["training"], "kind": "own_loops:autoencoder"})
    )
    assert plain.hash == named.hash != other.hash


def test_options_of_the_built_in_loop_are_refused() -> None:
    with pytest.raises(ValueError, match=r"options \(weight\) are for a loop of your own"):
        factory.settings(training={"options": {"weight": 1}})


@pytest.mark.slow
def test_a_study_of_a_loop_of_ones_own_is_planned_and_run(tmp_path: Path) -> None:
    asked = factory.asked(
        training={"kind": "own_loops:autoencoder", "steps": 6, "batch_size": 4},
        axes={"training.options.weight": [1.0, 5.0], "training.loss.l1": [100.0, 1.0]},
        failures={"diversity_floor": 0.0},
        measure={"at": ["50%", "100%"], "primary": "l1", "margin": "10%", "also": [], "signals": 6},
    )
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    done = tiny.call("run", tmp_path / "study.yaml", "--results", tmp_path)
    assert "own_loops:autoencoder" in done.stdout, done.stdout + done.stderr
    tables = harness.load(tmp_path / "tiny")
    assert set(tables.trials["status"]) == {"complete"}
    assert set(tables.trials["arm"]) == {"baseline", "weight=5.0", "l1=1.0"}
    assert tables.trials["code_version"].str.contains(".own.", regex=False).all()
    assert "loss_l1" in tables.signals
    plan = tiny.call("plan", tmp_path / "study.yaml", "--results", tmp_path)
    assert "what training.loss.l1 does is up to code of your own" in plan.stdout


def test_errors_of_a_loop_are_one_line_in_a_plan(tmp_path: Path) -> None:
    asked = factory.asked(training={"kind": "own_loops:breaks", "steps": 6, "batch_size": 4})
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    done = tiny.call("plan", tmp_path / "study.yaml", "--results", tmp_path)
    assert done.returncode == 2
    assert "raised AttributeError: 'NetworkPair' object has no attribute 'painter' (own_loops.py, line" in done.stderr


def test_the_loops_of_the_docs_are_those_that_are_tested() -> None:
    page = (tiny.ROOT / "docs" / "own-code.md").read_text(encoding="utf-8")
    assert inspect.getsource(own_loops.autoencoder) in page
    assert inspect.getsource(own_loops.diffusion) in page


@pytest.mark.slow
def test_a_small_diffusion_model_is_trained_and_measured(tmp_path: Path) -> None:
    asked = factory.asked(
        data={"kind": "faces", "image_size": 16},
        generator={"kind": "own_loops:denoiser", "latent": 256},
        discriminator={"kind": "dcgan", "channels": 4},
        training={"kind": "own_loops:diffusion", "steps": 60, "batch_size": 16, "optimizer": {"lr": 0.01}},
        axes={"training.optimizer.lr": [0.01, 0.001]},
        failures={"diversity_floor": 0.0},
        measure={"at": ["100%"], "primary": "kid_efficientnet", "margin": 0.05, "also": []},
    )
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    done = tiny.call("run", tmp_path / "study.yaml", "--results", tmp_path)
    tables = harness.load(tmp_path / "tiny")
    assert set(tables.trials["status"]) == {"complete"}, done.stdout + done.stderr
    losses = tables.signals.merge(tables.trials[["trial_id", "arm"]]).query("arm == 'baseline'")
    assert losses.groupby("trial_id")["loss_g"].agg(lambda x: x.iloc[-5:].mean() < x.iloc[:5].mean()).all()
