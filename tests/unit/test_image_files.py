from __future__ import annotations

import contextlib
import io
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

import harness
from harness.data import load
from harness.errors import DataError
from harness.metrics.read_images import read_pictures
from harness.results.store import Store
from harness.study.data_settings import ImageFolderSettings, ImagePairSettings

ROOT = Path(harness.__file__).parent
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program named `gs` that leaves a mark when it is started."""
    mark = tmp_path / "ghostscript was here"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return mark


def png(size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 100, 50)).save(stream, "PNG")
    return stream.getvalue()


def folder_with(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"0_{number}.png").write_bytes(png((16, 8)))
    (folder / name).write_bytes(content)
    return folder


def strip_of(folder: Path) -> object:
    from harness.dashboard.trial_picture import strip

    return strip(Store(folder.parent), "0_9")


def shown_in_a_report(folder: Path) -> object:
    from harness.report.samples import _strip

    return _strip("arm", "", folder / "0_9.png")


OPENED_BY = {
    "score": read_pictures,
    "images": lambda folder: load(ImageFolderSettings(path=str(folder), image_size=8)),
    "pairs": lambda folder: load(ImagePairSettings(path=str(folder), image_size=8)),
    "dashboard": strip_of,
    "report": shown_in_a_report,
}
FOLDERS = ("score", "images", "pairs")


@pytest.mark.parametrize("reader", OPENED_BY)
def test_postscript_that_is_called_png_starts_no_program(reader, ghostscript, tmp_path):
    folder = folder_with(tmp_path / "study" / "samples", "0_9.png", POSTSCRIPT)
    refused = pytest.raises(DataError, match=r"0_9\.png") if reader in FOLDERS else contextlib.nullcontext()
    with refused:
        OPENED_BY[reader](folder)
    assert not ghostscript.exists()


def test_images_are_opened_in_one_place():
    opening = re.compile(r"\bImage\.open\b|\bimread\b|\btorchvision\.io\b|from PIL\.Image import .*\bopen\b")
    assert [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if opening.search(path.read_text())] == [
        "image_files.py"
    ]


@pytest.mark.parametrize("reader", FOLDERS)
def test_a_pipe_among_images_is_named_and_not_waited_for(reader, tmp_path):
    folder = folder_with(tmp_path / "samples", "0_9.png", png((16, 8)))
    os.mkfifo(folder / "0_8.png")
    with pytest.raises(DataError, match=r"0_8\.png.*not a regular file"):
        OPENED_BY[reader](folder)


@pytest.mark.parametrize("reader", ["dashboard", "report"])
def test_a_pipe_in_place_of_a_strip_is_no_picture(reader, tmp_path):
    folder = folder_with(tmp_path / "samples", "0_8.png", png())
    os.mkfifo(folder / "0_9.png")
    OPENED_BY[reader](folder)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright_as_their_camera_says(orientation, tmp_path):
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8))
    undo = {
        1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4,
    }[orientation]  # fmt: skip
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    folder = tmp_path / "photos"
    folder.mkdir()
    stored.save(folder / "a.png", exif=exif)
    assert np.array_equal(read_pictures(folder).arrays[0], np.asarray(upright))


def test_a_jpeg_of_endless_scans_is_given_up_in_time(tmp_path, monkeypatch):
    from harness import image_files

    monkeypatch.setattr(image_files, "SECONDS", 0.5)
    start = time.thread_time()
    with pytest.raises(DataError, match=r"0\.5 seconds"):
        image_files.decode(endless_jpeg(), "x.jpg")
    assert time.thread_time() - start < 5


def endless_jpeg(scans: int = 4000) -> bytes:
    """A progressive JPEG of 4000 x 4000 whose last scan, which changes nothing, is repeated."""
    stream = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]
