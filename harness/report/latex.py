"""Tables for a paper: LaTeX with booktabs, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.table import NONE, TIMES, Table

HEAD = r"""% Needs \usepackage{booktabs,caption,graphicx} and \usepackage[T1]{fontenc}; XeLaTeX for other scripts.
"""
SIGNS = {TIMES: r"$\times$", NONE: "--", "±": r"$\pm$"}
"""Signs that the report itself writes."""


def latex(tables: Sequence[Table]) -> str:
    """Return the tables, each one a float as wide as the text at most."""
    return HEAD + "\n".join(_latex_table(table) for table in tables)


def escaped(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"} | SIGNS
    return "".join(special.get(char, char) for char in " ".join(text.split()))


def _latex_table(table: Table) -> str:
    columns = "".join("l" if i in table.text else "r" for i in range(len(table.head)))
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (table.head, *table.rows)]
    return "\n".join(
        (
            r"\begin{table}",
            rf"\caption{{{escaped(table.title)}. {escaped(table.note)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\centering\small",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        )
    )
