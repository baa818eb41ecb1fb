"""Drivers killed, or out of room, at any write: nothing half-written is read, nothing is lost or there twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from harness.dashboard import Mirror
from harness.results.store import Store

PROGRAM = """
import os, pathlib, signal, sys
import dummy
from harness.errors import HarnessError

dummy.without_torch()
asked = dummy.study(2, 2, signals=3)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def child(folder, at, how):
    '''Run the study, killed at the given write if one is given; True when it came to its end.'''
    pid = os.fork()
    if pid == 0:
        count = 0
        fsync, replace = os.fsync, pathlib.Path.replace
        def torn_fsync(fd):
            nonlocal count
            count += 1
            if count == at and how == "torn":
                os.ftruncate(fd, max(os.fstat(fd).st_size - 7, 0))
                die()
            if count == at and how == "before":
                die()
            if at and count >= at and how == "full":
                raise OSError(28, "No space left on device")
            fsync(fd)
        def killed_replace(path, target):
            found = replace(path, target)
            if count == at and how == "after":
                die()
            return found
        os.fsync, pathlib.Path.replace = torn_fsync, killed_replace
        try:
            dummy.drive(asked, folder)
        except HarnessError as error:
            assert "No space left on device" in str(error), error
            assert not list(folder.rglob(".scratch-*"))
            os._exit(2)
        os._exit(0 if count < at or not at else 3)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 2, 3, -signal.SIGKILL), (at, how, code)
    return code == 0

results = pathlib.Path(sys.argv[1])
first, step = int(sys.argv[2]), int(sys.argv[3])
at, hows = first, ("torn", "before", "after", "full")
while True:
    folder = results / f"{at}"
    finished = child(folder, at, hows[at % 4] if step > 1 else sys.argv[4])
    assert child(folder, 0, ""), f"the second driver failed after a kill at write {at}"
    print(folder, flush=True)
    if finished:
        break
    at += step
"""


def killed_everywhere(folder: Path, first: int, step: int, how: str = "") -> list[Path]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(first), str(step), how],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


def assert_equal(folders: list[Path]) -> None:
    reference = tiny.rows(folders[-1], "load")
    assert len(json.loads(reference[0])) == 4
    for folder in folders:
        assert tiny.rows(folder, "load") == reference, folder
        assert not list(folder.rglob(".scratch-*")), folder
        assert mirrored(folder / "load") == 4, folder


def mirrored(folder: Path) -> int:
    store = Store(folder)
    return Mirror(store.frozen().study, store).sync()


def test_a_driver_killed_between_two_writes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    assert_equal(killed_everywhere(tmp_path, first=3, step=5))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["torn", "before", "after", "full"])
def test_a_driver_killed_or_out_of_room_at_any_write_loses_and_doubles_nothing(tmp_path: Path, how: str) -> None:
    folders = killed_everywhere(tmp_path, first=1, step=1, how=how)
    assert len(folders) > 20
    assert_equal(folders)
