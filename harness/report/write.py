"""What a study found, as a page, Markdown, tables for a paper, and JSON; shows findings and computes no verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.report.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from harness.report.samples import Samples
    from harness.report.table import Table
    from harness.results.store import Store
    from harness.verdicts.judge import StudyVerdicts

__all__ = ["document", "write"]


def write(findings: StudyVerdicts, store: Store, folder: Path | None = None) -> dict[str, Path]:
    """Write `report.html`, `report.md`, `report.tex` and `report.json`, each whole, and return their paths by ending.

    Args:
        findings: What the study found.
        store: Its results, for values by block, samples and provenance.
        folder: Where to write; ``report`` in the results unless given.

    Raises:
        StoreError: The folder cannot be written.
    """
    from harness.report.figures import course, forest, interactions, paired
    from harness.report.latex import latex
    from harness.report.page import page
    from harness.report.samples import samples
    from harness.results.store import Store as Folder

    to = folder or store.folder / "report"
    if to.exists() and not to.is_dir():
        raise StoreError(f"{to}: a file is in the way; choose another folder")
    trials, measurements = findings.tables.trials, findings.tables.measurements
    tables = _tables(findings, trials, measurements)
    pictures = samples(findings, store, trials)
    figures = {
        "forest": None if findings.primary is None else forest(findings.primary),
        "paired": paired(findings, trials),
        "interactions": interactions(findings),
        "course": course(findings, trials, measurements),
    }
    html = page(findings, answer=tables.answer, rest=tables.rest, figures=figures, samples=pictures)
    written = {
        "html": html,
        "md": _markdown(findings, tables, pictures, to),
        "tex": latex([t for t in (*tables.answer, *tables.rest) if t.name != "provenance"]),
        "json": json.dumps(document(findings), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    target = Folder(to, None if folder or store.remote is None else store.remote.below("report"))
    for ending, text in written.items():
        target.write_file(f"report.{ending}", text.encode("utf-8"))
    return {ending: to / f"report.{ending}" for ending in written}


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
        "horizon": study.measure.steps(study.training.steps)[-1],
        "notes": [*findings.notes, *primary["notes"]],
        "effects": [] if findings.effects is None else findings.effects.to_dict()["effects"],
        "arms": [plain(arm) for arm in findings.arms],
        "exploratory": [analysis.to_dict() for analysis in findings.others],
        "controls": [control.to_dict() for control in findings.controls],
        "claims": [
            {
                **settled.claim.model_dump(mode="json"),
                "metric": settled.metric,
                "verdict": plain(settled.verdict),
                "outcome": settled.outcome,
            }
            for settled in findings.claims
        ],
    }


@dataclass(frozen=True)
class _Tables:
    """All tables of a report in the order in which they are read."""

    answer: tuple[Table, ...]
    rest: tuple[Table, ...]


def _tables(findings: StudyVerdicts, trials: Any, measurements: Any) -> _Tables:
    from harness.report import trial_tables as rows
    from harness.report import verdict_tables as verdicts

    primary = findings.primary
    answer = [None if primary is None else verdicts.contrast_table(primary), verdicts.effect_table(findings)]
    rest = [
        verdicts.claim_table(findings),
        None if primary is None else verdicts.cost_table(primary),
        rows.arm_table(findings, trials),
        rows.failure_table(trials),
        None if primary is None else verdicts.trust_table(primary),
        verdicts.control_table(findings),
        verdicts.exploratory_table(findings),
        rows.floor_table(findings, trials, measurements),
        rows.provenance_table(findings, trials),
    ]
    return _Tables(*(tuple(table for table in part if table is not None) for part in (answer, rest)))


def _markdown(findings: StudyVerdicts, tables: _Tables, pictures: Samples | None, folder: Path) -> str:
    from harness.report.samples import relative
    from harness.report.verdict_tables import headline, in_words

    parts = [f"# {escaped(findings.study.question or findings.study.study)}"]
    if not findings.sound:
        parts.append("**A CONTROL FAILED: do not trust the verdicts below before you know why.**")
    parts.append(f"**{escaped(headline(findings))}**")
    parts.append(f"{findings.trials_done} of {findings.trials_planned} trials done.")
    parts += [f"> {escaped(note)}" for note in findings.notes]
    parts += [markdown_table(table) for table in tables.answer]
    if len(sentences := in_words(findings)) > 1:
        parts.append("\n".join(f"- {escaped(sentence)}" for sentence in sentences))
    if pictures is not None:
        strips = [
            f"{escaped(label)}{f' ({escaped(about)})' if about else ''}\n\n![{escaped(label)}](<{address}>)"
            for label, about, address in relative(pictures.strips, folder)
        ]
        parts += [f"## The same held-out items, block {pictures.block}", *strips]
    return "\n\n".join([*parts, *(markdown_table(table) for table in tables.rest)]) + "\n"
