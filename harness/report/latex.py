"""Tables and figures for a paper: LaTeX with booktabs, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.contents import Section
from harness.report.drawing import Figure
from harness.report.table import NONE, TIMES, Table

HEAD = r"""% Needs \usepackage{booktabs,caption,graphicx} and \usepackage[T1]{fontenc}; XeLaTeX for other scripts.
"""
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
SIGNS = {TIMES: r"$\times$", NONE: "--", "±": r"$\pm$"}
"""Signs that the report itself writes."""


def latex(sections: Sequence[Section]) -> str:
    """Return the tables and figures, each one a float as wide as the text at most."""
    tables = [_table(section) for section in sections if isinstance(section, Table) and section.in_paper]
    figures = [_figure(section) for section in sections if isinstance(section, Figure)]
    return HEAD + "\n".join([*tables, *figures])


def escaped(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"} | SIGNS
    return "".join(special.get(char, char) for char in " ".join(text.split()))


def _table(table: Table) -> str:
    kinds = "".join("l" if column.words else "r" for column in table.columns)
    heads = tuple(column.head for column in table.columns)
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in (heads, *table.rows)]
    return "\n".join(
        (
            r"\begin{table}",
            rf"\caption{{{escaped(table.title)}. {escaped(table.note)}}}",
            rf"\label{{tab:{table.name}}}",
            r"\centering\small",
            FITTED,
            rf"\begin{{tabular}}{{{kinds}}}",
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


def _figure(figure: Figure) -> str:
    return "\n".join(
        (
            r"\begin{figure}",
            r"\centering",
            FITTED,
            rf"\includegraphics{{{figure.address('pdf')}}}}}",
            rf"\caption{{{escaped(figure.title)}. {escaped(figure.caption)}}}",
            rf"\label{{fig:{figure.name}}}",
            r"\end{figure}",
            "",
        )
    )
