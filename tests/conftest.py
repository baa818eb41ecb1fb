"""One thread, no deadline: what every test session starts with, and `HARNESS_TESTS=thorough` for more of each law."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

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
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are built, but matplotlib's second of drawing each of them is left out."""
    from matplotlib.figure import Figure

    def savefig(_: Figure, file: IO[Any], *, format: str, **__: Any) -> None:
        file.write("<svg ></svg>" if format == "svg" else b"%PDF")

    monkeypatch.setattr(Figure, "savefig", savefig)
