"""What is said of networks of a user's own: notes and never proofs, and breaches of the contract in one line."""

from __future__ import annotations

import functools
import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema
import own_options
import pytest
import tiny
import yaml
from torch import nn

from harness.cli.documents import json_schema
from harness.errors import HarnessError
from harness.models import Conditions, Generated
from harness.preflight.preflight import Preflight, preflight
from harness.results.schema import ArmPlan
from harness.study.design import arms
from harness.study.study import Study

OWN: dict[str, Any] = {
    "study": "own",
    "data": {"kind": "glyphs", "characters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "image_size": own_options.SIZE},
    "generator": {"kind": "own_options:painter"},
    "discriminator": {"kind": "own_options:critic"},
    "training": {"steps": 300, "batch_size": 4},
    "measure": {"primary": "l1", "also": []},
    "confounded_above": 1e9,
    "design": {"blocks": 2},
}
HERE = {"plan": (), "run": ("--executor", "in-process")}
OPTIMIZERS = {"training.optimizer.kind": ["adam", "adamw"]}
TABLES = {"generator": own_options.GENERATOR, "discriminator": own_options.DISCRIMINATOR}
CASES = [
    pytest.param(net, number, id=f"{kind}: {net} {options}")
    for net, table in TABLES.items()
    for number, (kind, options, _) in enumerate(table)
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def planned(study: Study, cache: Path) -> Preflight:
    return preflight(study, arms(study), cache=cache, measure_speed=False)


@functools.cache
def plans(net: str, cache: Path) -> tuple[ArmPlan, ...]:
    levels = {str(number): options for number, (_, options, _) in enumerate(TABLES[net])}
    study = Study.model_validate({**OWN, "axes": {f"{net}.options": {"baseline": {}, **levels}}})
    return planned(study, cache).arms[1:]


@pytest.mark.parametrize(("net", "number"), CASES)
def test_an_option_of_ones_own_is_never_proved_to_do_nothing(net: str, number: int, cache: Path) -> None:
    kind, _, nature = TABLES[net][number]
    plan = plans(net, cache)[number]
    said = plan.reason or ""
    assert plan.proof == ("invalid" if kind == "invalid" else None), said
    assert ("no difference from the baseline seen" in said) == (kind == "same"), said
    if kind == "same":
        assert f"what {net}.options does is up to code of your own" in said
    if kind == "invalid":
        assert nature in said
        assert said.startswith(f"own_options:{'painter' if net == 'generator' else 'critic'}")
        assert "\n" not in said


def test_the_table_holds_forty_options_and_more_and_stands_in_the_docs() -> None:
    assert sum(map(len, TABLES.values())) >= 40
    assert "\n".join(own_options.written()) in (tiny.ROOT / "docs" / "own-code.md").read_text(encoding="utf-8")


def test_settings_of_the_harness_are_proved_where_the_networks_have_no_say_and_not_where_they_have(cache: Path) -> None:
    axes = {
        "training.optimizer.kind": ["adam", "adamw"],
        "training.schedule.every": [0.2, 0.9],
        "training.loss.real_and_fake": ["separate", "joint"],
        "training.loss.category": [1.0, 2.0],
        "training.channels_last": [True, False],
    }
    found = {plan.arm: plan for plan in planned(Study.model_validate({**OWN, "axes": axes}), cache).arms}
    proofs = {name: plan.proof for name, plan in found.items()}
    assert proofs == {
        "baseline": None,
        "kind=adamw": "no-op",
        "every=0.9": "no-op",
        "real_and_fake=joint": None,
        "category=2.0": None,
        "channels_last=false": None,
    }
    assert "what training.loss.category does is up to code of your own" in (found["category=2.0"].reason or "")


def test_a_study_of_own_networks_gets_no_facts_about_zi2zi_or_dcgan(cache: Path) -> None:
    axes = {
        "training.loss.real_and_fake": ["separate", "joint"],
        "training.loss.kind": ["bce", "hinge"],
        "generator": {"own": {}, "unet": {"kind": "unet", "channels": 4, "levels": 3}},
        "discriminator": {
            "own": {},
            "zi2zi": {"kind": "zi2zi", "channels": 4, "spectral_norm": "convs"},
        },
    }
    own = {key: axes[key] for key in ("training.loss.real_and_fake", "training.loss.kind")}
    facts = planned(Study.model_validate({**OWN, "axes": own}), cache).facts
    assert {fact.subject.partition(" ")[0] for fact in facts} == {"training.loss.kind"}
    mixed = planned(Study.model_validate({**OWN, "axes": axes}), cache).facts
    assert not any("image_size // 8" in fact.subject for fact in facts)
    assert any(fact.subject == "discriminator=zi2zi" for fact in mixed)


class Wide(nn.Module):
    """A generator of many multiply-adds, and no smaller one."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, conditions: Conditions) -> Generated:
        """(N, C, S, S) to the same."""
        assert conditions.source is not None
        return Generated(self.layers(conditions.source).tanh())


def wide(*, image_size: int, channels: int, styles: int, width: int) -> nn.Module:
    """Return it."""
    return Wide(channels, width)


def test_networks_too_large_to_be_tried_are_not_compared_and_that_takes_no_time(cache: Path) -> None:
    generator = {"kind": f"{__name__}:wide", "options": {"width": 256}}
    study = Study.model_validate(
        {**OWN, "generator": generator, "axes": {"training.optimizer.kind": ["adam", "adamw"]}}
    )
    before = time.process_time()
    found = planned(study, cache).arms
    assert time.process_time() - before < 20
    assert [plan.proof for plan in found] == [None, None]
    assert all("are too many for that" in (plan.reason or "") for plan in found)


@pytest.mark.parametrize(
    ("command", "kind", "options", "line"),
    [
        ("plan", "own_options:painter", {"does": "tensor"}, "returned a Tensor; a Generated(image, code) is needed"),
        ("plan", "own_options:no_module", {}, "returned a str; a Module is needed"),
        ("run", "own_options:painter", {"deos": "x"}, "it takes no 'deos'; did you mean 'does'?"),
    ],
)
def test_a_study_of_which_no_arm_can_be_trained_is_refused_with_the_reasons(
    command: str, kind: str, options: dict[str, Any], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli import main

    file = tmp_path / "study.yaml"
    data = {
        **OWN,
        "generator": {"kind": kind, "options": options},
        "axes": {"training.optimizer.kind": ["adam", "adamw"]},
    }
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main([command, str(file), "--results", str(tmp_path), "--workers", "1", *HERE[command]])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "own: none of its 2 arms can be trained" in said
    assert said.count(line) == 2
    assert "Traceback" not in said


def test_an_error_while_a_users_module_is_imported_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import plugins

    (tmp_path / "broken_networks.py").write_text("import torch\n\nWIDTH = {}['width']\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        HarnessError, match=r"importing 'broken_networks' raised KeyError: 'width' \(broken_networks.py, line 3\)"
    ):
        plugins.load("broken_networks:painter")


@pytest.mark.slow
def test_a_network_with_weights_of_five_dimensions_is_timed_and_trained(tmp_path: Path) -> None:
    own = {"kind": "own_options:painter", "options": {"does": "three-dimensional"}}
    done = tiny.run(
        tmp_path,
        generator=own,
        discriminator={"kind": "own_options:critic"},
        axes={"training.loss.l1": [100.0, 10.0]},
        training={"steps": 5, "batch_size": 4},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a study with an arm whose author's weights get lost."""
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    data = {
        **OWN,
        "discriminator": {"kind": "own_gans:patchgan", "options": {"layers": 2}},
        "axes": {"discriminator.options.spectral": ["none", "legacy", "parametrized"]},
    }
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def test_a_plan_says_where_little_is_matched_of_one_network(spectral: Path, cache: Path) -> None:
    from harness.study.reading import read_study

    found = {plan.arm: plan for plan in planned(read_study(spectral), cache).arms}
    legacy, lost = found["spectral=legacy"], found["spectral=parametrized"]
    assert (legacy.matched_fraction_d or 0) > 0.92
    assert lost.matched_fraction_g == 1.0
    assert (lost.matched_fraction_d or 0) < 0.01
    assert "initial numbers" not in (legacy.reason or "")
    assert "of the discriminator's initial numbers are the baseline's" in (lost.reason or "")
    assert "does not reach weights behind a parametrisation" in (lost.reason or "")


def test_the_matching_of_an_arm_is_listed_parameter_by_parameter(spectral: Path, cache: Path) -> None:
    done = tiny.call("plan", spectral, "--matching", "spectral=legacy", "--results", cache)
    assert done.returncode == 0, done.stderr
    assert re.search(r"discriminator\.model\.4\.weight +32x16x4x4 +discriminator\.model\.5\.weight +yes", done.stdout)
    assert re.search(r"discriminator\.model\.2\.bias +16 +- +-", done.stdout)
    as_json = tiny.call("plan", spectral, "--matching", "spectral=legacy", "--results", cache, "--json")
    document = json.loads(as_json.stdout)
    jsonschema.validate(document, json_schema("matching"))
    assert document["matched_fraction"]["generator"] == 1.0
    unknown = tiny.call("plan", spectral, "--matching", "spectral=legcy", "--results", cache)
    assert unknown.returncode == 2
    assert "no arm 'spectral=legcy'; did you mean 'spectral=legacy'?" in unknown.stderr
