"""A defect of this program: one line for the terminal, and the whole trace in a file."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from harness.errors import shortened
from harness.provenance import VERSION


def recorded(error: BaseException) -> str:
    """Write an error's trace to a file of its own in the folder for temporary files, and say so in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    what = f"{type(error).__name__}: {shortened(str(error), 200)}{place}"
    return f"a defect of gan-ablation-harness {VERSION}, not of your input: {what}; {_log(error)}"


def _log(error: BaseException) -> str:
    head = f"gan-ablation-harness {VERSION}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n\n"
    trace = "".join(traceback.format_exception(error))
    try:
        descriptor, name = tempfile.mkstemp(prefix="gan-harness-", suffix=".log", text=True)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + trace)
    except OSError as failure:
        return f"its trace could not be written ({failure.strerror}):\n{trace}"
    return f"please report it with the trace in {name}"
