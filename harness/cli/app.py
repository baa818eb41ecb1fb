"""The command line: every command is registered here; a mistake is a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from harness.cli.output import DEFECT, DONE, WRONG_INPUT
from harness.cli.plan import plan
from harness.cli.reference import doctor, explain, schema
from harness.cli.run import run
from harness.cli.score import score
from harness.cli.stored import dashboard, merge, report, status
from harness.cli.tables import compare, simulate
from harness.errors import HarnessError, printable
from harness.terminal.interruption import ending_signals, exit_code_of, message_of

app = typer.Typer(
    name="harness",
    help="Matched-pair ablations of image GANs: does this design choice help, hurt, or make no difference?",
    epilog="Exit codes: 0 done; 1 done, some trials not complete; 2 your input is wrong; 70 a defect of this program "
    "(its trace is in the file that the message names); 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time of --help would be spent on frames around it
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (run, plan, report, status, dashboard, merge, compare, score, simulate, doctor, schema, explain)
"""In the order of `--help`; a new command is a function in a module of this folder, and its name here."""
for command in COMMANDS:
    app.command()(command)


def main(arguments: list[str] | None = None, *, exit_with: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line: a user's mistake is a message and exit code 2, a defect of ours 70; no tracebacks."""
    try:
        with ending_signals():
            app(arguments, standalone_mode=True)
    except HarnessError as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        exit_with(WRONG_INPUT)
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"{message_of(stop)}; rows so far are safe\n")
        exit_with(exit_code_of(stop))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_with(DONE)
    except MemoryError as error:
        sys.stderr.write(
            f"error: not enough memory ({printable(str(error)) or 'for this input'}); give less, or free some\n"
        )
        exit_with(WRONG_INPUT)
    except Exception as error:  # noqa: BLE001 - whatever nobody foresaw
        from harness.terminal.defect import recorded

        sys.stderr.write(f"error: {printable(recorded(error))}\n")
        exit_with(DEFECT)
