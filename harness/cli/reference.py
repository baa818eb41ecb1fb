"""What there is: `doctor`, `schema`, `explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import console_of, print_json


def doctor() -> None:
    """What this machine has: devices, threads, precision, fonts, feature weights; what is missing and how to get it."""
    from harness.terminal.doctor import examine

    console = console_of()
    for line in examine():
        console.print(line, markup=False, highlight=False)


def schema() -> None:
    """JSON Schema of a study file, for editors."""
    from harness.study.study import Study

    print_json(Study.model_json_schema())


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

    console = console_of(as_json=as_json)
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
        print_json(document)
