"""The report as one self-contained page: no other file, no request, no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from harness.provenance import VERSION
from harness.report.first_screen import MOST_ANSWERS, answers, facts
from harness.report.table import NONE
from harness.report.verdict_tables import headline, tally
from harness.report.words import GLOSSARY, WORDS, explained
from harness.statistics.sentences import provisional_text
from harness.verdicts.judge import StudyVerdicts

if TYPE_CHECKING:
    from markupsafe import Markup

    from harness.report.contents import Section

MOST_CARDS = 12
"""Rows of a table that a phone shows as cards, one below the other; longer ones scroll sideways, and say so."""


def page(findings: StudyVerdicts, sections: Sequence[Section]) -> str:
    """Return the page: what the study found at the top, its parts below."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"slug": _slug, "linked": _linked, "mark": _mark}
    folder = files("harness.report")
    study, said = findings.study, answers(findings)
    values: dict[str, Any] = {
        "title": study.question or study.study,
        "name": study.results_name,
        "done": findings.trials_done,
        "planned": findings.trials_planned,
        "sound": findings.sound,
        "controls": findings.controls,
        "headline": headline(findings),
        "answers": said[:MOST_ANSWERS],
        "more": len(said) - MOST_ANSWERS,
        "tally": tally(findings),
        "facts": facts(findings),
        "notes": _notes(findings),
        "forest": [section for section in sections if getattr(section, "name", "") == "forest"],
        "sections": [section for section in sections if getattr(section, "name", "") != "forest"],
        "words": [word for words in GLOSSARY.values() for word in words],
        "marked": {word.word for group in ("verdicts", "health") for word in GLOSSARY[group]},
        "nothing_seen": set,
        "none_text": NONE,
        "most_cards": MOST_CARDS,
        "style": Markup((folder / "page.css").read_text(encoding="utf-8")),
        "version": VERSION,
    }
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(values)


def _notes(findings: StudyVerdicts) -> list[str]:
    """Return what is to be known before the answers are believed."""
    primary = findings.primary
    changed = [] if primary is None or primary.provisional is None else [provisional_text(primary.provisional)]
    return [*changed, *findings.notes, *(() if primary is None else primary.notes), *findings.disagreements()]


def _linked(text: str, seen: set[str]) -> Markup:
    """Return text, escaped, in which each word of the glossary leads to its sentence where it first stands."""
    from markupsafe import Markup

    parts = (
        Markup("{}").format(piece)
        if word is None
        else Markup('<a class="word" href="#{}">{}</a>').format(word.anchor, piece)
        for piece, word in explained(text, seen)
    )
    return Markup().join(parts)


def _mark(word: str) -> Markup:
    """Return a verdict, outcome or status in its colour, leading to what it means where the glossary has it."""
    from markupsafe import Markup

    slug = _slug(word)
    if word in WORDS:
        return Markup('<a class="mark {}" href="#word-{}">{}</a>').format(slug, slug, word)
    return Markup('<span class="mark {}">{}</span>').format(slug, word)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
