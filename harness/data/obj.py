"""Reads zi2zi's `.obj` files, concatenated pickles of (label, picture), without unpickling anything."""

from __future__ import annotations

import os
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.errors import DataError

MAX_PICTURE = 1 << 24
"""Largest picture in bytes."""
MAX_LABEL = (1 << 31) - 1
MAX_OPCODES = 32
"""Most opcodes of one pair; Python writes at most 9."""
HIGHEST_PROTOCOL = 5

PROTO, TUPLE2, STOP, LONG1, FRAME = b"\x80", b"\x86", b".", b"\x8a", b"\x95"
INTEGERS = {b"K": (1, False), b"M": (2, False), b"J": (4, True)}
"""BININT1, BININT2, BININT: bytes, and whether they are signed."""
LENGTHS = {b"C": 1, b"B": 4, b"\x8e": 8}
"""SHORT_BINBYTES, BINBYTES, BINBYTES8: bytes of the length that comes before the bytes themselves."""
IGNORED = {b"\x94": 0, b"q": 1, b"r": 4}
"""MEMOIZE, BINPUT, LONG_BINPUT: bytes of their argument; nothing is ever fetched from the memo, so there is none."""


@dataclass(frozen=True)
class Record:
    """One pair of an `.obj` file."""

    label: int
    picture: bytes
    """A JPEG or PNG file: left half target, right half source."""
    offset: int
    """Where its pickle begins, in bytes."""


def read_obj(path: Path) -> Iterator[Record]:
    """Yield the pairs of one file, in its order.

    Knows the few opcodes that Python's protocols 3 to 5 write for a tuple of an int and bytes, and refuses every other
    one, so a file can neither import, call nor build anything else, nor make this reader reserve more memory than the
    file has bytes.

    Raises:
        DataError: Anything else in the file, with the offset; nothing in it was run.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give zi2zi's train.obj, or the folder that holds it")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while file.tell() < size:
                yield _Reader(file, path, size).record()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


class _Reader:
    """Reads one pair; `at` is the offset of the opcode in hand."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path, self.size = file, path, size
        self.at = self.begin = file.tell()

    def record(self) -> Record:
        if self.take(1) != PROTO or self.number(1) > HIGHEST_PROTOCOL:
            raise self.refusal("no pickle of protocol 2 to 5 begins here")
        stack: list[int | bytes] = []
        paired = False
        for _ in range(MAX_OPCODES):
            self.at = self.file.tell()
            code = self.take(1)
            if code == STOP and paired:
                label, picture = stack
                assert isinstance(label, int)
                assert isinstance(picture, bytes)
                return Record(label, picture, self.begin)
            if code == TUPLE2 and [type(item) for item in stack] == [int, bytes] and not paired:
                paired = True
            elif code in IGNORED:
                self.take(IGNORED[code])
            elif code == FRAME:
                self.check(self.number(8), self.size)
            elif paired or len(stack) == 2 or not self.push(code, stack):
                raise self.refusal(f"opcode {_name(code)}, out of place in a pair of an int and bytes")
        raise self.refusal(f"more than {MAX_OPCODES} opcodes in one pair")

    def push(self, code: bytes, stack: list[int | bytes]) -> bool:
        if code in LENGTHS:
            stack.append(self.take(self.check(self.number(LENGTHS[code]), MAX_PICTURE)))
        elif code in INTEGERS:
            width, signed = INTEGERS[code]
            stack.append(self.label(self.number(width, signed=signed)))
        elif code == LONG1:
            stack.append(self.label(self.number(self.check(self.number(1), 8), signed=True)))
        else:
            return False
        return True

    def label(self, number: int) -> int:
        if not 0 <= number <= MAX_LABEL:
            raise self.refusal(f"label {number}, outside 0 to {MAX_LABEL}")
        return number

    def check(self, length: int, limit: int) -> int:
        if length > min(limit, self.size - self.file.tell()):
            raise self.refusal(f"a length of {length} bytes, more than the file has left or than the limit of {limit}")
        return length

    def number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise self.refusal("the file ends inside a pair")
        return data

    def refusal(self, found: str) -> DataError:
        return DataError(
            f"{self.path}: byte {self.at}: {found}; an .obj file holds pickled (label, picture) pairs and nothing "
            "else (nothing in it was run)"
        )


def _name(code: bytes) -> str:
    names = {opcode.code: opcode.name for opcode in pickletools.opcodes}
    return names.get(code.decode("latin-1"), f"0x{code.hex()}")
