"""`run`: preflight, trials, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import Json, Results, Settings, StudyFile, Workers
from harness.cli.output import DONE, NOT_ALL_COMPLETE, console_of, print_json, print_verdicts
from harness.errors import HarnessError, did_you_mean
from harness.executors.named import ExecutorName, executor_named
from harness.terminal.interruption import exit_code_of, message_of

if TYPE_CHECKING:
    from harness.verdicts.judge import StudyVerdicts


def run(
    study_file: StudyFile,
    results: Results = "results",
    workers: Workers = None,
    settings: Settings = None,
    executor: Annotated[ExecutorName, typer.Option(help="Where trials are computed.")] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a Ray cluster.")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only the I-th of N shards of whole blocks.")] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS",
            help="Compute trials again that came to this, e.g. lost or failed; mixed: whole blocks whose rows do not "
            "belong together.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Preflight, then every trial that has no row yet; verdicts; a report in the results folder."""
    from harness.driver import Driver
    from harness.report.write import document, refresh
    from harness.study.reading import assumptions, read_study
    from harness.terminal.progress import View

    study = read_study(study_file, settings or ())
    console = console_of(as_json=as_json)
    for note in assumptions(study):
        console.print(note, markup=False, highlight=False)
    where = executor_named(executor, workers=workers, cpus=study.runner.cpus, gpus=study.runner.gpus, address=address)
    with View(console) as view:
        driver = Driver(study, results, executor=where, watch=view, shard=_shard(shard), retry=_statuses(retry or ()))
        try:
            findings = driver.run()
        except KeyboardInterrupt as stop:
            view.__exit__(None, None, None)
            console.print(f"{message_of(stop)}; {len(driver.store.done())} trials have their rows; run again to go on")
            raise typer.Exit(exit_code_of(stop)) from None
    paths = refresh(findings, driver.store)
    print_verdicts(findings, console)
    at = "" if driver.store.remote is None else f", and at {driver.store.remote.uri}"
    console.print(f"\nreport: {paths['html']}{at}", highlight=False)
    if as_json:
        print_json(document(findings))
    raise typer.Exit(NOT_ALL_COMPLETE if _progress(findings)[1] else DONE)


def _progress(findings: StudyVerdicts) -> tuple[int, int]:
    """Return how many trials have their rows, and how many of those are not complete."""
    return findings.trials_done, sum(
        count for arm in findings.arms for status, count in arm.statuses.items() if status != "complete"
    )


def _statuses(names: Sequence[str]) -> tuple[str, ...]:
    from harness.results.schema import STATUSES
    from harness.verdicts.belonging import MIXED

    for name in names:
        if name not in (*STATUSES, MIXED):
            raise HarnessError(f"--retry: no status '{name}'{did_you_mean(name, (*STATUSES, MIXED))}")
    return tuple(names)


def _shard(text: str | None) -> Any:
    from harness.driver import Shard

    if text is None:
        return Shard()
    first, slash, of = text.partition("/")
    if not (slash and first.isdigit() and of.isdigit() and 1 <= int(first) <= int(of)):
        raise HarnessError(f"--shard {text}: expected I/N with I from 1 to N, e.g. 1/4")
    return Shard(int(first) - 1, int(of))
