"""`run`: preflight, trials, verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from harness.cli.ending import DONE, NOT_ALL_COMPLETE, WRONG_INPUT
from harness.cli.options import Json, Results, Settings, StudyFile, Workers
from harness.cli.output import console_of, print_json, print_verdicts
from harness.errors import HarnessError, did_you_mean
from harness.executors.named import ExecutorName, executor_named

if TYPE_CHECKING:
    from harness.driver import Happening, Watch
    from harness.terminal.progress import Detail
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
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print the verdicts, and what needs attention.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print each trial's progress in lines.")] = False,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Add every line, with its time, to it.")
    ] = None,
    as_json: Json = False,
    as_events: Annotated[
        bool, typer.Option("--events", help="A JSON object a line on standard output for each thing that happens.")
    ] = False,
) -> None:
    """Preflight, every trial without a row, verdicts, a report."""
    if as_json and as_events:
        raise HarnessError("--json, --events: both write to standard output; take one of them")
    console = console_of(as_json=as_json or as_events)
    if console.is_terminal and not quiet:
        console.print(f"reading {study_file}", style="dim", markup=False, highlight=False)
    from harness.study.reading import assumptions, read_study

    study = read_study(study_file, settings or ())
    # What comes now takes seconds to import and minutes to compute: this is said before.
    for line in (f"{study.study}: {study.question}" if study.question else study.study, *assumptions(study)):
        if not quiet:
            console.print(line, markup=False, highlight=False)
    from harness.cli.events import Events
    from harness.driver import Driver
    from harness.report.write import document, refresh
    from harness.terminal.progress import View

    where = executor_named(executor, workers=workers, cpus=study.runner.cpus, gpus=study.runner.gpus, address=address)
    detail: Detail = "quiet" if quiet else "verbose" if verbose else "normal"
    with _opened(log) as lines, View(console, detail=detail, log=lines) as view:
        events = Events(study.study) if as_events else None
        watch = view if events is None else _both(view, events)
        driver = Driver(study, results, executor=where, watch=watch, shard=_shard(shard), retry=_statuses(retry or ()))
        try:
            findings = driver.run()
        except KeyboardInterrupt as stop:
            stop.args = (f"{len(driver.store.done())} trials have their rows; run again to go on",)
            raise
    paths = refresh(findings, driver.store)
    print_verdicts(findings, console)
    at = "" if driver.store.remote is None else f", and at {driver.store.remote.uri}"
    console.print(f"\nreport: {paths['html']}{at}", highlight=False)
    if events is not None:
        events.end(findings)
    if as_json:
        print_json("run", {**document(findings), "files": {kind: str(path) for kind, path in paths.items()}})
    raise typer.Exit(_exit_code(findings))


@contextmanager
def _opened(log: Path | None) -> Iterator[TextIO | None]:
    if log is None:
        yield None
        return
    try:
        file = log.open("a", encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"--log {log}: cannot be written ({error.strerror}); choose another file") from error
    with file:
        yield file


def _both(first: Watch, second: Watch) -> Watch:
    def watch(happening: Happening) -> None:
        first(happening)
        second(happening)

    return watch


def _exit_code(findings: StudyVerdicts) -> int:
    """Return 2 where no contrast could be judged, and 1 where a trial came to no complete row."""
    if findings.contrasts and all(c.verdict.value == "invalid" for c in findings.contrasts):
        return WRONG_INPUT
    incomplete = sum(n for arm in findings.arms for status, n in arm.statuses.items() if status != "complete")
    return NOT_ALL_COMPLETE if incomplete else DONE


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
