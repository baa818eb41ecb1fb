from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pretended
import pytest

from harness.errors import StoreError
from harness.results.frozen import FORMAT, FrozenStudy
from harness.results.store import Store
from harness.study.fields import Flag
from harness.study.study import Study
from harness.study.training_settings import TrainingSettings
from harness.verdicts.judge import judge_stored

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
BASE: dict[str, Any] = {
    "study": "x",
    "training": {"steps": 300},
    "axes": {"discriminator.spectral_norm": ["none", "convs"]},
    "design": {"blocks": 4},
    "measure": {"also": ["ssim"]},
}
LOOKS = {**BASE, "design": {"blocks": {"looks": [4, 6], "beyond": 2}}}


def study(base: dict[str, Any] = BASE, **changes: Any) -> Study:
    data = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split("__")
        group = data
        for name in parents:
            group = group.setdefault(name, {})
        group[last] = value
    return Study.model_validate(data)


def amended(old: Study, new: Study) -> FrozenStudy:
    return FrozenStudy.of(old).amended(new, trials=8, blocks=4, at=NOW)


def test_settings_of_a_later_version_change_no_digest() -> None:
    class LaterTraining(TrainingSettings):
        mirror_flip: Flag = False

    class Later(Study):
        training: TrainingSettings | LaterTraining = LaterTraining()

    data = study().model_dump(mode="json")
    data["training"]["mirror_flip"] = False
    assert Later.model_validate(data).hash == study().hash
    data["training"]["mirror_flip"] = True
    assert Later.model_validate(data).hash != study().hash


def test_defaults_written_out_change_no_digest_and_everything_else_does() -> None:
    written_out = Study.model_validate(study().model_dump(mode="json"))
    others = [
        study(training__steps=301),
        study(training__optimizer={"lr": 1e-3}),
        study(data={"kind": "faces"}),
        study(data={"kind": "faces", "image_size": 64}),
        study(generator={"kind": "unet", "channels": 8}),
        study(generator={"kind": "dcgan", "channels": 8}),
        study(measure__primary="l1"),
        study(measure__images=100),
        study(axes={"discriminator.spectral_norm": ["none", "convs+heads"]}),
        study(study="y"),
    ]
    free = [study(design__blocks=5), study(runner__retries=3), study(measure__also=["l1"]), study(measure__margin=0.5)]
    assert {other.hash for other in (written_out, *free)} == {study().hash}
    assert len({other.hash for other in (study(), *others)}) == 1 + len(others)


def test_what_is_written_is_read_back() -> None:
    frozen = amended(study(), study(design__blocks=12))
    assert FrozenStudy.read(json.loads(json.dumps(frozen.document()))) == frozen
    assert frozen.planned == study()
    assert frozen.study.design.blocks == 12


@pytest.mark.parametrize(
    ("old", "new", "after_the_fact"),
    [
        (study(), study(design__blocks=12), True),
        (study(), study(design__blocks=3), True),
        (study(LOOKS), study(LOOKS, design__blocks={"looks": [4, 6], "beyond": 9}), False),
        (study(LOOKS), study(LOOKS, design__blocks={"looks": [4, 6, 8]}), True),
        (study(), study(LOOKS), True),
        (study(), study(measure__also=["ssim", "l1"]), False),
        (study(), study(controls__negative="a/a"), False),
        (study(), study(axes={"discriminator.spectral_norm": ["none", "convs", "convs+heads"]}), True),
        (study(), study(train_no_ops=True), True),
        (study(), study(confounded_above=0.2), False),
    ],
)
def test_a_change_that_only_adds_is_kept_in_the_history(old: Study, new: Study, after_the_fact: bool) -> None:
    (amendment,) = amended(old, new).history
    assert (amendment.at, amendment.trials, amendment.blocks) == (NOW, 8, 4)
    assert amendment.after_the_fact is after_the_fact
    assert amendment.changes


def test_settings_of_the_runner_are_not_history() -> None:
    frozen = amended(study(), study(runner__retries=3, question="Why?"))
    assert frozen.history == ()
    assert frozen.study.runner.retries == 3


def test_every_further_change_is_added_to_the_history() -> None:
    frozen = amended(study(), study(design__blocks=6)).amended(study(design__blocks=8), trials=12, blocks=6, at=NOW)
    told = [[str(change) for change in amendment.changes] for amendment in frozen.history]
    assert told == [["design.blocks: was 4, is 6"], ["design.blocks: was 6, is 8"]]


def test_rows_from_before_an_arm_was_added_still_belong() -> None:
    axes = {"discriminator.spectral_norm": ["none", "convs"], "training.ema": [0.0, 0.9]}
    frozen = amended(study(), study(axes=axes))
    assert frozen.hashes == (study().hash, study(axes=axes).hash)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training__steps": 50}, "training.steps: was 300, is 50"),
        ({"measure__margin": "5%"}, "measure.margin: was '10%', is '5%'"),
        ({"measure__also": ["l1"]}, "measure.also"),
        ({"axes": {"discriminator.spectral_norm": ["none", "convs+heads"]}}, "axes.discriminator.spectral_norm"),
        ({"axes": {"discriminator.spectral_norm": ["convs", "none", "convs+heads"]}}, "axes.discriminator"),
        ({"baseline": {"discriminator.spectral_norm": "convs"}}, "baseline.discriminator.spectral_norm"),
    ],
)
def test_a_change_that_the_rows_do_not_allow_is_refused_with_the_difference(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match="holds trials of another study") as refused:
        amended(study(), study(**change))
    assert message in str(refused.value)


def test_an_axis_that_renames_arms_is_refused() -> None:
    old = study(axes={"discriminator.norm": ["batch", "none"]})
    new = study(axes={"discriminator.norm": ["batch", "none"], "generator.norm": ["batch", "none"]})
    with pytest.raises(StoreError, match=r"axes\.generator\.norm"):
        amended(old, new)


def test_a_folder_that_a_later_version_wrote_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.freeze(study(), {})
    document = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps({**document, "format": FORMAT + 1}))
    with pytest.raises(StoreError, match=r"study\.json: was written by a later version .*; upgrade"):
        store.frozen()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '"text"',
        "{}",
        '{"format": 1}',
        '{"format": "1"}',
        '{"format": null}',
        '{"format": -1, "study": 3}',
        '{"format": 1, "study": {"study": "x"}, "planned": {"study": "x"}, "hashes": 3, "history": []}',
        '{"format": 1, "study": {"study": "x"}, "planned": {"study": "x"}, "hashes": [], "history": [{"at": "now"}]}',
        '{"format": 1, "study": {"study": "../x"}, "planned": {"study": "x"}, "hashes": [], "history": []}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_study_is_one_message_that_names_the_file_and_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=r"study\.json: .*restore it, or delete it and `run` the study again"):
        Store(tmp_path).tables()


def test_an_arm_is_added_to_a_finished_study(tmp_path: Path) -> None:
    few = pretended.study(axes={"discriminator.spectral_norm": ["none", "convs"]})
    pretended.fill(tmp_path / "pretended", few)
    before = {path: path.read_bytes() for path in (tmp_path / "pretended" / "trials").iterdir()}
    store = pretended.fill(tmp_path / "pretended", pretended.study())
    assert {path: path.read_bytes() for path in before} == before
    _, findings = judge_stored(store)
    assert [contrast.arm for contrast in findings.contrasts] == ["spectral_norm=convs", "spectral_norm=convs+heads"]
    (amendment,) = findings.history
    assert amendment.after_the_fact
    assert (amendment.trials, amendment.blocks) == (8, 4)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"arms": 3}', '{"arms": [3]}', '{"arms": [{"arm": "x"}]}'])
def test_a_damaged_plan_is_one_message_with_the_way_out(tmp_path: Path, content: str) -> None:
    pretended.fill(tmp_path, pretended.study())
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(StoreError, match=r"plan\.json: is no plan .*delete it, and `run` makes it again"):
        judge_stored(tmp_path)
