from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny import call

from harness import cli
from harness.errors import HarnessError


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def raises(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("harness.terminal.doctor.examine", raises)


def test_a_defect_is_one_line_with_code_70_and_its_trace_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, KeyError("nobody thought of this\x1b[2J"))
    done = call("doctor")
    (log,) = tmp_path.iterdir()
    assert done.returncode == cli.DEFECT == 70
    assert done.stderr.count("\n") == 1
    assert re.search(r"a defect of .*, not of your input: KeyError: .*nobody thought of this", done.stderr)
    assert str(log) in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_where_no_file_can_be_written_the_trace_of_a_defect_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    fail_with(monkeypatch, KeyError("nobody thought of this"))
    done = call("doctor")
    assert done.returncode == 70
    assert "Traceback" in done.stderr


def test_too_little_memory_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, MemoryError())
    done = call("doctor")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not enough memory" in done.stderr


def test_a_message_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, HarnessError("\x1b]0;owned\x07\u202egnp.\udcff; look"))
    done = call("doctor")
    assert done.returncode == 2
    assert done.stderr == "error: \\x1b]0;owned\\x07\\u202egnp.\\udcff; look\n"


def test_help_names_the_exit_codes() -> None:
    said = " ".join(call("--help").stdout.split())
    assert all(f"{code} " in said for code in (cli.DONE, cli.NOT_ALL_COMPLETE, cli.WRONG_INPUT, cli.DEFECT))


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def npz(path: Path, member: bytes, repeated: int = 0) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("features.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(member)
        for _ in range(repeated):
            stream.write(bytes(1 << 20))


TABLE = np.random.default_rng(0).normal(size=(12, 4))
UNCLOSED = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': ((((" + b" " * 100
FILES = {
    "an array of 7 TiB": ("npy", header((10**9, 1000)), "8000.0 GB"),
    "a row of 7 TiB": ("npy", header((1, 10**12)), "features for each image"),
    "a size beyond 64 bits": ("npy", header((2**62, 2**62)), "features for each image"),
    "a header that claims more than there is": ("npy", header((100, 10)) + bytes(99), "claims 1000 numbers"),
    "a negative size": ("npy", header((-1, 3)) + bytes(99), r"shape \(-1, 3\)"),
    "a header that is no Python": ("npy", UNCLOSED, "cannot read it"),
    "nothing": ("npy", b"", "cannot read it"),
    "no archive": ("npz", b"PK\x03\x04" + bytes(99), "cannot read it"),
    "infinity beyond float64": ("npy", header((2, 2), "<f16") + np.full(4, "1e4000", "g").tobytes(), "infinite"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_features_that_is_none_is_one_line(name: str, tmp_path: Path) -> None:
    suffix, content, message = FILES[name]
    file = tmp_path / f"features.{suffix}"
    file.write_bytes(content)
    np.save(tmp_path / "good.npy", TABLE)
    done = call("score", file, tmp_path / "good.npy")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert re.search(message, done.stderr)


def test_an_archive_that_grows_beyond_memory_is_refused_before_it_grows(tmp_path: Path) -> None:
    npz(tmp_path / "bomb.npz", header((10**9, 1000)), repeated=8)
    npz(tmp_path / "liar.npz", header((1000, 1000)))
    np.save(tmp_path / "good.npy", TABLE)
    for name, message in (("bomb", "8000.0 GB"), ("liar", "claims 1000000 numbers")):
        done = call("score", tmp_path / f"{name}.npz", tmp_path / "good.npy")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr


@pytest.mark.parametrize(("scale", "code"), [(1e200, 2), (1e16, 2), (1e14, 0), (1e-200, 0)])
def test_features_of_any_size_are_measured_or_refused(scale: float, code: int, tmp_path: Path) -> None:
    for name, shift in (("real", 0.0), ("fake", 0.1)):
        np.save(tmp_path / f"{name}.npy", (TABLE + shift) * scale)
    done = call("score", tmp_path / "real.npy", tmp_path / "fake.npy", "--json")
    assert done.returncode == code
    assert code == 0 or ("divide both files by one number" in done.stderr and done.stderr.count("\n") == 1)


@pytest.mark.parametrize("seed", ["-1", str(2**70)])
def test_a_seed_that_no_generator_takes_is_one_line(seed: str, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", TABLE)
    done = call("score", tmp_path / "good.npy", tmp_path / "good.npy", "--seed", seed)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("looks", ["2,99999999999999999999", ",".join(map(str, range(2, 200)))])
def test_a_schedule_of_looks_is_bounded(looks: str) -> None:
    done = call("simulate", "--looks", looks)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "at most 100 up to" in done.stderr
