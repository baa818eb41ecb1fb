"""The command line: every command is registered here; a mistake is a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.answers import answers
from harness.cli.ending import DONE, ended
from harness.cli.init import init
from harness.cli.match import match
from harness.cli.plan import plan
from harness.cli.reference import doctor, explain, schema
from harness.cli.run import run
from harness.cli.score import score
from harness.cli.several import diff
from harness.cli.stored import dashboard, merge, publish, report, status
from harness.cli.tables import compare, simulate
from harness.provenance import VERSION
from harness.terminal.interruption import ending_signals

app = typer.Typer(
    name="harness",
    epilog="Exit codes: 0 done; 1 done, some trials not complete; 2 your input is wrong, or all verdicts are invalid; "
    "70 a defect of this program (its trace is in the file that the message names); 130 interrupted (143 by SIGTERM, "
    "129 by SIGHUP).",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # half of the time of --help would be spent on frames around it
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (
    init,
    run,
    plan,
    match,
    report,
    status,
    dashboard,
    diff,
    merge,
    publish,
    answers,
    compare,
    score,
    simulate,
    doctor,
    schema,
    explain,
)
"""In the order of `--help`; a new command is a function in a module of this folder, and its name here."""
for command in COMMANDS:
    app.command(context_settings={"allow_interspersed_args": command is not match})(command)


@app.callback()
def version(
    show: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version, and exit.")] = False,
) -> None:
    """Matched-pair ablations of image GANs: does this design choice help, hurt, or make no difference?"""
    if show:
        sys.stdout.write(f"gan-ablation-harness {VERSION}\n")
        raise typer.Exit


def main(arguments: list[str] | None = None, *, exit_with: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line: a user's mistake is a message and exit code 2, a defect of ours 70; no tracebacks."""
    words = sys.argv[1:] if arguments is None else arguments
    name = "python -m harness" if Path(sys.argv[0]).name == "__main__.py" else Path(sys.argv[0]).name
    command = typer.main.get_command(app)
    code = DONE
    try:
        with ending_signals(), command.make_context(name, list(words)) as context:
            command.invoke(context)
    except BaseException as error:  # noqa: BLE001 - whatever nobody foresaw is a defect, and said so
        code = ended(error, words)
    exit_with(code)
