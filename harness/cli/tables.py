"""The statistics by themselves: `compare` on any table, `simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import console_of, print_json


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
    console = console_of(as_json=as_json)
    text = render(document, width=console.width if console.is_terminal else None)
    console.print(text, markup=False, highlight=False)
    if as_json:
        print_json("compare", document)


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
    console_of(as_json=as_json).print(render_simulation(document), markup=False, highlight=False)
    if as_json:
        print_json("simulate", document)
