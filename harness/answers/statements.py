"""A file of statements: what was said, what follows before any training, and where the evidence is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from harness.errors import DataError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pointer(_Part):
    """Where a finding stands that settles something without training: in a stored plan, or in a test."""

    plan: str | None = None
    """A study; `says` are words of one of its plan's findings, of the form `arm: proof`, or `subject: finding`."""
    says: str | None = None
    test: str | None = None
    """A test, as pytest names it."""

    @property
    def place(self) -> tuple[str, str]:
        """The study and the words; empty where it points to a test."""
        return self.plan or "", self.says or ""

    @model_validator(mode="after")
    def _one_place(self) -> Pointer:
        if (self.plan is None) == (self.test is None) or (self.plan is None) != (self.says is None):
            raise ValueError("evidence is {plan: STUDY, says: WORDS} or {test: NAME}")
        return self


class Statement(_Part):
    """One statement."""

    id: str
    says: str
    contrast: str
    known: str = ""
    """What follows before any training."""
    answer: str = ""
    """The answer, where shapes, algebra or text give it; else verdicts do."""
    text: bool = False
    """It is about a text, which no program reads."""
    evidence: tuple[Pointer, ...] = ()
    not_here: str = ""
    """Why it is not answered on this machine."""

    def is_asked_by(self, claim: str) -> bool:
        """Return whether a study's claim of that id is this statement or a part of it, like `003-5b` of `003-5`."""
        return re.fullmatch(re.escape(self.id) + "[a-z]?", claim) is not None


class Post(_Part):
    """A text whose statements are answered."""

    title: str
    study: str
    """The study whose picture stands beside the answers."""


class Statements(_Part):
    """All of a file."""

    posts: dict[str, Post]
    """By the beginning of their statements' ids."""
    statements: tuple[Statement, ...]

    @model_validator(mode="after")
    def _each_once_and_of_a_post(self) -> Statements:
        ids = [statement.id for statement in self.statements]
        if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise ValueError(f"statements: {', '.join(twice)} more than once")
        if lost := [id_ for id_ in ids if id_.split("-")[0] not in self.posts]:
            raise ValueError(f"statements: {', '.join(lost)}: no such post")
        return self


def read_statements(path: Path) -> Statements:
    """Read a file of statements.

    Raises:
        DataError: It is missing, no YAML, or not of this form.
    """
    try:
        return Statements.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path}: {place}: {first['msg']}") from error
