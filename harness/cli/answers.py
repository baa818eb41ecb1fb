"""The command `answers`: statements and what stored studies say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import print_json

STATEMENTS = Path("studies/claims/posts.yaml")


def answers(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Folder that holds a folder of results per study.")
    ],
    claims: Annotated[
        Path, typer.Option("--claims", metavar="FILE", help="The statements, with their ids.")
    ] = STATEMENTS,
    as_json: Json = False,
) -> None:
    """Answer each statement of a file from stored studies, as a page of Markdown."""
    import dataclasses
    import sys

    from harness.answers import answers as answered
    from harness.answers import page, read_statements
    from harness.answers.answers import stored_studies

    statements = read_statements(claims)
    studies = stored_studies(results)
    found = answered(statements, studies)
    if as_json:
        print_json(
            "answers",
            {
                "results": str(results),
                "statements": [
                    {
                        "id": answer.statement.id,
                        "says": answer.statement.says,
                        "answer": answer.outcome,
                        "settled": answer.settled,
                        "evidence": [dataclasses.asdict(evidence) for evidence in answer.evidence],
                    }
                    for answer in found
                ],
            },
        )
    else:
        sys.stdout.write(page(statements, studies, found, results))
