"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
