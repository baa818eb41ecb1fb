"""One thread, no deadline: what every test session starts with."""

from __future__ import annotations

import os
import sys

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("harness", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
settings.load_profile("harness")


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are formulas, preflight and data are nothing: the rest of the harness alone is at work."""
    import dummy

    for name, module in dummy.stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
