"""What a command writes: people's text, and one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from harness.verdicts.judge import StudyVerdicts


def console_of(*, as_json: bool = False) -> Console:
    """Return where people's text goes: standard output, or standard error where that has a JSON document."""
    from rich.console import Console

    # Without a terminal nobody's window is narrow: tables keep their columns whole.
    stream = sys.stderr if as_json else sys.stdout
    return Console(stderr=as_json, soft_wrap=True, width=None if stream.isatty() else 160)


def print_json(name: str, document: Mapping[str, Any]) -> None:
    """Print a command's document, the name and version of its schema first."""
    from harness.cli.documents import versioned

    write_json({"schema": versioned(name), **document})


def write_json(document: object) -> None:
    """Print one JSON document: null where there is no number, never NaN."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_verdicts(findings: StudyVerdicts, console: Console) -> None:
    """Print a study's verdicts so far, in lines that fit a terminal's window."""
    from harness.terminal.summary import summary

    text = summary(findings, console.width if console.is_terminal else None)
    console.print(f"\n{text}", markup=False, highlight=False)
