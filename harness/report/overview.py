"""One page over several studies: question, verdict, interval, cost, and where the report of each is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.metrics.catalogue import metric_named
from harness.provenance import VERSION
from harness.report.markdown import escaped
from harness.results.store import Store
from harness.statistics.number_format import change, span
from harness.verdicts.judge import StudyVerdicts


@dataclass(frozen=True)
class OverviewRow:
    """One arm of one study."""

    study: str
    question: str
    arm: str
    verdict: str
    metric: str
    change: str
    interval: str
    blocks: int
    cost: str
    """The largest cost beside quality, as a multiple of the baseline's."""
    trials_done: int
    trials_planned: int
    link: str
    """Path of the study's report, seen from the page's folder; empty where none was written."""


def overview_rows(studies: Sequence[tuple[Store, StudyVerdicts]], folder: Path) -> tuple[OverviewRow, ...]:
    """Return a row for every arm that is compared in every study; one without a verdict where there is none yet."""
    return tuple(row for store, findings in studies for row in _rows(store, findings, folder))


def _rows(store: Store, findings: StudyVerdicts, folder: Path) -> list[OverviewRow]:
    study, metric = findings.study, metric_named(findings.study.measure.primary)
    report = store.folder / "report" / "report.html"
    shared: dict[str, Any] = {
        "study": study.results_name,
        "question": study.question or study.study,
        "metric": metric.name,
        "trials_done": findings.trials_done,
        "trials_planned": findings.trials_planned,
        "link": Path(os.path.relpath(report, folder)).as_posix() if report.is_file() else "",
    }
    rows = [
        OverviewRow(
            arm=c.arm,
            verdict=c.verdict.value,
            change="" if c.estimate is None else change(c.estimate, metric.scale),
            interval="" if c.ci.low is None else span(c.ci.low, c.ci.high, metric.scale),
            blocks=c.n,
            cost=max(((x.ratio, f"{x.ratio:.3g} times the {x.name}") for x in c.costs if x.ratio), default=(0, ""))[1],
            **shared,
        )
        for c in findings.contrasts
    ]
    return rows or [OverviewRow(arm="", verdict="none yet", change="", interval="", blocks=0, cost="", **shared)]


HEADS = ("question", "arm", "verdict", "change", "interval", "pairs", "cost")


def _cells(row: OverviewRow) -> tuple[str, ...]:
    changed = f"{row.change} ({row.metric})" if row.change else ""
    return row.question, row.arm, row.verdict, changed, row.interval, str(row.blocks), row.cost


def overview_markdown(rows: Sequence[OverviewRow]) -> str:
    """Return the page as a table of Markdown; questions link to reports."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + " --- |" * len(HEADS)]
    for row in rows:
        question, *others = map(escaped, _cells(row))
        first = f"[{question}](<{row.link}>)" if row.link else question
        lines.append(f"| {' | '.join([first, *others])} |")
    return "\n".join(lines) + "\n"


def overview_page(rows: Sequence[OverviewRow]) -> str:
    """Return the page as HTML without script, all text escaped; a table on a wide screen, cards on a narrow one."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["slug"] = lambda text: text.replace(" ", "-")
    folder = files("harness.report")
    style = Markup((folder / "page.css").read_text(encoding="utf-8"))
    template = environment.from_string((folder / "overview.html.j2").read_text(encoding="utf-8"))
    studies = len({row.study for row in rows})
    return template.render(
        rows=[(row, _cells(row)) for row in rows], heads=HEADS, studies=studies, style=style, version=VERSION
    )


def overview_document(rows: Sequence[OverviewRow]) -> list[dict[str, Any]]:
    """Return the rows as JSON's own types."""
    return [asdict(row) for row in rows]
