from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticUndefined

from harness.errors import HarnessError, StudyError
from harness.study.data_settings import FaceSettings
from harness.study.network_settings import DcganGeneratorSettings
from harness.study.problems import _options, axis_paths
from harness.study.reading import assumptions, read_study
from harness.study.settings import TrialSettings
from harness.study.study import Study, level_name, put

GOOD = """
study: x
data: {kind: glyphs}
axes:
  discriminator.spectral_norm: [none, convs]
"""


def read(tmp_path: Path, text: str, *overrides: str) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return read_study(path, overrides)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text)
    return list(caught.value.problems)


def test_the_defaults_of_a_study_are_the_documented_ones(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD)
    assert study.measure.primary == "fid_efficientnet"
    assert study.measure.steps(study.training.steps) == (330, 670, 1000)
    assert study.design.most_blocks == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dta: {}", "dta: no such setting; did you mean 'data'?"),
        (
            "training: {steps: 2e4}",
            "training.steps: expected a whole number, got '2e4' (YAML reads 2e4 as text; write 2.0e+4)",
        ),
        (
            "training: {optimizer: {lr: 1e-3}}",
            "training.optimizer.lr: expected a number, got '1e-3' (YAML reads 1e-3 as text; write 1.0e-3)",
        ),
        ("training: {steps: 1.5}", "training.steps: expected a whole number, got 1.5"),
        ("training: {steps: true}", "training.steps: expected a whole number, got true"),
        ("training: {step: 5}", "training.step: no such setting; did you mean 'steps'?"),
        (
            "generator: {kind: unett}",
            "generator.kind: no 'unett'; did you mean 'unet'? (or your own package.module:function)",
        ),
        ("generator: {channels: 8}", "generator.kind: is missing; say which kind it is"),
        (
            "discriminator: {kind: zi2zi, blur: {position: off}}",
            "discriminator.blur.position: found false; allowed: none, input, hidden, features, output",
        ),
        ("discriminator: {kind: zi2zi, norm: bach}", "discriminator.norm: found 'bach'; did you mean 'batch'?"),
        ("measure: {primary: fid_eficientnet}", "measure.primary:"),
        ("measure: {at: [110%]}", "'110%' is neither a step nor a percentage"),
        ("measure: {at: [5000]}", "measure.at: 5000 lies beyond the training's 1000 steps"),
        ("measure: {margin: ten}", "'ten' is neither a number nor a percentage"),
        ("design: {blocks: {looks: [9, 6]}}", "looks must increase"),
        ("design: {blocks: 0}", "design.blocks: expected greater than or equal to 1, got 0"),
        ("baseline: {training.steps: 5}", "baseline.training.steps: is no axis of the study"),
        ("baseline: {discriminator.spectral_norm: conv}", "'conv' is not a level; did you mean 'convs'?"),
    ],
)
def test_each_mistake_is_told_with_what_was_found_and_the_way_out(tmp_path: Path, line: str, message: str) -> None:
    found = problems(
        tmp_path,
        f"{GOOD}{line}\n".replace(
            "data: {kind: glyphs}\n", "" if line.startswith("data") else "data: {kind: glyphs}\n"
        ),
    )
    assert len(found) == 1, found
    assert message in found[0]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("discriminator.spectral_nrm: [none, convs]", "no such setting; did you mean 'discriminator.spectral_norm'?"),
        ("discriminator.spectral_norm: [none, convz]", "convz is not a level: found 'convz'; did you mean 'convs'?"),
        ("discriminator.spectral_norm: [none]", "has 1 level; an axis needs two or more"),
        ("discriminator.spectral_norm: [none, none]", "levels are not distinct: none, none"),
        (
            "training.batch_size: [8, '16']",
            "16 is not a level: expected a whole number, got '16', which is text; write 16",
        ),
        ("training.batch_size: [16, 1]", "1 is not a level: expected greater than or equal to 2, got 1"),
        ("generator.innermost: [{up_stride: 2}, {up_stride: 3}]", "up_stride=3 is not a level: found 3; allowed: 1, 2"),
    ],
)
def test_each_mistake_in_an_axis_is_told(tmp_path: Path, axis: str, message: str) -> None:
    (found,) = problems(tmp_path, f"study: x\ndata: {{kind: glyphs}}\naxes:\n  {axis}\n")
    assert message in found
    assert found.startswith("line 4: ")


HEAD = "study: x\ndata: {kind: glyphs}\n"
FACES = "study: x\ndata: {kind: faces}\naxes: {discriminator.spectral_norm: [none, convs]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{GOOD}measure: {{primary: ssim, margin: 10}}\n", "10 is no less than the whole range of ssim, -1 to 1"),
        (f"{GOOD}measure: {{margin: '10'}}\n", "'10' is text; write 10 without quotes, or 10%"),
        (f"{GOOD}measure: {{margin: [1]}}\n", "measure.margin: expected a number or text, got [1]"),
        (f"{GOOD}measure: [a]\n", 'measure: expected a group of settings, got ["a"]'),
        (f"{GOOD}design: {{blocks: {{looks: []}}}}\n", "design.blocks.looks: expected at least 1 of them, got []"),
        (f"{GOOD}training: {{batch_size: 100000}}\n", "expected less than or equal to 8192, got 100000"),
        (f"{GOOD}training: {{optimizer: {{betas: [0.5]}}}}\n", "training.optimizer.betas.1: is missing"),
        (f"{GOOD}runner: {{gpus: many}}\n", "runner.gpus: expected a number, got 'many'"),
        (f"{GOOD}steps: 100\n", "steps: no such setting; did you mean 'training.steps'?"),
        (HEAD, "axes: is missing, so nothing is compared"),
        (f"{HEAD}axes: {{discriminator.spectral_norm: none}}\n", "expected levels as a list, such as [none, convs]"),
        (f"{HEAD}axes: {{training.batch_size: 16}}\n", "axes.training.batch_size: expected levels as a list"),
        (f"{HEAD}axes: {{lr: [1.0e-4, 2.0e-4]}}\n", "did you mean 'training.optimizer.lr'?"),
        (f"{HEAD}axes: [a]\n", 'axes: expected a mapping of names to values, got ["a"]'),
        (GOOD.replace("study: x", "study: my study"), "study: expected letters, digits, _, . and -"),
        (
            GOOD.replace("kind: glyphs", "kind: 5"),
            "data.kind: no '5'; allowed: classes, faces, glyphs, images, pairs, ",
        ),
        (GOOD.replace("{kind: glyphs}", "glyphs"), "data: expected a group of settings that begins with kind, got 'gl"),
        (f"{FACES}measure: {{also: []}}\n", "kind unet redraws a source image, and data of kind faces has none"),
        (f"{FACES}generator: {{kind: dcgan}}\nmeasure: {{also: [ssim]}}\n", "ssim: needs pairs"),
        (
            FACES.replace("faces", "faces, targets: [DejaVuSerif]") + "generator: {kind: dcgan}\nmeasure: {also: []}\n",
            "data.targets: no setting of kind faces, but of glyphs",
        ),
    ],
)
def test_each_mistake_of_a_new_user_is_told_in_words_of_the_study(tmp_path: Path, text: str, message: str) -> None:
    (said,) = problems(tmp_path, text)
    assert message in said
    assert not re.search(r"valid (list|dict|tuple)|instance of|Input|String|should|\^|list\[any\]", said)


def test_a_metric_that_only_the_default_asks_for_says_so(tmp_path: Path) -> None:
    said = problems(tmp_path, f"{FACES}generator: {{kind: dcgan}}\n")
    assert len(said) == 2
    assert all("(it is measured unless `also` says otherwise)" in line for line in said)


def test_a_margin_that_nobody_wrote_is_named(tmp_path: Path) -> None:
    (said,) = assumptions(read(tmp_path, GOOD))
    assert said.startswith("measure.margin is not given: 10% of the baseline's fid_efficientnet is taken")
    assert list(assumptions(read(tmp_path, f"{GOOD}measure: {{margin: 10%}}\n"))) == []


def test_each_kind_that_a_file_may_name_is_known_from_its_class_alone(tmp_path: Path) -> None:
    for group in ("data", "generator", "discriminator"):
        kinds = {option.model_fields["kind"].default for option in _options(Study.model_fields[group].annotation)}
        for kind in kinds - {PydanticUndefined}:
            said = problems(tmp_path, f"study: x\n{group}: {{kind: {kind}, nothing: 1}}\n")
            assert any(line.startswith(f"line 2: {group}.nothing: no such setting") for line in said), said


def test_all_problems_of_a_file_come_in_one_message_in_its_order(tmp_path: Path) -> None:
    text = "study: x\ntraining: {steps: 2e4, batch: 3}\nmeasure: {primary: fidd}\naxes: {training.lr: [1, 2]}\n"
    found = problems(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["line 2", "line 2", "line 3", "line 4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: x\nstudy: y\n", "given twice, first on line 1"),
        ("- a\n- b\n", "is not a mapping"),
        ("", "is not a mapping"),
        ("study: [x\n", "not YAML"),
        ("study: !!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        read(tmp_path, text)


def test_a_missing_file_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"none\.yaml: cannot be read"):
        read_study(tmp_path / "none.yaml")


def test_set_lays_a_yaml_value_over_the_file(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD, "training.steps=20", "discriminator={kind: zi2zi, channels: 8}")
    assert study.training.steps == 20
    assert study.discriminator.channels == 8  # type: ignore[union-attr]
    with pytest.raises(HarnessError, match=r"--set training.steps: expected dotted.path=value"):
        read(tmp_path, GOOD, "training.steps")


@pytest.mark.parametrize(
    ("level", "name"),
    [(True, "true"), (None, "none"), (1, "1"), ({"a": 1, "b": "x"}, "a=1,b=x"), ([0.5, 0.9], "0.5-0.9")],
)
def test_a_levels_name_says_its_value(level: Any, name: str) -> None:
    assert level_name(level) == name


def test_every_field_of_the_settings_is_an_axis() -> None:
    paths = axis_paths()
    assert {"training.optimizer.lr", "discriminator.blur.kernel_size", "generator.innermost", "data.holdout"} <= paths
    for group in set(TrialSettings.model_fields) - {"trial", "real"}:
        assert any(path.startswith(f"{group}.") for path in paths)


def test_a_level_of_a_group_keeps_what_it_does_not_name() -> None:
    data = {"training": {"optimizer": {"kind": "adam", "lr": 1.0, "betas": [0, 1]}}}
    put(data, "training.optimizer", {"kind": "adamw", "betas": [1, 1]})
    assert data == {"training": {"optimizer": {"kind": "adamw", "lr": 1.0, "betas": [1, 1]}}}


def test_another_kind_of_network_replaces_the_group() -> None:
    data = {"generator": {"kind": "unet", "style_channels": 8}}
    put(data, "generator", {"kind": "dcgan"})
    assert data == {"generator": {"kind": "dcgan"}}


@given(blocks=st.integers(1, 50))
def test_the_hash_depends_on_settings_and_not_on_blocks_runner_or_margin(blocks: int) -> None:
    base: dict[str, Any] = {"study": "x", "axes": {"training.batch_size": [8, 16]}}
    one = Study.model_validate(base)
    more = Study.model_validate({**base, "design": {"blocks": blocks}, "runner": {"retries": 3}})
    assert one.hash == more.hash
    assert one.hash != Study.model_validate({**base, "training": {"steps": 7}}).hash


def test_an_axis_can_be_set_for_one_call_by_its_dotted_name(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD, "axes={training.batch_size: [8, 16]}")
    assert set(study.axes) == {"discriminator.spectral_norm", "training.batch_size"}


PRESET = "study: s\npreset: zi2zi\naxes: {discriminator.norm: [batch, instance]}\n"


def test_a_preset_is_laid_under_the_settings_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"{PRESET}data: {{image_size: 32}}\ntraining: {{steps: 10, optimizer: {{lr: 5.0e-4}}}}\n")
    study = read_study(file)
    assert (study.data.image_size, study.data.augment, study.data.holdout) == (32, "zi2zi", 0.1)
    assert (study.training.optimizer.lr, study.training.schedule.kind) == (5e-4, "halving")
    file.write_text(PRESET)
    assert read_study(file).training.optimizer.lr == 1e-3


def test_a_preset_says_nothing_of_groups_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    measure = "measure: {also: []}\n"
    file.write_text(
        f"{PRESET}{measure}data: {{kind: faces}}\ngenerator: {{kind: dcgan}}\ndiscriminator: {{kind: dcgan}}\n"
    )
    study = read_study(file)
    assert study.data == FaceSettings()
    assert study.generator == DcganGeneratorSettings()
    assert study.training.optimizer.lr == 1e-3


def test_a_study_written_down_whole_is_the_same_with_or_without_the_name_of_its_preset(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"{PRESET}data: {{kind: glyphs, margin: 0.1}}\n")
    study = read_study(file)
    frozen = study.model_dump(mode="json")
    assert Study.model_validate(frozen) == study
    assert Study.model_validate({**frozen, "preset": None}).hash == study.hash


def test_an_unknown_preset_is_named_with_what_there_is(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("study: s\npreset: zizi\n")
    with pytest.raises(StudyError, match=r"preset: found 'zizi'; did you mean 'zi2zi'"):
        read_study(file)
