from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import factory
import numpy as np
import pytest
import torch

from harness.data import Dataset, load
from harness.data.dataset_cache import cached, key_of
from harness.errors import DataError
from harness.study.data_settings import GlyphSettings, ImageFolderSettings
from tests.unit.test_data_image_folders import celeba

ROOT = Path(__file__).parents[2]
SMALL = GlyphSettings(characters="abcdefgh", image_size=16)


def never() -> Dataset:
    raise AssertionError("made again")


def equal(a: Dataset, b: Dataset) -> bool:
    return (a.hash, a.styles, a.notes, a.train.labels, a.heldout.labels) == (
        b.hash, b.styles, b.notes, b.train.labels, b.heldout.labels
    ) and all(
        torch.equal(getattr(getattr(a, split), field), getattr(getattr(b, split), field))
        for split in ("train", "heldout") for field in ("target", "style")
    )  # fmt: skip


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_stored_is_what_comes_back(tmp_path, paired):
    dataset = factory.dataset(paired=paired)
    cached(tmp_path, "key", lambda: dataset)
    again = cached(tmp_path, "key", never)
    assert equal(again, dataset)
    assert (again.train.source is None) == (not paired)


def test_no_folder_stores_nothing_and_one_file_is_all_there_is(tmp_path):
    load(SMALL)
    load(SMALL, tmp_path / "new" / "cache")
    assert [path.suffix for path in (tmp_path / "new" / "cache").iterdir()] == [".npz"]


def test_a_file_damaged_in_any_way_is_made_again(tmp_path):
    dataset = load(SMALL, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", b"text", whole[: len(whole) // 2], bytes(flipped), whole[:-1], b"PK\x03\x04" + bytes(100)):
        path.write_bytes(damaged)
        assert equal(load(SMALL, tmp_path), dataset)
        assert path.read_bytes() == whole
    path.unlink()
    assert equal(load(SMALL, tmp_path), dataset)


def test_a_sound_file_with_other_content_than_its_hash_is_made_again(tmp_path):
    dataset = load(SMALL, tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["train_target"] = 255 - arrays["train_target"]
    np.savez(path, **arrays)
    assert equal(load(SMALL, tmp_path), dataset)


def test_a_pickle_in_a_cache_file_is_not_run(tmp_path):
    dataset = load(SMALL, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    np.savez(path, meta=np.array([Evil()], dtype=object), allow_pickle=True)
    assert equal(load(SMALL, tmp_path / "cache"), dataset)
    assert not (tmp_path / "made").exists()


def test_settings_that_leave_the_pixels_alone_share_a_file(tmp_path):
    load(SMALL, tmp_path)
    load(SMALL.model_copy(update={"augment": "zi2zi"}), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for update in ({"margin": 0.1}, {"holdout": 0.4}, {"image_size": 32}, {"channels": 3}, {"characters": "abcdefg"}):
        load(SMALL.model_copy(update=update), tmp_path)
    load(SMALL.model_copy(update={"targets": ("DejaVuSans-Bold",)}), tmp_path)
    assert len(list(tmp_path.iterdir())) == 7


def test_a_font_that_changed_under_its_path_is_drawn_again(tmp_path):
    from harness.data.fonts import shipped_fonts

    font = tmp_path / "font.ttf"
    hashes = []
    for name in ("DejaVuSerif", "DejaVuSerif-Bold"):
        shutil.copy(shipped_fonts()[name], font)
        hashes.append(load(GlyphSettings(characters="abcd", targets=(str(font),)), tmp_path / "cache").hash)
    assert hashes[0] != hashes[1]


def test_a_picture_that_changed_or_went_is_seen(tmp_path):
    settings = ImageFolderSettings(path=str(celeba(tmp_path / "a")), image_size=16)
    first = load(settings, tmp_path / "cache")
    assert load(settings, tmp_path / "cache").hash == first.hash
    (tmp_path / "a" / "img_align_celeba" / "000001.jpg").unlink()
    assert load(settings, tmp_path / "cache").hash != first.hash


def test_a_moved_folder_keeps_its_cache(tmp_path):
    load(ImageFolderSettings(path=str(celeba(tmp_path / "a")), image_size=16), tmp_path / "cache")
    (tmp_path / "a").rename(tmp_path / "b")
    load(ImageFolderSettings(path=str(tmp_path / "b"), image_size=16), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.slow
def test_several_processes_at_once_leave_one_sound_file(tmp_path):
    program = (
        "import sys, pathlib; from harness.data import load; from harness.study.settings import Glyphs; "
        "print(load(Glyphs(characters='abcdefgh', image_size=16), pathlib.Path(sys.argv[1])).hash)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(3)
    ]
    hashes = {process.communicate(timeout=120)[0].strip() for process in started}
    assert hashes == {load(SMALL).hash}
    (path,) = tmp_path.iterdir()
    assert zipfile.ZipFile(path).testzip() is None


def test_a_folder_that_is_a_file_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot store the data set"):
        load(SMALL, tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_keys_tell_parts_apart():
    keys = [key_of(a=1), key_of(a="1"), key_of(b=1), key_of(a=[1]), key_of(a=1, b=None)]
    assert len(set(keys)) == 5
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len(json.dumps(keys[0])) == 66
