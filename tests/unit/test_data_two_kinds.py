"""Class folders, pix2pix's pairs, CycleGAN's two kinds: what is whose source, what is held out, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory
import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import Dataset, check_dataset, load
from harness.errors import DataError
from harness.models import build_pair
from harness.study.data_settings import ClassFolderSettings, SideBySideSettings, UnpairedSettings
from harness.study.settings import TrialSettings
from harness.trial.trainer import Trainer
from harness.trial.training import train


def plain(value: int, width: int = 24, height: int = 24) -> Image.Image:
    """One tone, so that what became of a picture can be read off it."""
    return Image.fromarray(np.full((height, width, 3), value, dtype=np.uint8))


def both(left: int, right: int, width: int = 24, height: int = 20) -> Image.Image:
    picture = Image.new("RGB", (2 * width, height))
    picture.paste(plain(left, width, height), (0, 0))
    picture.paste(plain(right, width, height), (width, 0))
    return picture


def save(picture: Image.Image, *parts: Any) -> None:
    path = Path(*map(str, parts))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def tones(images: torch.Tensor | None) -> list[int]:
    assert images is not None
    assert (images == images[:, :1, :1, :1]).all()
    return [int(x) for x in images[:, 0, 0, 0]]


def combined(root: Path, parts: tuple[str, ...] = ("",), count: int = 6) -> Path:
    for number, part in enumerate(parts):
        for i in range(count):
            save(both(10 * number + i, 100 + 10 * number + i), root, part, f"{i}.png")
    return root


def in_folders(root: Path, count: int = 6) -> Path:
    for i in range(count):
        save(plain(i), root, "A", f"{i}.png")
        save(plain(100 + i), root, "B", f"{i}.bmp")
    return root


def pix2pix(root: Path, **more: Any) -> Dataset:
    return load(SideBySideSettings(path=str(root), image_size=16, **more))


def unpaired(root: Path, **more: Any) -> Dataset:
    return load(UnpairedSettings(path=str(root), image_size=16, **more))


@pytest.mark.parametrize("layout", [combined, in_folders])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_source_keeps_its_own_target_in_both_directions(tmp_path: Path, layout: Any, channels: int) -> None:
    root = layout(tmp_path / "data")
    data, back = (pix2pix(root, direction=way, channels=channels, holdout=0.34) for way in ("AtoB", "BtoA"))
    assert data.paired
    for split in (data.train, data.heldout):
        assert split.target.shape[1:] == (channels, 16, 16)
        assert tones(split.target) == [100 + x for x in tones(split.source)]
    assert len(data.train) + len(data.heldout) == 6
    assert sorted(tones(back.train.target) + tones(back.heldout.target)) == list(range(6))
    check_dataset(data)


def test_a_test_folder_is_held_out_before_val_and_neither_is_trained_on(tmp_path: Path) -> None:
    data = pix2pix(combined(tmp_path, ("train", "test", "val")))
    assert sorted(tones(data.train.source)) == list(range(6))
    assert sorted(tones(data.heldout.source)) == list(range(10, 16))


def test_equal_sources_are_held_out_together(tmp_path: Path) -> None:
    for i in range(12):
        save(both(i // 3, 100 + i), tmp_path, f"{i}.png")
    data = pix2pix(tmp_path, holdout=0.3)
    assert not set(tones(data.train.source)) & set(tones(data.heldout.source))


@pytest.mark.parametrize("test", [True, False])
def test_two_kinds_are_drawn_in_orders_of_their_own_and_held_out_apart(tmp_path: Path, test: bool) -> None:
    for i in range(9):
        save(plain(i), tmp_path, "trainA", f"{i}.png")
    for i in range(4):
        save(plain(100 + i, 30, 20), tmp_path, "trainB", f"{i}.png")
        if test:
            save(plain(50 + i), tmp_path, "testA", f"{i}.png")
            save(plain(150 + i), tmp_path, "testB", f"{i}.png")
    data = unpaired(tmp_path, holdout=0.5)
    assert data.sourced
    assert not data.paired
    sources, targets = (tones(x) for x in (data.train.source, data.train.target))
    if test:
        assert sorted(sources) == list(range(9))
        assert {targets.count(100 + i) for i in range(4)} == {2, 3}
        assert sorted(tones(data.heldout.source)) == list(range(50, 54))
    assert not set(sources) & set(tones(data.heldout.source))
    assert not set(targets) & set(tones(data.heldout.target))
    check_dataset(data)


def test_a_training_on_two_kinds_pairs_them_anew_and_has_no_l1(tmp_path: Path) -> None:
    s: TrialSettings = factory.settings(
        data={"kind": "unpaired", "path": str(tmp_path), "channels": 1}, training={"steps": 3, "batch_size": 4}
    )
    for i in range(12):
        save(plain(i), tmp_path, "A", f"{i}.png")
        save(plain(100 + i), tmp_path, "B", f"{i}.png")
    data = load(s.data, tmp_path / ".cache")
    assert load(s.data, tmp_path / ".cache").hash == data.hash
    trainer = Trainer(build_pair(s, styles=1, block="0"), s, data.train, block="0")
    met = set()
    for index in range(12):
        conditions, real = trainer.batch(index, str(index))
        assert conditions.source is not None
        levels = zip(conditions.source[:, 0, 0, 0].tolist(), real[:, 0, 0, 0].tolist(), strict=True)
        met |= {tuple(round((x + 1) * 127.5) for x in pair) for pair in levels}
    assert len(met) > len(data.train) * 2
    assert all("loss_l1" not in progress.signals for progress in train(trainer))


def test_each_sub_folder_is_a_class(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "bird", "ant")):
        for i in range(8):
            save(plain(10 * number + i), tmp_path, name, "deep" if i % 2 else "", f"{i}.png")
    data = load(ClassFolderSettings(path=str(tmp_path), image_size=16, channels=1))
    assert data.styles == ("ant", "bird", "cat")
    for split in (data.train, data.heldout):
        found = [2 - tone // 10 for tone in tones(split.target)]
        assert found == split.style.tolist()
        assert [label.partition("/")[0] for label in split.labels] == [data.styles[i] for i in found]
    assert len(data.train) + len(data.heldout) == 24
    assert len(data.heldout) == 5
    check_dataset(data)


def odd(root: Path) -> None:
    combined(root)
    save(plain(7, 25, 10), root, "odd.png")


def alone(root: Path) -> None:
    in_folders(root)
    save(plain(7), root, "A", "alone.png")


def twice(root: Path) -> None:
    combined(root, ("train",))
    save(both(0, 100), root, "test", "x.png")
    save(both(80, 180), root, "test", "y.png")


def broken(root: Path) -> None:
    combined(root)
    (root / "bad.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (lambda root: root.mkdir(exist_ok=True), "no pictures in it or below"),
        (odd, r"1 picture cannot be used: .*odd\.png \(25 x 10 has no two equal halves\)"),
        (alone, "1 names are in A or in B alone, such as alone"),
        (twice, "1 of 2 items are in training too"),
        (broken, r"1 picture cannot be used: .*bad\.png \(no image in a known format\)"),
    ],
)
def test_pairs_that_are_none_are_refused(tmp_path: Path, layout: Any, message: str) -> None:
    layout(tmp_path)
    with pytest.raises(DataError, match=message):
        pix2pix(tmp_path)


def test_kinds_and_classes_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder A or B; trainA and trainB, or A and B, are needed"):
        unpaired(tmp_path)
    save(plain(1), tmp_path, "A", "1.png")
    with pytest.raises(DataError, match="1 sub-folders; data of kind classes has one for each class"):
        load(ClassFolderSettings(path=str(tmp_path)))
    (tmp_path / "B").mkdir()
    with pytest.raises(DataError, match="no pictures in B"):
        load(ClassFolderSettings(path=str(tmp_path)))
    for part in ("trainA", "trainB", "testA", "testB"):
        for i in range(3):
            save(plain(i), tmp_path, part, f"{i}.png")
    with pytest.raises(DataError, match="testA: 3 pictures are in trainA too"):
        unpaired(tmp_path)
