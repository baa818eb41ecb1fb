"""The variables that a command gets: those of the session that started the study, and a few that are stated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

STATED = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
"""What every command gets unless the study says otherwise: one thread, as every trial; sets in one order; and a print
that is seen when it is made."""
MOVING = ("PYTHON", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTORCH_", "CUDA_", "CUBLAS_", "NVIDIA_")
"""How the names of inherited variables begin that may move a number."""
PLACES = frozenset({"CUDA_VISIBLE_DEVICES"})
"""Variables that say only where something is computed."""


def environment_digest(environment: Mapping[str, str], stated: Mapping[str, str]) -> str:
    """Return a digest of the variables that are stated, and of those inherited ones that may move a number.

    Args:
        environment: All variables.
        stated: Those that the study and the harness set.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in PLACES and (name in stated or name.startswith(MOVING))
    }
    return hashlib.sha256(json.dumps(sorted(kept.items())).encode()).hexdigest()[:12]
