"""The words that reports, the terminal and the documentation use, each in one line: what `glossary.yaml` says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from harness.statistics.verdict_rule import Verdict
from harness.verdicts.health import Health


@dataclass(frozen=True)
class Word:
    """One word of the glossary."""

    word: str
    means: str
    """One sentence, without its full stop."""
    also: tuple[str, ...] = ()
    """Other forms of it."""

    @property
    def anchor(self) -> str:
        """The id of its entry in a page."""
        return f"word-{re.sub(r'[^a-z0-9]+', '-', self.word.lower()).strip('-')}"


def _glossary() -> dict[str, tuple[Word, ...]]:
    groups: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
        (files("harness.report") / "glossary.yaml").read_text(encoding="utf-8")
    )
    return {
        group: tuple(Word(word, of["means"], tuple(of.get("also", ()))) for word, of in words.items())
        for group, words in groups.items()
    }


GLOSSARY = _glossary()
"""The words by group: `verdicts` and `health`, in the order in which tables list them, and all other `words`."""
VERDICTS = tuple((Verdict(word.word), word.means) for word in GLOSSARY["verdicts"])
HEALTH = tuple((Health(word.word), word.means) for word in GLOSSARY["health"])
"""What a trial can come to, the best first; the last four, of the baseline in most blocks, leave nothing to judge."""
WORDS: Mapping[str, str] = {word.word: word.means for words in GLOSSARY.values() for word in words}
"""Every word by itself; `explain` prints them."""


@cache
def _forms() -> tuple[re.Pattern[str], Mapping[str, Word]]:
    forms = {form.lower(): word for words in GLOSSARY.values() for word in words for form in (word.word, *word.also)}
    longest_first = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(rf"(?<![\w'.-])(?:{longest_first})(?![\w'-]|\.\w)", re.IGNORECASE), forms


def explained(text: str, seen: set[str] | None = None) -> Iterator[tuple[str, Word | None]]:
    """Yield a text in pieces, each with the word of the glossary that it is; a word is one only where it first stands.

    Args:
        text: Plain text.
        seen: Words that were explained before, to which those of this text are added.
    """
    pattern, forms = _forms()
    seen, end = set() if seen is None else seen, 0
    for found in pattern.finditer(text):
        word = forms[found[0].lower()]
        if word.word not in seen:
            seen.add(word.word)
            yield text[end : found.start()], None
            yield found[0], word
            end = found.end()
    yield text[end:], None


GLOSSARY_HEAD = """# Glossary

Each word that verdicts and reports use, in a sentence. `python -m harness explain WORD` prints one of them, and every
report links to them. Made from `harness/report/glossary.yaml`:

```sh
python -c 'from harness.report.words import glossary_page; print(glossary_page(), end="")' > docs/glossary.md
```"""


def glossary_page() -> str:
    """Return the glossary as a page of the documentation."""
    heads = {"verdicts": "Verdicts", "health": "Health of a trial", "words": "Other words"}
    parts = [GLOSSARY_HEAD]
    for group, words in GLOSSARY.items():
        parts += [f"## {heads[group]}", *(f"**{word.word}** – {word.means}." for word in words)]
    return "\n\n".join(parts) + "\n"
