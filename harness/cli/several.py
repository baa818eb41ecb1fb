"""Commands on several studies: the page over them, and `diff` of two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Json, Results
from harness.cli.output import console_of, print_json
from harness.errors import HarnessError, StoreError, shortened

if TYPE_CHECKING:
    from harness.report.write import Format
    from harness.results.store import Store

LONGEST = 100
"""Characters of a value in the lines of `diff`."""


def overview(stores: Sequence[Store], out: Path | None, form: Format | None, *, as_json: bool) -> None:
    """Write, or print, the page over several studies; folders that hold none are left out, and named."""
    import sys

    from harness.atomic_write import atomic_write
    from harness.report.overview import overview_document, overview_markdown, overview_page, overview_rows
    from harness.verdicts.judge import judge_stored

    if form not in (None, "html", "markdown", "json"):
        raise HarnessError(f"--format {form}: the page over several studies is html, markdown or json")
    console = console_of(as_json=as_json or form is not None)
    held = [store for store in stores if store.exists]
    if not held:
        named = ", ".join(str(store.folder) for store in stores) or "report"
        raise StoreError(f"{named}: no study there; start one with `python -m harness run STUDY`")
    for store in stores:
        if not store.exists:
            console.print(f"{store.folder}: holds no study; left out", markup=False, highlight=False)
    folder = Path.cwd() if form is not None else out or held[0].folder.parent
    rows = overview_rows([judge_stored(store) for store in held], folder)
    if form in ("html", "markdown"):
        sys.stdout.write(overview_page(rows) if form == "html" else overview_markdown(rows))
        return
    files = {}
    if form is None:
        for name, text in (("index.html", overview_page(rows)), ("index.md", overview_markdown(rows))):
            with atomic_write(folder / name) as file:
                file.write(text.encode("utf-8"))
            files[name] = str(folder / name)
            console.print(f"{folder / name}", markup=False, highlight=False)
    if as_json or form == "json":
        print_json("overview", {"rows": overview_document(rows), "files": files})


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A study's name, its file, or the folder of its results.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    results: Results = "results",
    as_json: Json = False,
) -> None:
    """How two studies differ, in settings and in verdicts."""
    from harness.cli.stored import store_of
    from harness.statistics.number_format import aligned
    from harness.verdicts.difference import difference
    from harness.verdicts.judge import judge_stored

    found = difference(*(judge_stored(store_of(study, results))[1] for study in (first, second)))
    console = console_of(as_json=as_json)
    lines = [f"{c.setting}: {_shown(c.was)} -> {_shown(c.now)}" for c in found.settings] or ["the same settings"]
    if found.arms:
        apart = {True: "intervals have nothing in common", False: "intervals overlap", None: ""}
        rows = [(arm.arm, arm.first or "-", arm.second or "-", apart[arm.apart]) for arm in found.arms]
        table = aligned([("arm", first, second, ""), *rows], console.width if console.is_terminal else None)
        lines += ["", *table.splitlines()]
    console.print("\n".join(lines), markup=False, highlight=False)
    if as_json:
        print_json("diff", {"first": first, "second": second, **found.to_dict()})


def _shown(value: object) -> str:
    """Return a setting's value for people; a long one is cut, and whole in the JSON."""
    import json

    return shortened(json.dumps(value, ensure_ascii=False), LONGEST)
