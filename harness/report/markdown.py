"""The report as Markdown (GitHub's), with all text escaped."""

from __future__ import annotations

import re

from harness.report.table import Table


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is; one line.

    Example:
        >>> escaped("a|b_c <script> *x*")
        'a\\|b_c \\<script\\> \\*x\\*'
    """
    text = re.sub(r"[\\`*\[\]<>|#~$&{}]", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def markdown_table(table: Table) -> str:
    """Return a table under its heading, with its note."""
    rules = " | ".join(":---" if i in table.text else "---:" for i in range(len(table.head)))
    lines = [f"| {' | '.join(map(escaped, table.head))} |", f"| {rules} |"]
    lines += [f"| {' | '.join(map(escaped, row))} |" for row in table.rows]
    return f"## {escaped(table.title)}\n\n" + "\n".join(lines) + f"\n\n{escaped(table.note)}"
