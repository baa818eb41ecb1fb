"""The command line: commands, printing, exit codes; nothing else prints."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import HarnessError, did_you_mean, printable
from harness.executors.named import ExecutorName, cores, executor_named
from harness.terminal.interruption import ending_signals, exit_code_of, message_of

if TYPE_CHECKING:
    from rich.console import Console

    from harness.executors.base import Executor
    from harness.results.store import Store
    from harness.study.study import Study
    from harness.verdicts.judge import StudyVerdicts

app = typer.Typer(
    name="harness",
    help="Matched-pair ablations of image GANs: does this design choice help, hurt, or make no difference?",
    epilog="Exit codes: 0 done; 1 done, some trials not complete; 2 your input is wrong; 70 a defect of this program "
    "(its trace is in the file that the message names); 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DONE, NOT_ALL_COMPLETE, WRONG_INPUT, DEFECT = 0, 1, 2, 70


StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file, e.g. studies/quickstart.yaml.")]
StudyOrFolder = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, a study's name, or the folder or URI of its results.")
]
Results = Annotated[
    str,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Folder that holds a folder per study, or a URI such as s3://bucket/results.",
        envvar="HARNESS_RESULTS",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="A setting for this call, e.g. training.steps=200."),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output; people's text to standard error.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes of one thread each; as many as cores unless given.")
]


def _console(*, as_json: bool = False) -> Console:
    from rich.console import Console

    # Without a terminal nobody's window is narrow: tables keep their columns whole.
    stream = sys.stderr if as_json else sys.stdout
    return Console(stderr=as_json, soft_wrap=True, width=None if stream.isatty() else 160)


def _document(document: object) -> None:
    """Print one JSON document: null where there is no number, never NaN."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@app.command()
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
    console = _console(as_json=as_json)
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
    _print_findings(findings, console)
    at = "" if driver.store.remote is None else f", and at {driver.store.remote.uri}"
    console.print(f"\nreport: {paths['html']}{at}", highlight=False)
    if as_json:
        _document(document(findings))
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


def _print_findings(findings: StudyVerdicts, console: Console) -> None:
    from harness.terminal.summary import heading, lines, means_table

    console.print()
    console.print(heading(findings), markup=False, highlight=False)
    console.print(means_table(findings))
    for line in lines(findings):
        console.print(line, markup=False, highlight=False)


@app.command()
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
    as_json: Json = False,
) -> None:
    """Arms, trials, proofs, parameters, multiply-adds, memory, estimated time; trains nothing but a pilot."""
    from harness.preflight.plan import plan_document, render_plan
    from harness.study.reading import assumptions, read_study

    study = read_study(study_file, settings or ())
    console = _console(as_json=as_json)
    if pilot:
        where = executor_named(executor, workers=workers, cpus=study.runner.cpus, gpus=study.runner.gpus)
        document = _pilot(study, results, where, pilot_blocks, console)
    else:
        document = plan_document(study, results=results, workers=workers or cores(), build=build)
        console.print("\n".join((render_plan(document), *assumptions(study))), markup=False, highlight=False)
    if as_json:
        _document(document)


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


@app.command()
def report(
    study: StudyOrFolder,
    results: Results = "results",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; `report/` in the results unless given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """HTML, Markdown, LaTeX and JSON from what is stored."""
    from harness.report.write import document, write
    from harness.verdicts.judge import judge_stored

    store, findings = judge_stored(_store(study, results))
    console = _console(as_json=as_json)
    paths = write(findings, store, out)
    for kind, path in paths.items():
        console.print(f"{kind}: {path}", highlight=False)
    if as_json:
        _document(document(findings))


@app.command()
def status(study: StudyOrFolder, results: Results = "results") -> None:
    """What is done, running and failed, and the verdict so far."""
    from harness.verdicts.judge import judge_stored

    _, findings = judge_stored(_store(study, results))
    _print_findings(findings, _console())


@app.command()
def dashboard(
    study: StudyOrFolder,
    results: Results = "results",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8080,
    allow_edits: Annotated[
        bool, typer.Option("--allow-edits", help="Let its pages change the mirror; results are never changed.")
    ] = False,
) -> None:
    """Open the Optuna dashboard on a study, on this machine only, to be read."""
    from harness.dashboard import serve

    store = _store(study, results).fetched()
    url = store.frozen().study.runner.storage
    serve(store.folder, port=port, url=url, edits=allow_edits, announce=_console().print)


@app.command()
def merge(
    shards: Annotated[list[str], typer.Argument(metavar="A B …", help="Folders or URIs of results of the same study.")],
    into: Annotated[str, typer.Option("--into", metavar="C", help="Folder or URI that is to hold the results of all.")],
    as_json: Json = False,
) -> None:
    """Make one folder of the results of several shards, once it is shown that they belong together."""
    import dataclasses

    from harness.results.merge import merge as merge_stores
    from harness.results.store import Store

    merged = merge_stores([Store.at(shard) for shard in shards], Store.at(into))
    console = _console(as_json=as_json)
    console.print(str(merged), markup=False, highlight=False)
    console.print(f"judge them: python -m harness report {into}", markup=False, highlight=False)
    if as_json:
        _document(dataclasses.asdict(merged))


def _store(study: str, results: str) -> Store:
    """Return the results that a study file, a folder, a URI or a study's name stands for."""
    from harness.results.remote import is_uri
    from harness.results.store import Store

    if study.endswith((".yaml", ".yml")):
        from harness.study.reading import read_study

        return Store.at(results, read_study(Path(study)).results_name)
    return Store.at(study) if is_uri(study) or Path(study).is_dir() else Store.at(results, study)


@app.command()
def compare(
    table: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE",
            help="CSV or Parquet: a row per unit and arm (or over steps), or a column per arm; or a file per trial.",
        ),
    ],
    unit: Annotated[str | None, typer.Option(help="Column of the block, seed or subject; or several: a,b.")] = None,
    arm: Annotated[str | None, typer.Option(help="Column of the arm; or several: a,b.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the value.")] = None,
    baseline: Annotated[str | None, typer.Option(help="The arm that the others are compared with.")] = None,
    better: Annotated[
        str | None, typer.Option("--better", "--direction", help="lower or higher; by the value's name if it says so.")
    ] = None,
    scale: Annotated[str, typer.Option(help="log compares ratios, raw compares differences.")] = "raw",
    margin: Annotated[str | None, typer.Option(help="Smallest difference that matters: 0.6, or 5%.")] = None,
    looks: Annotated[str | None, typer.Option(help="Schedule of looks: 6,9,12.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Only such rows, e.g. 'lr == 0.0002', 'seed in 1,2,3'."),
    ] = None,
    ok: Annotated[
        str | None, typer.Option(help="States that are complete: finished,done; others are failures.")
    ] = None,
    failed: Annotated[str | None, typer.Option(help="Column of states, or of which trials failed.")] = None,
    at: Annotated[str | None, typer.Option(help="Of several rows a trial: last, best, or a step.")] = None,
    step: Annotated[str | None, typer.Option(help="Column of the steps.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="How trials or their files are named, e.g. '{arm}/seed{seed}'.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Columns of numbers that are no settings: a,b.")] = None,
    factors: Annotated[str | None, typer.Option(help="Factor columns of a factorial table: A,B,C.")] = None,
    positive_control: Annotated[
        str | None, typer.Option(help="An arm known to differ; unless it is told apart nothing is called equivalent.")
    ] = None,
    expect: Annotated[str, typer.Option(help="How that arm must differ: worse, better, or differs.")] = "worse",
    as_json: Json = False,
) -> None:
    """The same statistics on any table of unit, arm and value, such as W&B, MLflow, Optuna, Ray and others export."""
    from harness.statistics import render
    from harness.tables import compare as compare_table

    document = compare_table(
        table[0] if len(table) == 1 else table,
        unit=unit,
        arm=arm,
        value=value,
        baseline=baseline,
        better=better,
        scale=scale,  # type: ignore[arg-type]
        margin=margin,
        looks=looks,
        where=where or (),
        ok=ok or (),
        failed=failed,
        at=at,
        step=step,
        pattern=pattern,
        ignore=ignore or (),
        factors=factors or (),
        positive_control=positive_control,
        expect=expect,  # type: ignore[arg-type]
    )
    console = _console(as_json=as_json)
    text = render(document, width=console.width if console.is_terminal else None)
    console.print(text, markup=False, highlight=False)
    if as_json:
        _document(document)


@app.command()
def score(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder of images, or a .npy/.npz array of features.")],
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="The same, of generated images.")],
    metrics: Annotated[str | None, typer.Option(help="Metrics by name: fid_efficientnet,ssim.")] = None,
    size: Annotated[
        int | None, typer.Option(min=4, help="Resize images of different sizes to this many pixels.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of random subsets.")] = 0,
    as_json: Json = False,
) -> None:
    """FID, KID, SSIM and others between two folders of images, or two arrays of features."""
    from harness.metrics.score import render_score
    from harness.metrics.score import score as score_folders

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    document = score_folders(real, fake, metrics=names, size=size, seed=seed)
    _console(as_json=as_json).print(render_score(document), markup=False, highlight=False)
    if as_json:
        _document(document)


@app.command()
def simulate(
    looks: Annotated[str, typer.Option(help="Schedule of looks: 6,9,12,16,20.")] = "6,9,12,16,20",
    contrasts: Annotated[int, typer.Option(min=1, help="Arms that are compared with the baseline.")] = 1,
    repeats: Annotated[int, typer.Option(min=100, help="Simulated studies per true difference.")] = 20_000,
    as_json: Json = False,
) -> None:
    """Error rates and expected numbers of blocks of the sequential rule, with naive peeking beside."""
    from harness.statistics.group_sequential import parse_looks
    from harness.statistics.simulation import render_simulation
    from harness.statistics.simulation import simulate as simulate_rule

    document = simulate_rule(looks=parse_looks(looks) or (), contrasts=contrasts, repeats=repeats)
    _console(as_json=as_json).print(render_simulation(document), markup=False, highlight=False)
    if as_json:
        _document(document)


@app.command()
def doctor() -> None:
    """What this machine has: devices, threads, precision, fonts, feature weights; what is missing and how to get it."""
    from harness.terminal.doctor import examine

    console = _console()
    for line in examine():
        console.print(line, markup=False, highlight=False)


@app.command()
def schema() -> None:
    """JSON Schema of a study file, for editors."""
    from harness.study.study import Study

    _document(Study.model_json_schema())


@app.command()
def explain(
    setting: Annotated[
        str | None,
        typer.Argument(
            metavar="SETTING", help="A dotted setting, e.g. discriminator.blur.sigma, or a word, e.g. 'not sensitive'."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """What a setting or a word is: meaning, values, range, default; without one, all words and groups of settings."""
    import dataclasses

    from harness.report.words import WORDS
    from harness.study.explain import explain as explain_setting
    from harness.study.explain import render_explanation, render_settings, settings

    console = _console(as_json=as_json)
    if setting is None:
        listed = settings()
        console.print(f"{render_settings(listed)}\n\n{render_settings(WORDS)}", markup=False, highlight=False)
        document: object = [{"setting": name, "meaning": meaning} for name, meaning in listed.items()]
    elif setting in WORDS:
        console.print(f"{setting}\n  {WORDS[setting]}", markup=False, highlight=False)
        document = [{"word": setting, "meaning": WORDS[setting]}]
    else:
        found = explain_setting(setting)
        console.print(render_explanation(found), markup=False, highlight=False)
        document = [dataclasses.asdict(one) for one in found]
    if as_json:
        _document(document)


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
