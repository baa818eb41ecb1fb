"""How a command ends: exit codes, and an error as a message for people and as JSON for machines."""

from __future__ import annotations

import datetime
import json
import os
import sys
from typing import Any

import typer

from harness.errors import HarnessError, StudyError, printable
from harness.terminal.interruption import exit_code_of, message_of

DONE, NOT_ALL_COMPLETE, WRONG_INPUT, DEFECT = 0, 1, 2, 70
KEPT = "rows so far are safe"
USAGE: type[Exception] = typer.BadParameter.__mro__[2]
"""Base of what typer raises about a command line; it exports only this child of it."""


def ended(error: BaseException, arguments: list[str]) -> int:
    """Say why a command ended by an exception, and return its exit code.

    Where `--json` or `--events` is among the arguments, the error is on standard output too, in their form.
    """
    match error:
        case typer.Exit():
            return error.exit_code
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        case USAGE():
            error.show()  # type: ignore[attr-defined]
            code, text = WRONG_INPUT, error.format_message()  # type: ignore[attr-defined]
        case HarnessError():
            code, text = WRONG_INPUT, str(error)
        case KeyboardInterrupt():
            code, text = exit_code_of(error), f"{message_of(error)}; {(*error.args, KEPT)[0]}"
        case MemoryError():
            what = printable(str(error)) or "for this input"
            code, text = WRONG_INPUT, f"not enough memory ({what}); give less, or free some"
        case _:
            from harness.terminal.defect import recorded

            code, text = DEFECT, recorded(error)
    if not isinstance(error, USAGE):
        lead = "" if isinstance(error, KeyboardInterrupt) else "error: "
        sys.stderr.write(f"{lead}{printable(text)}\n")
    _print_for_machines(error, code, printable(text), arguments)
    return code


def _print_for_machines(error: BaseException, code: int, text: str, arguments: list[str]) -> None:
    if not {"--json", "--events"} & set(arguments):
        return
    from harness.cli.documents import versioned

    document: dict[str, Any] = {"code": code, "message": text, "problems": problems(error, text)}
    if "--events" in arguments:
        now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"schema": versioned("event"), "event": "error", "time": now, **document}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    else:
        kind = "UsageError" if isinstance(error, USAGE) else type(error).__name__
        line = {"schema": versioned("error"), "kind": kind, **document}
        sys.stdout.write(json.dumps(line, indent=1, ensure_ascii=False) + "\n")


def problems(error: BaseException, text: str) -> list[dict[str, str]]:
    """Return what is wrong, each with its place and way out, as messages have them: `place: found; way out`."""
    if isinstance(error, StudyError):
        parts = [_parts(f"{error.where}: {line}") for line in error.problems]
    elif isinstance(error, HarnessError):
        parts = [_parts(text)]
    else:
        option = getattr(error, "param", None)
        parts = [(option.opts[0] if option is not None else "", text, "")]
    return [dict(zip(("place", "found", "way_out"), each, strict=True)) for each in parts]


def _parts(line: str) -> tuple[str, str, str]:
    line = printable(line)
    *places, last = line.split(": ") if ": " in line else ("", line)
    # A place is short and of no more than file, line and setting; what follows may have colons of its own.
    while len(places) > 3:
        last = f"{places.pop()}: {last}"
    found, _, way_out = last.partition("; ")
    return ": ".join(places), found, way_out
