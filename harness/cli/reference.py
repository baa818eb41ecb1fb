"""What there is: `doctor`, `schema`, `explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.ending import NOT_ALL_COMPLETE
from harness.cli.options import Json
from harness.cli.output import console_of, print_json, write_json
from harness.errors import HarnessError, did_you_mean


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Print only the commands that bring what is missing.")] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Test the GPU for about a minute, and print what a report of a fault needs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What this machine has, what is missing, and how to get it."""
    import dataclasses

    if gpu:
        _test_gpu(as_json=as_json)
        return
    from harness.terminal.doctor import examine

    findings = list(examine())
    console = console_of(as_json=as_json)
    for finding in findings:
        for line in finding.fix if fix else (str(finding),):
            console.print(line, markup=False, highlight=False)
    if as_json:
        print_json("doctor", {"findings": [dataclasses.asdict(finding) for finding in findings]})


def _test_gpu(*, as_json: bool) -> None:
    """Test the GPU; exit code 1 where a check fails.

    Raises:
        HarnessError: There is none; what a report needs is printed all the same.
    """
    import dataclasses

    import torch

    from harness.terminal.gpu_check import checked, described

    console = console_of(as_json=as_json)
    machine = described()
    for name, found in machine.items():
        console.print(f"{name}: {found}", markup=False, highlight=False)
    if not torch.cuda.is_available():
        raise HarnessError("doctor --gpu: torch sees no GPU here; trials run on the CPU")
    checks = []
    for check in checked():
        state = "ok" if check.passed else "FAILED"
        console.print(f"{check.name}: {state} ({check.seconds:.1f} s) {check.found}", markup=False, highlight=False)
        checks.append(check)
    if as_json:
        print_json("gpu", {"machine": machine, "checks": [dataclasses.asdict(check) for check in checks]})
    if not all(check.passed for check in checks):
        raise typer.Exit(NOT_ALL_COMPLETE)


def schema(
    document: Annotated[
        str, typer.Argument(metavar="DOCUMENT", help="study, or a document: run, plan, compare, error, event …")
    ] = "study",
) -> None:
    """JSON Schema of a study file, or of what a command prints with --json."""
    from harness.cli.documents import DOCUMENTS, json_schema
    from harness.study.study import Study

    if document == "study":
        write_json(Study.model_json_schema())
    elif document in DOCUMENTS:
        write_json(json_schema(document))
    else:
        raise HarnessError(f"schema: no document '{document}'{did_you_mean(document, ('study', *DOCUMENTS))}")


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
        found = [{"setting": name, "meaning": meaning} for name, meaning in listed.items()]
        document: dict[str, object] = {"settings": found, "words": WORDS}
    elif setting in WORDS:
        console.print(f"{setting}\n  {WORDS[setting]}", markup=False, highlight=False)
        document = {"settings": [], "words": {setting: WORDS[setting]}}
    else:
        explained = explain_setting(setting)
        console.print(render_explanation(explained), markup=False, highlight=False)
        document = {"settings": [dataclasses.asdict(one) for one in explained], "words": {}}
    if as_json:
        print_json("explain", document)
