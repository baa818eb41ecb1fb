"""TensorBoard's event files, read without TensorBoard: scalars by step.

A file is a sequence of records: length (8 bytes), its checksum (4), the content, and its checksum (4), all
little-endian (tensorflow/core/lib/io/record_writer.h). The content is an ``Event`` of protocol buffers: field 2 is the
step, field 5 the ``Summary``, whose field 1 repeats values with tag (1), simple value (2) and tensor (8)
(tensorflow/core/util/event.proto, framework/summary.proto, tensor.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

EVENTS = "tfevents"
"""What the names of event files hold."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, DOUBLE = 1, 2
"""Types of tensors (types.proto)."""


def scalars(file: Path) -> Iterator[Mapping[str, float]]:
    """Yield a row with its step for each event that holds scalars; a record that was cut short ends the file.

    Raises:
        ValueError: It is no event file.
    """
    content = file.read_bytes()
    place = 0
    while place + 12 <= len(content):
        (size,) = struct.unpack_from("<Q", content, place)
        record = content[place + 12 : place + 12 + size]
        if len(record) < size:
            if place == 0:
                raise ValueError("it is no event file")
            return
        row = _event(record)
        if len(row) > 1:
            yield row
        place += 16 + size


def _event(record: bytes) -> dict[str, float]:
    row = {"step": 0.0}
    for number, kind, value in _fields(record):
        if number == 2 and kind == VARINT and isinstance(value, int):
            row["step"] = float(value)
        elif number == 5 and isinstance(value, bytes):
            for inner, _, entry in _fields(value):
                if inner == 1 and isinstance(entry, bytes) and (found := _value(entry)) is not None:
                    row[found[0]] = found[1]
    return row


def _value(entry: bytes) -> tuple[str, float] | None:
    tag, number = "", None
    for field, kind, value in _fields(entry):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and kind == FIXED32 and isinstance(value, bytes):
            (number,) = struct.unpack("<f", value)
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return None if number is None else (tag, number)


def _tensor(tensor: bytes) -> float | None:
    """Return the one number of a tensor of type float or double; None of any other."""
    dtype, number = None, None
    for field, kind, value in _fields(tensor):
        if field == 1 and isinstance(value, int):
            dtype = value
        elif isinstance(value, bytes) and field in (4, 5, 6):  # content, floats, doubles
            form = "<d" if dtype == DOUBLE else "<f"
            if dtype in (FLOAT, DOUBLE) and len(value) == struct.calcsize(form) and kind != VARINT:
                (number,) = struct.unpack(form, value)
    return number


def _fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield number, wire type and value of each field of a message.

    Raises:
        ValueError: It is none.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, place = _varint(message, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError("it is no event file")
        yield number, kind, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place
    raise ValueError("it is no event file")
