"""`match`: any program with named draws, and what two such runs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.ending import DONE
from harness.cli.output import print_json
from harness.errors import HarnessError


def match(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="A program and its arguments: python train.py --lr 0.0002."),
    ] = None,
    block: Annotated[str, typer.Option(metavar="N", help="The block: equal in all arms that are compared.")] = "0",
    seed: Annotated[int, typer.Option(help="The study's seed; another one is a replication.")] = 0,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write draws, batches and first weights to this file.")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave the draws as the program makes them; only trace them.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Say what two traces share, and where they first part; runs nothing."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --compare: one JSON document on standard output.")
    ] = False,
) -> None:
    """Run any program with named draws, so that two versions of it differ in nothing but their difference.

    The exit code is the command's own.
    """
    if compare is not None:
        if command:
            raise HarnessError("match: --compare runs nothing; leave the command out")
        from harness.named_draws.compare import compare_traces

        compared = compare_traces(*compare)
        if as_json:
            print_json("match", compared.document())
        else:
            typer.echo(compared.text())
        raise typer.Exit(DONE)
    if as_json:
        raise HarnessError("match: --json goes with --compare; a command's standard output is its own")
    if not command:
        raise HarnessError("match: no command; write it after --, e.g. match --block 3 -- python train.py --lr 0.0002")
    from harness.named_draws.command import Matching
    from harness.named_draws.run import run_matched

    matching = Matching(block=block, seed=seed, name=not as_is, trace=None if trace is None else str(trace))
    outcome = run_matched(command, matching)
    typer.echo(outcome.text(matching), err=True)
    if not outcome.processes and outcome.exit_code == DONE:
        raise HarnessError("match: the command ended well, but without named draws")
    raise typer.Exit(outcome.exit_code)
