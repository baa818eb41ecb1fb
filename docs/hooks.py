"""What the pages need from outside docs/: the files that they link to, and links that lead to them in the site."""

from __future__ import annotations

import functools
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from typer.cli import get_docs_for_click
from typer.main import get_command

from harness.cli.app import app

ROOT = Path(__file__).parents[1]
OUTSIDE = (
    *("CONTRIBUTING.md", "AGENTS.md", "SECURITY.md", "CHANGELOG.md", "results/README.md", "studies/own_gan/README.md"),
    *("results/*/report/report.html", "results/*/report/figures/*.svg", "results/*/plan.json"),
)
"""Files of the repository that become part of the site, each at its own path."""
LINK = re.compile(r"\]\(<?([^)>\s#]+)(#[^)>\s]*)?>?\)")


@functools.cache
def _outside() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for pattern in OUTSIDE for path in sorted(ROOT.glob(pattern))]


def on_files(files: Any, config: Any) -> Any:
    """Add the files from outside docs/, and the page of commands, which typer makes of the command line itself."""
    for path in _outside():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    command = get_command(app)
    with command.make_context("python -m harness", [], resilient_parsing=True) as context:
        content = get_docs_for_click(obj=command, ctx=context, name="python -m harness")
    files.append(
        File.generated(config, "commands.md", content=content.replace("# `python -m harness`", "# Commands", 1))
    )
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead where their targets are in the site; what is not part of it stays as text."""
    here = page.file.src_uri
    stored = here if here in _outside() else f"docs/{here}"
    # The theme would fetch what draws these; the page says the same in words and a table.
    markdown = re.sub(r"^```mermaid$.*?^```$\n", "", markdown, flags=re.DOTALL | re.MULTILINE)
    parts = re.split(r"(^```.*?^```|^~~~.*?^~~~)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if i % 2 else LINK.sub(lambda m: _link(m, stored, here), part) for i, part in enumerate(parts))


def _link(match: re.Match[str], stored: str, here: str) -> str:
    address, anchor = match.group(1), match.group(2) or ""
    if re.match(r"[a-z]+:", address):
        return match.group(0)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(stored), address))
    if target.startswith("docs/"):
        target = target.removeprefix("docs/")
    elif target == "README.md":
        target = "index.md"
    elif target.endswith("report/report.md"):
        target = target.removesuffix("md") + "html"
    elif target not in _outside():
        return "]"
    return f"](<{posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor}>)"
