"""What a study found, as a page, Markdown, tables for a paper, and JSON; shows findings and computes no verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.atomic_write import atomic_write
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.results.store import Store
    from harness.verdicts.judge import StudyVerdicts

__all__ = ["Format", "document", "refresh", "rendered", "write"]


SCHEMA = "report/1"
"""Name and version of the form of `report.json`; see docs/json.md."""
ENDINGS = ("html", "md", "tex", "json")


def refresh(findings: StudyVerdicts, store: Store) -> dict[str, Path]:
    """Write a study's report, as `write` does, unless the one that is there is of the same rows, study and code."""
    folder = store.folder / "report"
    paths = {ending: folder / f"report.{ending}" for ending in ENDINGS}
    digest, of = store.digest(), folder / ".of"
    if (
        of.is_file()
        and of.read_text(encoding="utf-8", errors="replace") == digest
        and all(map(Path.is_file, paths.values()))
    ):
        return paths
    of.unlink(missing_ok=True)
    write(findings, store)
    with atomic_write(of) as file:
        file.write(digest.encode())
    return paths


def write(findings: StudyVerdicts, store: Store, folder: Path | None = None) -> dict[str, Path]:
    """Write `report.html`, `report.md`, `report.tex` and `report.json`, each whole, and return their paths by ending.

    Markdown and LaTeX take their figures from `figures/` beside them.

    Args:
        findings: What the study found.
        store: Its results.
        folder: Where to write; ``report`` in the results unless given.

    Raises:
        StoreError: The folder cannot be written.
    """
    from harness.report.contents import contents
    from harness.report.drawing import Figure
    from harness.report.latex import latex
    from harness.report.markdown import markdown
    from harness.report.page import page
    from harness.results.store import Store as Folder

    to = folder or store.folder / "report"
    if to.exists() and not to.is_dir():
        raise StoreError(f"{to}: a file is in the way; choose another folder")
    sections = contents(findings)
    texts = {
        "html": page(findings, sections),
        "md": markdown(findings, sections, to),
        "tex": latex(sections),
        "json": json.dumps({"schema": SCHEMA, **document(findings)}, indent=1, ensure_ascii=False, allow_nan=False)
        + "\n",
    }
    target = Folder(to, None if folder or store.remote is None else store.remote.below("report"))
    for figure in sections:
        for name, content in figure.files().items() if isinstance(figure, Figure) else ():
            target.write_file(name, content)
    for ending, text in texts.items():
        target.write_file(f"report.{ending}", text.encode("utf-8"))
    return {ending: to / f"report.{ending}" for ending in texts}


Format = Literal["html", "markdown", "latex", "csv", "json"]


def rendered(findings: StudyVerdicts, form: Format) -> str:
    """Return a report by itself, as text: pages hold their figures, Markdown and LaTeX leave out what needs files."""
    from harness.report.contents import Sentences, contents
    from harness.report.latex import latex
    from harness.report.markdown import markdown
    from harness.report.page import page
    from harness.report.table import Table
    from harness.report.table_file import table_file

    if form == "csv":
        return table_file(findings)
    if form == "json":
        return (
            json.dumps({"schema": SCHEMA, **document(findings)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        )
    sections = contents(findings)
    if form == "html":
        return page(findings, sections)
    sections = tuple(section for section in sections if isinstance(section, Table | Sentences))
    return markdown(findings, sections, Path()) if form == "markdown" else latex(sections)


def document(findings: StudyVerdicts) -> dict[str, Any]:
    """Return all findings as JSON's own types, null where there is no number: the document of ``compare`` and more.

    The primary metric's `contrasts` and what they mean stand at the top, as ``compare --json`` has them; further
    metrics, each such a document again, are under `exploratory`.
    """
    from harness.metrics.catalogue import metric_named
    from harness.report.verdict_tables import headline
    from harness.statistics.analysis import plain

    study, metric = findings.study, metric_named(findings.study.measure.primary)
    empty = {"metric": metric.name, "better": metric.better, "scale": metric.scale, "contrasts": [], "notes": []}
    primary = empty if findings.primary is None else findings.primary.to_dict()
    return {
        "study": study.study,
        "study_hash": study.hash,
        "question": study.question,
        "headline": headline(findings),
        "sound": findings.sound,
        "trials_done": findings.trials_done,
        "trials_planned": findings.trials_planned,
        **primary,
        "unit": metric.unit,
        "horizon": study.horizon,
        "notes": [*findings.notes, *primary["notes"]],
        "effects": [] if findings.effects is None else findings.effects.to_dict()["effects"],
        "arms": [plain(arm) for arm in findings.arms],
        "exploratory": [analysis.to_dict() for analysis in findings.others],
        "health": None if findings.health is None else findings.health.to_dict(),
        "controls": [control.to_dict() for control in findings.controls],
        "claims": [
            {
                **settled.claim.model_dump(mode="json"),
                "metric": settled.metric,
                "verdict": plain(settled.verdict),
                "outcome": settled.outcome,
                "evidence": settled.evidence,
            }
            for settled in findings.claims
        ],
    }
