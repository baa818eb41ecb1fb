"""The report as one self-contained page: no other file, no request, no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from harness.provenance import VERSION
from harness.report.table import NONE
from harness.report.verdict_tables import headline, tally
from harness.report.words import HEALTH, VERDICTS
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    from harness.report.contents import Section


def page(findings: StudyVerdicts, sections: Sequence[Section]) -> str:
    """Return the page: what the study found at the top, its parts below."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["slug"] = _slug
    folder = files("harness.report")
    study = findings.study
    values: dict[str, Any] = {
        "title": study.question or study.study,
        "name": study.results_name,
        "metric": study.measure.primary,
        "when": study.when,
        "done": findings.trials_done,
        "planned": findings.trials_planned,
        "sound": findings.sound,
        "controls": findings.controls,
        "headline": headline(findings),
        "tally": tally(findings),
        "notes": (*findings.notes, *(findings.primary.notes if findings.primary is not None else ())),
        "sections": sections,
        "meanings": (*VERDICTS, *HEALTH),
        "none_text": NONE,
        "style": Markup((folder / "page.css").read_text(encoding="utf-8")),
        "version": VERSION,
    }
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(values)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
