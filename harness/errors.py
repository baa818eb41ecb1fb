"""What a user can get wrong: errors that the command line prints without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """Something in the user's hands: a file, a setting, a folder, a missing package.

    The message reads ``<where>: <what was found>; <what is allowed or the way out>``. Everything that is not
    a `HarnessError` is a defect of this program, with exit code 70 and its trace in a file.
    """


class StudyError(HarnessError):
    """All the problems of one study file in one message; of very many the first."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{where}: {count} problem{'s' if count != 1 else ''}"]
        lines += [shortened(problem, LONG_LINE) for problem in self.problems[:MANY_PROBLEMS]]
        lines += [f"and {count - MANY_PROBLEMS} more"] if count > MANY_PROBLEMS else []
        super().__init__("\n  ".join(lines))


class DataError(HarnessError):
    """Data that cannot be read, or that does not hold what the study asks of it."""


class StoreError(HarnessError):
    """A results folder that is in use, damaged, not writable, or belongs to another study."""


class MissingExtraError(HarnessError):
    """A package, font or weights file that is not installed; the message says how to get it."""


def shortened(text: str, most: int = 80) -> str:
    """Return a text of at most `most` characters on one line: itself, or its beginning and how long it is."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    end = f"… ({len(text)} characters)"
    return f"{line[: most - len(end)]}{end}"


def printable(text: str) -> str:
    """Return a text in which only line breaks steer a terminal: other control characters and the like are spelt out."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode("ascii") for char in text
    )


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the way out for an unknown word: ``; did you mean 'x'?``, or what is allowed when nothing is near."""
    names = sorted(allowed)
    word = word[:LONG_LINE]
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    alike = [name for name in names if name.startswith(word[:3])] if len(names) > MANY else names
    return f"; {'allowed' if alike is names else 'near it are'}: {', '.join(alike[:MANY])}" if alike else ""


MANY_PROBLEMS = 20
"""Most problems that a message prints."""
LONG_LINE = 400
"""Characters of a problem that a message prints."""
MANY = 16
"""Longest list of allowed words that a message prints."""
