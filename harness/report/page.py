"""The report as one self-contained page: no other file, no request, no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from harness.provenance import VERSION
from harness.report.samples import Samples
from harness.report.table import NONE, Table
from harness.report.verdict_tables import MEANINGS, headline, in_words, tally
from harness.verdicts.judge import StudyVerdicts


def page(
    findings: StudyVerdicts,
    *,
    answer: Sequence[Table],
    rest: Sequence[Table],
    figures: dict[str, str | None],
    samples: Samples | None,
) -> str:
    """Return the page.

    Args:
        findings: What the study found.
        answer: Tables that come first, before the figures.
        rest: Tables that come after them.
        figures: SVG elements `forest`, `paired`, `interactions` and `course`; None where there is nothing to draw.
        samples: Strips of held-out items; None where there are none.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["slug"] = _slug
    folder = files("harness.report")
    study = findings.study
    values: dict[str, Any] = {
        "title": study.question or study.study,
        "name": study.study,
        "metric": study.measure.primary,
        "horizon": study.measure.steps(study.training.steps)[-1],
        "done": findings.trials_done,
        "planned": findings.trials_planned,
        "sound": findings.sound,
        "controls": findings.controls,
        "headline": headline(findings),
        "tally": tally(findings),
        "notes": (*findings.notes, *(findings.primary.notes if findings.primary is not None else ())),
        "answer": answer,
        "rest": rest,
        "sentences": in_words(findings),
        "samples": samples,
        "meanings": MEANINGS,
        "none_text": NONE,
        "style": Markup((folder / "page.css").read_text(encoding="utf-8")),
        "version": VERSION,
        **{name: None if svg is None else Markup(svg) for name, svg in figures.items()},
    }
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(values)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
