"""One thread, no deadline: what every test session starts with, and `HARNESS_TESTS=thorough` for more of each law."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import IO, Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
    # Thousands of small files, each flushed to the disk as the product does: in memory that takes no time.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

import pytest
from hypothesis import HealthCheck, settings

for _profile, _examples in (("fast", 10), ("thorough", 100)):
    settings.register_profile(
        _profile, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=_examples
    )
settings.load_profile(os.environ.get("HARNESS_TESTS", "fast"))


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are formulas, preflight and data are nothing: the rest of the harness alone is at work."""
    import dummy

    for name, module in dummy.stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def drawn() -> None:
    """Figures of reports are drawn in this test."""


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of reports are built, but matplotlib's second of drawing each of them is left out."""

    def save(_: Any, file: IO[Any], kind: str, __: Any) -> None:
        file.write("<svg ></svg>" if kind == "svg" else b"%PDF")

    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("harness.report.drawing._save", save)
        monkeypatch.setattr("harness.report.drawing.Figure.narrow_svg", "<svg></svg>")
