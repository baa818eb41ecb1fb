"""Running a study: what is planned, computed, stored and judged, and in which order."""

from harness.driver.driver import Driver, Shard
from harness.driver.happenings import (
    Happening,
    LookDone,
    Planned,
    Removed,
    Retried,
    SetAside,
    Stored,
    Watch,
)

__all__ = ["Driver", "Happening", "LookDone", "Planned", "Removed", "Retried", "SetAside", "Shard", "Stored", "Watch"]
