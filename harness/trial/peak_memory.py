"""The largest memory that a stretch of work took."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

import torch


class Peak:
    """The largest memory since it was made: of the process, or of the GPU."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        else:
            # Linux lets a process reset its own high-water mark (proc(5), clear_refs); elsewhere it is its life's.
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def bytes(self) -> int:
        """Return the peak in bytes."""
        if self.device.startswith("cuda"):
            return torch.cuda.max_memory_allocated(self.device)
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii")
        except OSError:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found.group(1)) * 1024 if found else 0
