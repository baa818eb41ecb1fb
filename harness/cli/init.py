"""`init`: a commented start that runs as it is."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import console_of, print_json
from harness.errors import HarnessError, StoreError, did_you_mean

STARTS = {
    "quickstart": "the first study: one question about zi2zi, no download",
    "own-network": "a generator and a discriminator of your own",
    "own-script": "a training script of your own, as a command",
    "compare": "a table of results that you have already",
}


def init(
    start: Annotated[
        str, typer.Argument(metavar="START", help="; ".join(f"{name}: {what}" for name, what in STARTS.items()))
    ] = "quickstart",
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where to write; a folder named START unless given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented study that runs as it is."""
    if start not in STARTS:
        raise HarnessError(f"init: no start '{start}'{did_you_mean(start, STARTS)}")
    to = folder or Path(start)
    texts = {file.name: file.read_text(encoding="utf-8") for file in _files(start)}
    if taken := [name for name in texts if (to / name).exists()]:
        raise StoreError(f"{to}: holds {', '.join(taken)} already; choose another folder: init {start} FOLDER")
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (to / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{to}: cannot be written ({error.strerror}); choose another folder") from error
    following = [f"cd {to}", *_commands(texts["README.md"])]
    console = console_of(as_json=as_json)
    console.print(f"{to}: {', '.join(texts)}; {STARTS[start]}. Next:", markup=False, highlight=False)
    for line in following:
        console.print(f"  {line}", markup=False, highlight=False)
    if as_json:
        print_json("init", {"folder": str(to), "files": list(texts), "next": following})


def _files(start: str) -> list[Traversable]:
    folder = files("harness.cli") / "starts" / start
    return sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.name)


def _commands(page: str) -> list[str]:
    """Return the commands of a page, without what they are explained by."""
    return [
        line.split("  #")[0].rstrip()
        for code in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in code.splitlines()
    ]
