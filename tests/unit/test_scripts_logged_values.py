"""What commands log, in every form, and TensorBoard's event files without TensorBoard."""

from __future__ import annotations

import base64
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scripts.event_files import scalars
from harness.scripts.logged_values import Log, NoValues, read_log
from harness.study.command import ValuesSettings

JSON_LINES = '{"step": 10, "val": {"l1": 0.5}, "time": 3}\n{"step": 20, "val": {"l1": 0.25}}\n{"step": 30, "va'
FORMS = {
    "log.jsonl": JSON_LINES,
    "log.json": '[\n {"step": 10, "val/l1": 0.5},\n {"step": 20, "val/l1": 0.25}\n]',
    "log.csv": "step, val/l1\n10,0.5\n20,0.25\n",
    "log.tsv": "step\tval/l1\n10\t0.5\n20\t0.25\n",
}


def read(folder: Path, name: str, text: str, **settings: object) -> Log:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_log(ValuesSettings.model_validate({"file": name, **settings}), file)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_log_gives_the_same_values(tmp_path: Path, name: str) -> None:
    log = read(tmp_path, name, FORMS[name])
    assert (log.final("val/l1", None), log.final("val/l1", 10)) == (0.25, 0.5)
    assert log.signals(None) == ({"step": 10, "val/l1": 0.5}, {"step": 20, "val/l1": 0.25})
    assert log.signals(15) == ({"step": 10, "val/l1": 0.5},)
    with pytest.raises(NoValues, match=r"no value 'val/l2'; did you mean 'val/l1'"):
        log.final("val/l2", None)
    with pytest.raises(NoValues, match="no value 'val/l1' at step 15; the last are at 10, 20"):
        log.final("val/l1", 15)


def test_a_pattern_reads_what_is_printed(tmp_path: Path) -> None:
    printed = "loading\nstep 10: l1 5e-1\nnoise l1\nstep 20: l1 nan\n"
    log = read(tmp_path, "printed.txt", printed, pattern=r"step (?P<step>\d+): l1 (?P<l1>\S+)")
    assert log.final("l1", 10) == 0.5
    assert math.isnan(log.final("l1", None))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("log.jsonl", "", "holds no values"),
        ("log.jsonl", "banana\n{}\n", "cannot be read as values .*line 1"),
        ("events.out.tfevents.1", "banana, and more of it", "it is no event file"),
    ],
)
def test_a_log_that_cannot_be_read_says_so(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(NoValues, match=message):
        read(tmp_path, name, text)


def test_a_log_that_is_not_there_names_what_is(tmp_path: Path) -> None:
    (tmp_path / "metric.jsonl").touch()
    with pytest.raises(NoValues, match=r"was not written; did you mean 'metric.jsonl'"):
        read_log(ValuesSettings(file="x"), tmp_path / "metrics.jsonl")


def varint(number: int) -> bytes:
    more, rest = number >> 7, number & 0x7F
    return bytes([rest | 0x80]) + varint(more) if more else bytes([rest])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(step: int, value: bytes) -> bytes:
    """Return an event as TensorBoard writes it; checksums, which are not read, are left at 0."""
    event = b"\x09" + struct.pack("<d", 1.5) + b"\x10" + varint(step) + field(5, field(1, value))
    return struct.pack("<QI", len(event), 0) + event + struct.pack("<I", 0)


def simple(tag: str, value: float) -> bytes:
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, value: float) -> bytes:
    """Return a value as TensorFlow 2 writes it: a float tensor of no dimension, its content as bytes."""
    return field(1, tag.encode()) + field(8, b"\x08\x01" + field(4, struct.pack("<f", value)))


def test_event_files_give_their_scalars_by_step(tmp_path: Path) -> None:
    content = record(300, simple("val/l1", 0.5)) + record(70_000, tensor("val/l1", 0.25)) + record(1, field(1, b"text"))
    file = tmp_path / "run" / "events.out.tfevents.17.host"
    file.parent.mkdir()
    file.write_bytes(content + record(2, simple("cut", 1.0))[:-20])
    assert list(scalars(file)) == [{"step": 300.0, "val/l1": 0.5}, {"step": 70_000.0, "val/l1": 0.25}]
    assert read_log(ValuesSettings(file="x"), tmp_path).final("val/l1", None) == 0.25


WRITTEN = (
    "SAAAAAAAAAD+kkidCcna4ptpwdpBGg1icmFpbi5FdmVudDoyUi4KLHRlbnNvcmJvYXJkLnN1bW1hcnkud3JpdGVyLmV2ZW50X2ZpbGVfd3JpdGVy"
    "CSV2Bx0AAAAAAAAAYC/fIwlM5eKbacHaQRCsAioPCg0KBnZhbC9sMRUAAAA/HSTbFDAAAAAAAAAAlfXQXwkz5uKbacHaQRDwogQqIQofCgZ2YWwv"
    "bDFCCAgBKgQAAIA+SgsKCQoHc2NhbGFyczydB9w7AAAAAAAAABojrFwJ9ubim2nB2kEqMAouChFub3RlL3RleHRfc3VtbWFyeUIPCAcSBBICCAFC"
    "BWhlbGxvSggKBgoEdGV4dD5ATw4="
)
"""By torch.utils.tensorboard of TensorBoard 2: `add_scalar("val/l1", 0.5, 300)`, the same in its new style with 0.25 at
70,000, and `add_text("note", "hello")`."""


def test_an_event_file_that_tensorboard_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.0"
    file.write_bytes(base64.b64decode(WRITTEN))
    assert list(scalars(file)) == [{"step": 300.0, "val/l1": 0.5}, {"step": 70_000.0, "val/l1": 0.25}]


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "events.out.tfevents.0"
    file.write_bytes(content)
    try:
        rows = list(scalars(file))
    except ValueError:
        return
    assert all(isinstance(value, float) for row in rows for value in row.values())
