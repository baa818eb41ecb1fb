from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import factory
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.data import Dataset, load
from harness.errors import DataError, HarnessError, StudyError
from harness.study.data_settings import GlyphSettings
from harness.study.measure_settings import MeasureSettings
from harness.study.reading import read_study
from harness.trial.measured_items import MeasuredItems, measured_items

LETTERS = "abdefghijklmnopqrtuvxyzABCDEFGH"
FONTS = ("DejaVuSerif", "DejaVuSansMono")


def items(data: Dataset) -> set[bytes]:
    return {target.numpy().tobytes() for target in data.train.target}


@given(small=st.integers(16, 24), more=st.integers(0, 10))
def test_fewer_items_are_among_more_and_what_is_held_out_stays(small: int, more: int) -> None:
    whole = factory.dataset(paired=False)
    less, larger = whole.limited(small), whole.limited(small + more)
    assert len(less.train) == small
    assert items(less) <= items(larger) <= items(whole)
    assert less.same_heldout(whole)
    assert (less.draws, less.hash == whole.hash) == (whole.hash, small == 24)


def test_the_choice_depends_on_content_and_not_on_order() -> None:
    whole = factory.dataset()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(5))
    assert whole.train.source is not None
    shuffled = replace(
        whole.train,
        target=whole.train.target[order],
        source=whole.train.source[order],
        style=whole.train.style[order],
        labels=tuple(whole.train.labels[i] for i in order.tolist()),
    )
    again = Dataset.of(shuffled, whole.heldout, whole.styles)
    assert items(again.limited(9)) == items(whole.limited(9))


def test_all_styles_of_a_character_come_together() -> None:
    data = load(GlyphSettings(targets=FONTS, characters=LETTERS, image_size=16, limit=10))
    assert len(data.train) == 10
    assert sorted(data.train.labels[::2]) == sorted(data.train.labels[1::2])
    assert data.train.style.tolist() == [0, 1] * 5


def test_a_style_without_an_item_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.limit: 1 items leave none of style\d, style\d to train on; take more"):
        factory.dataset().limited(1)


def test_arms_with_other_limits_are_measured_on_the_same_items_and_latents() -> None:
    whole = factory.dataset(paired=False)
    a, b = (measured_items(data, MeasureSettings(images=7), 5) for data in (whole, whole.limited(9)))
    assert torch.equal(a.real, b.real)
    assert a.labels == b.labels
    assert a.conditions.latent is not None
    assert b.conditions.latent is not None
    assert torch.equal(a.conditions.latent, b.conditions.latent)


def test_samples_can_be_more_than_the_held_out_items() -> None:
    found: MeasuredItems = measured_items(factory.dataset(paired=False), MeasureSettings(generated=100), 5)
    assert found.conditions.latent is not None
    assert found.conditions.latent.shape == (100, 5)
    assert found.conditions.batch == len(found.labels) == 100
    assert len(found.real) == 12
    with pytest.raises(HarnessError, match="each held-out source gives one generated image"):
        measured_items(factory.dataset(), MeasureSettings(generated=100), None)


def write(folder: Path, **study: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"study": "x", "axes": {"training.optimizer.lr": [1e-4, 1e-3]}, **study}))
    return path


@pytest.mark.parametrize(
    ("axis", "levels"),
    [
        ("data.holdout", [0.05, 0.4]),
        ("data.image_size", [16, 32]),
        ("data.targets", [["DejaVuSerif"], ["DejaVuSans-Bold"]]),
        ("data", {"a": {"holdout": 0.1}, "b": {"holdout": 0.2}}),
    ],
)
def test_an_axis_that_moves_the_held_out_images_is_refused(tmp_path: Path, axis: str, levels: Any) -> None:
    with pytest.raises(StudyError, match=r"its levels hold out different images.*data\.limit"):
        read_study(write(tmp_path, axes={axis: levels}))


def test_what_changes_the_training_alone_is_an_axis(tmp_path: Path) -> None:
    axes = {"data.limit": [None, 8], "data.augment": ["none", "zi2zi"], "data": {"a": {}, "b": {"limit": 4}}}
    for axis, levels in axes.items():
        read_study(write(tmp_path, axes={axis: levels}))


def test_a_limit_that_takes_from_the_held_out_images_is_no_axis(tmp_path: Path) -> None:
    data = {"kind": "images", "path": "x"}
    with pytest.raises(StudyError, match="hold out different images"):
        read_study(write(tmp_path, data=data, axes={"data.limit": [100, 200]}, measure={"also": []}))


def test_samples_without_pairs_only(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"measure\.generated: each held-out source gives one generated image"):
        read_study(write(tmp_path, measure={"generated": 1000}))
    kinds = {"data": {"kind": "faces"}, "generator": {"kind": "dcgan"}, "discriminator": {"kind": "dcgan"}}
    study = read_study(write(tmp_path, **kinds, measure={"generated": 1000, "also": []}))
    assert study.measure.generated == 1000
