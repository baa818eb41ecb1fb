"""`plan`: what a study will do and cost, and its pilot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import Json, Results, Settings, StudyFile, Workers
from harness.cli.output import console_of, print_json
from harness.executors.named import ExecutorName, cores, executor_named

if TYPE_CHECKING:
    from rich.console import Console

    from harness.executors.base import Executor
    from harness.study.study import Study


def plan(
    study_file: StudyFile,
    results: Results = "results",
    workers: Workers = None,
    settings: Settings = None,
    build: Annotated[
        bool, typer.Option("--build/--no-build", help="Build the arms to prove and to measure them.")
    ] = True,
    pilot: Annotated[
        bool,
        typer.Option("--pilot", help="Train baseline and positive control in a few blocks: which metric, which step?"),
    ] = False,
    pilot_blocks: Annotated[int, typer.Option(min=2, max=100, help="Blocks of the pilot.")] = 3,
    executor: Annotated[ExecutorName, typer.Option(help="Where the pilot's trials are computed.")] = "local",
    matching: Annotated[
        str | None,
        typer.Option(metavar="ARM", help="Only list which initial weights of an arm are the baseline's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Arms, trials, proofs, parameters, multiply-adds, memory, estimated time; trains nothing but a pilot."""
    from harness.preflight.plan import plan_document, render_plan
    from harness.study.reading import assumptions, read_study

    study = read_study(study_file, settings or ())
    console = console_of(as_json=as_json)
    if matching is not None:
        from harness.preflight.matching import matching_document, render_matching

        document = matching_document(study, matching, results=results)
        console.print(render_matching(document), markup=False, highlight=False)
    elif pilot:
        where = executor_named(executor, workers=workers, cpus=study.runner.cpus, gpus=study.runner.gpus)
        document = _pilot(study, results, where, pilot_blocks, console)
    else:
        document = plan_document(study, results=results, workers=workers or cores(), build=build)
        unseen = () if build else ("\nThe data was not looked at, and no arm was built: --no-build.",)
        console.print("\n".join((render_plan(document), *assumptions(study), *unseen)), markup=False, highlight=False)
    if as_json:
        print_json("matching" if matching is not None else "pilot" if pilot else "plan", document)


def _pilot(study: Study, results: str, executor: Executor, blocks: int, console: Console) -> dict[str, Any]:
    """Run a study's pilot, or go on with it, and say what it came to."""
    from harness.driver import Driver
    from harness.preflight.pilot import pilot_document
    from harness.study.pilot import pilot_of
    from harness.terminal.pilot import render_pilot
    from harness.terminal.progress import View

    pilot = pilot_of(study, blocks)
    with View(console) as view:
        driver = Driver(pilot.study, results, executor=executor, watch=view)
        driver.run()
    document = pilot_document(pilot, driver.store.tables())
    console.print(render_pilot(document), markup=False, highlight=False)
    return document
