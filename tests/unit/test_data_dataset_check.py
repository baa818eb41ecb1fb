from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import factory
import pytest
import torch

from harness.data import Dataset, Split, check_dataset, load
from harness.errors import DataError, HarnessError
from harness.study.data_settings import CustomDataSettings, FaceSettings, GlyphSettings


def broken(**changes: object) -> Dataset:
    good = factory.dataset()
    return Dataset.of(replace(good.train, **changes), good.heldout, good.styles)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (broken(source=None), "source: in one split only"),
        (broken(style=torch.full((24,), 3)), r"train\.style: 3 to 3; 0 to 2"),
        (broken(style=torch.full((24,), -1)), r"train\.style: -1"),
        (broken(style=torch.zeros(24)), r"train\.style: a float32 tensor"),
        (broken(style=torch.zeros(5, dtype=torch.int64)), r"train\.style: a int64 tensor \(5,\)"),
        (broken(target=torch.zeros(24, 1, 16, 16)), r"train\.target: a float32 tensor"),
        (broken(target=torch.zeros(24, 16, 16, dtype=torch.uint8)), r"train\.target: \(24, 16, 16\)"),
        (broken(target=torch.zeros(24, 2, 16, 16, dtype=torch.uint8)), r"1 or 3 channels"),
        (broken(source=torch.zeros(24, 3, 16, 16, dtype=torch.uint8)), r"train\.source: \(24, 3, 16, 16\)"),
        (broken(source=torch.zeros(24, 1, 16, 16)), r"train\.source: a float32"),
        (broken(labels=("a",)), r"train\.labels: not a tuple of 24"),
        (replace(factory.dataset(), hash="0" * 64), "hash: not the hash of the content"),
        (replace(factory.dataset(), styles=("a", "a", "b")), "a name comes twice"),
        (replace(factory.dataset(), styles=()), "styles: not a tuple"),
        (Dataset.of(factory.split(), factory.split(), ("a", "b", "c")), "24 of 24 items are in training"),
        (
            Dataset.of(factory.split(), factory.split(count=0, seed=1), ("a", "b", "c")),
            r"heldout\.target: \(0, 1, 16, 16\)",
        ),
        (
            Dataset.of(factory.split(), factory.split(size=8, seed=1), ("a", "b", "c")),
            r"heldout\.target: \(24, 1, 8, 8\)",
        ),
    ],
)
def test_each_broken_promise_is_named(dataset, message):
    with pytest.raises(DataError, match=message):
        check_dataset(dataset)


def test_all_problems_come_in_one_message():
    with pytest.raises(DataError, match="2 problems"):
        check_dataset(broken(style=torch.zeros(24), labels=()))


def test_sound_data_sets_pass():
    for dataset in (factory.dataset(), factory.dataset(paired=False, channels=3), load(FaceSettings())):
        check_dataset(dataset)


def test_the_hash_sees_pixels_styles_labels_and_split_and_no_notes():
    good = factory.dataset()
    pixel = good.train.target.clone()
    pixel[3, 0, 5, 5] += 1
    source = good.train.source.clone()
    source[0, 0, 0, 0] += 1
    others = [
        broken(target=pixel),
        broken(source=source),
        broken(style=(good.train.style + 1) % 3),
        broken(labels=good.train.labels[::-1]),
        Dataset.of(good.train, good.heldout, ("a", "b", "c")),
        Dataset.of(good.heldout, good.train, good.styles),
        Dataset.of(good.train, good.train, good.styles),
    ]
    assert len({good.hash, *(other.hash for other in others)}) == 8
    assert Dataset.of(good.train, good.heldout, good.styles, ("a note",)).hash == good.hash


MODULE = '''
import torch
from harness.data import Dataset, Split

def dots(*, image_size, channels, holdout, count=20):
    """White images with one black dot each."""
    images = torch.full((count, channels, image_size, image_size), 255, dtype=torch.uint8)
    images[torch.arange(count), :, torch.arange(count) // image_size, torch.arange(count) % image_size] = 0
    held = round(count * holdout)
    part = lambda chosen: Split(images[chosen], None, torch.zeros(len(images[chosen]), dtype=torch.int64),
                                tuple(str(i) for i in range(count))[chosen])
    return Dataset.of(part(slice(held, None)), part(slice(None, held)), ("dots",))

def small(**_):
    return dots(image_size=8, channels=1, holdout=0.5)

def nothing(**_):
    return None
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owndata.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "owndata", raising=False)


@pytest.mark.usefixtures("own")
def test_a_users_own_function_gets_its_options_and_the_common_settings():
    dataset = load(
        CustomDataSettings(kind="owndata:dots", image_size=32, channels=3, holdout=0.25, options={"count": 40})
    )
    assert dataset.train.target.shape == (30, 3, 32, 32)
    assert len(dataset.heldout) == 10


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("owndata:small", {}, r"^owndata:small: 1 problem.*\n.*8 px; image_size is 32"),
        ("owndata:nothing", {}, "owndata:nothing, called with .*: returned a NoneType"),
        ("owndata:none", {}, "has no 'none'"),
        ("nodata:dots", {}, "no module named 'nodata'"),
        ("owndata:dots", {"holdout": 0.3}, r"data\.options: holdout"),
    ],
)
def test_what_is_wrong_with_a_users_own_data_opens_with_its_door(kind, options, message):
    with pytest.raises(HarnessError, match=message):
        load(CustomDataSettings(kind=kind, options=options))


def test_splits_know_their_length_and_data_sets_their_shape():
    dataset = load(GlyphSettings(characters="abc", image_size=16, channels=3))
    assert (len(dataset.train), len(dataset.heldout), dataset.image_size, dataset.channels) == (2, 1, 16, 3)
    assert dataset.paired
    assert isinstance(dataset.train, Split)


def test_the_example_of_the_documentation_runs_and_keeps_the_contract(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = [block.removeprefix("python\n") for block in text.split("```")[1::2] if block.startswith("python\n")]
    (tmp_path / "documented.py").write_text("\n".join(blocks))
    monkeypatch.syspath_prepend(str(tmp_path))
    dataset = load(CustomDataSettings(kind="documented:bars", image_size=16, options={"count": 60}, holdout=0.25))
    assert (len(dataset.train), len(dataset.heldout)) == (45, 15)
    __import__("documented").test_my_data_keeps_the_contract()
