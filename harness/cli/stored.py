"""Commands on what is stored: `report`, `status`, `dashboard`, `merge`, `publish`."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Json, Results, StudyOrFolder
from harness.cli.output import console_of, print_json, print_verdicts
from harness.cli.several import overview
from harness.errors import HarnessError
from harness.report.write import Format

if TYPE_CHECKING:
    from harness.results.store import Store


def report(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY …", help="A study's file, name, folder or URI; of several one page over all."),
    ],
    results: Results = "results",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; `report/` in the results unless given.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Print the report in this form, and write no file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """HTML, Markdown, LaTeX, JSON of a study; of several a page."""
    from harness.report.write import document, rendered, write
    from harness.verdicts.judge import judge_stored

    if len(studies) > 1:
        # A shell's results/* names files too, such as the page that is written here.
        folders = [name for name in studies if name.endswith((".yaml", ".yml")) or not Path(name).is_file()]
        stores = [store_of(name, results) for name in folders]
        overview(stores, out, form, as_json=as_json)
        return
    store, findings = judge_stored(store_of(studies[0], results))
    if form is not None:
        if out is not None or as_json:
            raise HarnessError("--format: prints to standard output; it takes neither --out nor --json")
        sys.stdout.write(rendered(findings, form))
        return
    console = console_of(as_json=as_json)
    paths = write(findings, store, out)
    for kind, path in paths.items():
        console.print(f"{kind}: {path}", highlight=False)
    if as_json:
        print_json("report", {**document(findings), "files": {kind: str(path) for kind, path in paths.items()}})


def status(study: StudyOrFolder, results: Results = "results", as_json: Json = False) -> None:
    """What is done, running and failed, and the verdict so far."""
    from harness.report.write import document
    from harness.results.running import running
    from harness.statistics.number_format import rough_duration
    from harness.verdicts.judge import judge_stored

    store, findings = judge_stored(store_of(study, results))
    now = running(store.folder)
    console = console_of(as_json=as_json)
    print_verdicts(findings, console)
    for trial in now:
        where = "" if trial.step is None else f", step {trial.step} of {trial.steps}"
        console.print(f"now: {trial.trial_id}{where}, for {rough_duration(time.time() - trial.began)}", highlight=False)
    if as_json:
        print_json("status", {**document(findings), "running": [dataclasses.asdict(trial) for trial in now]})


def dashboard(
    study: StudyOrFolder,
    results: Results = "results",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8080,
    allow_edits: Annotated[
        bool, typer.Option("--allow-edits", help="Let its pages change the mirror; results are never changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open the verdicts and the Optuna dashboard on a study, on this machine only, to be read."""
    from harness.dashboard import serve

    store = store_of(study, results).fetched()
    url = store.frozen().study.runner.storage
    console = console_of(as_json=as_json)

    def ready(address: str) -> None:
        console.print(f"{address} ({'' if allow_edits else 'read-only; '}Ctrl-C stops it)")
        if as_json:
            print_json("dashboard", {"url": address, "read_only": not allow_edits})

    serve(store.folder, port=port, url=url, edits=allow_edits, announce=console.print, ready=ready)


def merge(
    shards: Annotated[list[str], typer.Argument(metavar="A B …", help="Folders or URIs of results of the same study.")],
    into: Annotated[str, typer.Option("--into", metavar="C", help="Folder or URI that is to hold the results of all.")],
    as_json: Json = False,
) -> None:
    """Make one folder of the results of several shards, once it is shown that they belong together."""
    from harness.results.merge import merge as merge_stores
    from harness.results.store import Store

    merged = merge_stores([Store.at(shard) for shard in shards], Store.at(into))
    console = console_of(as_json=as_json)
    console.print(str(merged), markup=False, highlight=False)
    console.print(f"judge them: python -m harness report {into}", markup=False, highlight=False)
    if as_json:
        print_json("merge", dataclasses.asdict(merged))


def publish(
    study: StudyOrFolder,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Folder that will hold a folder of that name.")],
    results: Results = "results",
    as_json: Json = False,
) -> None:
    """Write a study's results to be handed on: one Parquet file a table, study, plan, samples and report."""
    from harness.report.write import write
    from harness.results.published import publish as publish_store
    from harness.results.store import Store
    from harness.verdicts.judge import judge_stored

    folder = publish_store(store_of(study, results).fetched(), into)
    store, findings = judge_stored(Store.at(str(folder)))
    write(findings, store)
    trials = len(store.done())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    text = f"{folder}: {trials} trials, {size / 1e6:.2f} MB"
    console_of(as_json=as_json).print(text, markup=False, highlight=False)
    if as_json:
        print_json("publish", {"folder": str(folder), "trials": trials, "bytes": size})


def store_of(study: str, results: str) -> Store:
    """Return the results that a study file, a folder, a URI or a study's name stands for."""
    from harness.results.remote import is_uri
    from harness.results.store import Store

    if study.endswith((".yaml", ".yml")):
        from harness.study.reading import read_study

        return Store.at(results, read_study(Path(study)).results_name)
    return Store.at(study) if is_uri(study) or Path(study).is_dir() else Store.at(results, study)
