from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from harness.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("studies/**/*.md"), *ROOT.glob("harness/**/*.md")]
)
CALL = re.compile(r"(?:python3? -m harness|gan-harness)(?= )")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of ours in a page's blocks of shell code, up to a pipe or a comment."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for code in re.findall(r"^```(?:sh|bash|console|yaml)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in code.splitlines():
            for found in list(CALL.finditer(line))[:1]:
                words = shlex.split(line[found.end() :].split("${{")[0], comments=True)
                end = next((i for i, word in enumerate(words) if word in ("|", ">", "&&", "&", ";", "2>")), len(words))
                yield [word.rstrip(";") for word in words[:end]]


def parse(words: list[str]) -> None:
    """Take a command apart as the command line does, without doing it.

    Raises:
        typer.BadParameter: Or another error of usage.
    """
    group = typer.main.get_command(app)
    with group.make_context("harness", [words[0]], resilient_parsing=True) as context:
        command = group.get_command(context, words[0])  # type: ignore[attr-defined]
        assert command is not None, f"no command {words[0]}"
        command.make_context(words[0], words[1:], parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_in_a_page_is_one_that_the_command_line_takes(page: Path) -> None:
    for words in commands(page):
        try:
            parse(words)
        except typer.Exit:
            pass
        except Exception as error:
            raise AssertionError(f"{shlex.join(words)}: {error}") from error


def test_commands_are_found_and_a_wrong_one_is_seen() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 60
    with pytest.raises(typer.BadParameter.__mro__[2]):
        parse(["run", "study.yaml", "--wrkers", "2"])
    with pytest.raises(AssertionError, match="no command rn"):
        parse(["rn", "study.yaml"])
