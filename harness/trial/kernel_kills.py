"""How often the kernel ended processes because the machine had no memory left."""

from __future__ import annotations

import re
from pathlib import Path


def oom_kills() -> int:
    """Return how many processes the kernel has ended so far for want of memory (proc(5), vmstat); 0 where unknown."""
    try:
        count = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(count.group(1)) if count else 0
