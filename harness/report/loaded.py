"""A study's results in Python: rows and verdicts as frames, the forest as a figure, all shown in a notebook."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.report.forest import draw_forest
from harness.report.table_file import COLUMNS, verdict_rows
from harness.report.verdict_tables import contrast_table, headline
from harness.results.store import Store
from harness.results.tables import Tables
from harness.verdicts.judge import StudyVerdicts, judge

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN = 5
"""Columns of the table of contrasts that a notebook shows: arm, verdict, change, interval, pairs."""


class LoadedStudy(Tables):
    """A study's own, sound rows, and what they say; each part is worked out when it is first used."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, store.frozen())

    @cached_property
    def findings(self) -> StudyVerdicts:
        """Everything that the rows say: what `harness.run` returns."""
        return judge(self.frozen.study, self, self._store.plan())

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row per metric and arm, the primary metric first: verdict, estimate, interval, margin, pairs.

        Estimates and intervals are on the scale of the metric's analysis, logarithms where `scale` says ``log``.
        """
        import pandas as pd

        return pd.DataFrame(verdict_rows(self.findings), columns=list(COLUMNS))

    def plot(self) -> Figure:
        """Return a figure of every arm's change in the primary metric with its interval, the margin and the cost.

        Raises:
            StoreError: No arm can be compared yet.
        """
        analysis = self.findings.primary
        if analysis is None or all(c.estimate is None for c in analysis.contrasts):
            raise StoreError(f"{self._store.folder}: nothing to plot yet; no arm has a pair with the baseline")
        return draw_forest(analysis)

    def _repr_html_(self) -> str:
        """Return question, headline and table of verdicts as a notebook shows them, all text escaped."""
        from markupsafe import Markup

        study, table = self.findings.study, contrast_table(self.findings)
        parts = [Markup("<p><b>{}</b></p><p>{}</p>").format(study.question or study.study, headline(self.findings))]
        if table is not None:
            heads = Markup().join(Markup("<th>{}</th>").format(column.head) for column in table.columns[:SHOWN])
            rows = Markup().join(
                Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(cell) for cell in row[:SHOWN]))
                for row in table.rows
            )
            parts.append(Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(heads, rows))
        return str(Markup().join(parts))
