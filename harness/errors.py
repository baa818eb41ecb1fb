"""What a user can get wrong: errors that the command line prints without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """Something in the user's hands: a file, a setting, a folder, a missing package.

    The message reads ``<where>: <what was found>; <what is allowed or the way out>``. Everything that is not
    a `HarnessError` is a bug and keeps its traceback.
    """


class StudyError(HarnessError):
    """All the problems of one study file in one message."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        lines = [f"{where}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}", *self.problems]
        super().__init__("\n  ".join(lines))


class DataError(HarnessError):
    """Data that cannot be read, or that does not hold what the study asks of it."""


class StoreError(HarnessError):
    """A results folder that is in use, damaged, not writable, or belongs to another study."""


class MissingExtraError(HarnessError):
    """A package, font or weights file that is not installed; the message says how to get it."""


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return the way out for an unknown word: ``; did you mean 'x'?``, or what is allowed when nothing is near."""
    names = sorted(allowed)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    alike = [name for name in names if name.startswith(word[:3])] if len(names) > MANY else names
    return f"; {'allowed' if alike is names else 'near it are'}: {', '.join(alike[:MANY])}" if alike else ""


MANY = 16
"""Longest list of allowed words that a message prints."""
