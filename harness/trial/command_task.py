"""One command as it is run for one trial: plain data that can be sent to another process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.results.schema import Row


@dataclass(frozen=True)
class CommandTask:
    """All that running and measuring a command takes."""

    words: tuple[str, ...]
    directory: str
    """Where it is run; absolute, and on every machine that may run it."""
    environment: Mapping[str, str]
    """Variables set beside those that are inherited."""
    deadline: float | None
    """Seconds after which it is ended."""
    out: str
    """The trial's own folder; what the command prints goes to a file of the same name with `.txt` behind it."""
    generated: str | None
    """Images that it leaves."""
    real: str | None
    """Folder of images that they are measured against."""
    values: str | None
    """File or folder of what it logs; None: what it prints."""
    commit: str
    """What was run: a commit, or a digest of files that git does not keep."""
    patch: str | None
    """Digest of the patch on it."""
    shown: str
    """The command with the names of folders in place of folders: what is the same on every machine."""

    def row(self) -> Row:
        """Return what a trial's row says of it, whatever comes of it."""
        return {"command": self.shown, "commit": self.commit, "patch": self.patch}
