from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
from pathlib import Path

import pytest
from PIL import Image

from harness.data import load
from harness.data.obj import MAX_OPCODES, MAX_PICTURE, read_obj
from harness.errors import DataError
from harness.study.data_settings import ImagePairSettings


def picture(shade: int = 0, size: int = 16) -> bytes:
    image = Image.new("L", (2 * size, size), 255)
    image.paste(shade, (2, 2, 6, 10))
    image.paste(shade // 2, (size + 1, 3, size + 9, 9))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


class Evil:
    """Pickles into a call of `os.mkdir`: visible when it was run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Persistent(pickle.Pickler):
    def persistent_id(self, obj):
        return "id" if obj == "who" else None


def refused(tmp_path: Path, data: bytes, found: str, offset: int | None = None) -> None:
    path = tmp_path / "train.obj"
    path.write_bytes(data)
    where = rf"train\.obj: byte {'[0-9]+' if offset is None else offset}: .*{found}"
    with pytest.raises(DataError, match=where):
        list(read_obj(path))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("label", [0, 1, 255, 256, 65535, 65536, 2**31 - 1])
@pytest.mark.parametrize("length", [0, 1, 255, 256, 70_000])
def test_what_python_pickles_is_what_is_read(tmp_path, protocol, label, length):
    pairs = [(label, bytes(length)), (3, b"next")]
    path = tmp_path / "train.obj"
    with path.open("wb") as file:
        for pair in pairs:
            pickle.dump(pair, file, protocol=protocol)
    records = list(read_obj(path))
    assert [(record.label, record.picture) for record in records] == pairs
    assert records[1].offset == len(pickle.dumps(pairs[0], protocol=protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path, protocol):
    made = tmp_path / "made by the pickle"
    for payload in (Evil(made), (1, Evil(made)), (Evil(made), b"x")):
        good = pickle.dumps((1, b"good"), protocol=3)
        refused(tmp_path, good + pickle.dumps(payload, protocol=protocol), "opcode")
        assert not made.exists()
    pickle.loads(pickle.dumps(Evil(made), protocol=protocol))
    assert made.exists(), "the payload would not have shown itself"


def test_the_message_names_the_opcode_and_its_offset(tmp_path):
    good = pickle.dumps((1, b"good"), protocol=3)
    refused(tmp_path, good + b"\x80\x03cos\nsystem\n(S'id'\ntR.", "opcode GLOBAL", len(good) + 2)
    refused(tmp_path, b"\x80\x02K\x01(i", "opcode MARK", 4)


def test_persistent_ids_extensions_and_out_of_band_buffers_are_refused(tmp_path):
    stream = io.BytesIO()
    Persistent(stream, protocol=3).dump((1, "who"))
    refused(tmp_path, stream.getvalue(), "opcode")
    refused(tmp_path, b"\x80\x03K\x01Pid\n.", "opcode PERSID", 4)
    refused(tmp_path, b"\x80\x03K\x01\x82\x01.", "opcode EXT1", 4)
    refused(tmp_path, b"\x80\x05K\x01\x97.", "opcode NEXT_BUFFER", 4)
    refused(tmp_path, pickle.dumps((1, bytearray(b"x")), protocol=5), "opcode BYTEARRAY8")


@pytest.mark.parametrize(
    "value",
    [
        "text", 1.5, None, True, b"bytes", 7, [1, b"x"], {1: b"x"}, {1}, (1,), (b"x", 1), (1, "x"), (1, 2),
        (b"x", b"y"),
        (1, b"x", 2), ((1, b"x"),), (1, (1, b"x")), (True, b"x"), (), collections.OrderedDict(a=1), 2**80,
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_that_is_no_pair_of_an_int_and_bytes_is_refused(tmp_path, value, protocol):
    refused(tmp_path, pickle.dumps(value, protocol=protocol), "")


@pytest.mark.parametrize("label", [-1, 2**31, 2**62, -(2**62)])
def test_labels_out_of_range_are_refused(tmp_path, label):
    refused(tmp_path, pickle.dumps((label, b"x"), protocol=3), "label")


def test_every_opcode_but_a_handful_is_refused_at_every_place(tmp_path):
    used = {"PROTO", "FRAME", "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
            "TUPLE2", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"}  # fmt: skip
    for opcode in pickletools.opcodes:
        if opcode.name in used:
            continue
        for before in (b"", b"K\x01", b"K\x01C\x01x", b"K\x01C\x01x\x86"):
            data = b"\x80\x03" + before + opcode.code.encode("latin-1") + b"\x00" * 16 + b"."
            refused(tmp_path, data, f"opcode {opcode.name}", 2 + len(before))


def test_a_file_cut_off_anywhere_inside_a_pair_is_refused(tmp_path):
    for protocol in (3, 4):
        whole = pickle.dumps((300, b"0123456789" * 40), protocol=protocol)
        for length in [*range(1, 40), len(whole) - 1]:
            refused(tmp_path, whole[:length], "")


def test_lengths_beyond_the_file_or_the_limit_reserve_no_memory(tmp_path):
    for length, code in ((2**32 - 1, b"B"), (2**63, b"\x8e"), (2**64 - 1, b"\x8e")):
        width = 4 if code == b"B" else 8
        refused(tmp_path, b"\x80\x04K\x01" + code + length.to_bytes(width, "little") + b"x", str(length), 4)
    refused(tmp_path, b"\x80\x04\x95" + b"\xff" * 8 + b"K\x01.", "length", 2)
    refused(tmp_path, b"\x80\x04\x8a\xff" + b"\x01" * 300, "length", 2)
    path = tmp_path / "sparse.obj"
    with path.open("wb") as file:
        file.write(b"\x80\x04K\x01B" + (MAX_PICTURE + 1).to_bytes(4, "little"))
        file.truncate(4 * MAX_PICTURE)
    with pytest.raises(DataError, match="limit"):
        list(read_obj(path))


def test_memo_bombs_and_endless_padding_are_refused(tmp_path):
    doubling = b"\x80\x04]\x94" + b"h\x00h\x00\x86\x94" * 30 + b"."
    refused(tmp_path, doubling, "opcode EMPTY_LIST", 2)
    refused(tmp_path, b"\x80\x04K\x01\x94h\x00\x86.", "opcode BINGET", 5)
    refused(tmp_path, b"\x80\x04K\x01" + b"\x94" * 10_000, f"more than {MAX_OPCODES} opcodes")


@pytest.mark.parametrize(
    "data", [b"no pickle at all", b"(lp0\nI1\na.", b"\x80\x09K\x01.", b"\x1f\x8b\x08zipped", b"\x00"]
)
def test_files_that_are_no_pickles_are_refused(tmp_path, data):
    refused(tmp_path, data, "", 0)


def test_a_missing_file_a_folder_and_a_pipe_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.obj")
    for path in (tmp_path / "none.obj", tmp_path, tmp_path / "pipe.obj"):
        with pytest.raises(DataError, match="no such file"):
            list(read_obj(path))


def test_pictures_in_an_obj_file_are_pairs_and_val_obj_is_the_hold_out(tmp_path):
    for name, labels in (("train.obj", (7, 7, 9, 9)), ("val.obj", (9, 7))):
        with (tmp_path / name).open("wb") as file:
            for number, label in enumerate(labels):
                pickle.dump((label, picture(20 * number + (5 if name == "val.obj" else 0))), file)
    for path in (tmp_path, tmp_path / "train.obj"):
        dataset = load(ImagePairSettings(path=str(path), image_size=16))
        assert dataset.styles == ("7", "9")
        assert (len(dataset.train), len(dataset.heldout)) == (4, 2)
        assert set(dataset.heldout.labels) == {"9_00000", "7_00001"}
        assert sorted(dataset.train.style.tolist()) == [0, 0, 1, 1]


def test_a_character_of_val_obj_that_is_trained_on_is_told(tmp_path):
    for name, labels in (("train.obj", (1, 2, 2)), ("val.obj", (1,))):
        with (tmp_path / name).open("wb") as file:
            for number, label in enumerate(labels):
                pickle.dump((label, picture(40 * number)), file)
    assert any("1 of the 1 held-out characters" in note for note in load(ImagePairSettings(path=str(tmp_path))).notes)


def test_a_broken_picture_is_named_with_its_number_and_offset(tmp_path):
    first = pickle.dumps((0, picture()))
    (tmp_path / "train.obj").write_bytes(first + pickle.dumps((0, picture()[:60])))
    with pytest.raises(DataError, match=rf"pair 1 at byte {len(first)}: cannot be read"):
        load(ImagePairSettings(path=str(tmp_path)))


def test_an_empty_train_obj_and_an_unknown_style_in_val_obj_are_told(tmp_path):
    (tmp_path / "train.obj").write_bytes(b"")
    (tmp_path / "val.obj").write_bytes(pickle.dumps((4, picture())))
    with pytest.raises(DataError, match=r"train\.obj is empty"):
        load(ImagePairSettings(path=str(tmp_path)))
    (tmp_path / "train.obj").write_bytes(pickle.dumps((3, picture())))
    with pytest.raises(DataError, match=r"held-out labels \[4\]"):
        load(ImagePairSettings(path=str(tmp_path)))
