"""Trials that are commands: what is run, where, and what is measured of what it leaves behind."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import did_you_mean
from harness.study.fields import Count, Flag, Settings, Text

Word = Text | int | float
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
GIVEN = ("out", "seed", "block", "arm", "directory", "real", "flags")
"""Placeholders that every command may use; others are axes of the study, or `trial.words`."""
LEVELS = ("revision", "patch", "flags")
"""Settings of a command that are axes by their own names."""
WORKING_TREE = "working-tree"
NO_PATCH = "none"


class ValuesSettings(Settings):
    """Numbers that a command logs."""

    file: Text | None = None
    """JSON lines, CSV or TSV by its ending, or TensorBoard's event files or their folder; standard output unless
    given."""
    pattern: Text | None = None
    """A regular expression with a named group for each value, such as `step (?P<step>\\d+) l1 (?P<l1>\\S+)`; each line
    that it fits is a row."""
    at: Count | None = None
    """The step at which values are compared; the last row unless given."""

    @field_validator("pattern")
    @classmethod
    def _names_its_groups(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            groups = re.compile(value).groupindex
        except re.error as error:
            raise ValueError(f"'{value}' is no regular expression ({error})") from None
        if not groups:
            raise ValueError(f"'{value}' names no value; write a group such as (?P<l1>\\S+)")
        return value

    @model_validator(mode="after")
    def _from_somewhere(self) -> ValuesSettings:
        if self.file is None and self.pattern is None:
            raise ValueError("values: a file, or a pattern on standard output, is needed")
        return self


class CommandSettings(Settings):
    """A trial that is a command of the user's own."""

    command: Text
    """Split into words as a shell would, and never passed through one. `{out}` is a folder of the trial's own,
    `{seed}` a number that the block gives, `{block}` its number, `{arm}` the arm's name, `{directory}` and `{real}` are
    those of the study, `{flags}` becomes several words; other names are axes, or `words`."""
    directory: Text = "."
    """Where it is run, seen from the study's file: a folder, or a place in a git work tree, of which each trial runs in
    a copy of its revision."""
    generated: Text | None = None
    """Images that it leaves, such as `{out}/samples/*.png`, to be measured against `real`."""
    values: Annotated[
        ValuesSettings | None, BeforeValidator(lambda given: {"file": given} if isinstance(given, str) else given)
    ] = None
    """Numbers that it logs, such as `{out}/metrics.jsonl`; `logged(NAME)` is a metric then."""
    revision: Text | None = None
    """A git revision; `working-tree` is what lies there when the study starts, changes that are not committed included,
    and is taken unless another is given."""
    patch: Text = NO_PATCH
    """A file with changes that are made to the revision, as `git diff` writes them; `none` for none."""
    flags: Text = ""
    """Further words of the command."""
    words: dict[Text, Word] = Field(default={})
    """What other placeholders become, each a single word."""
    environment: dict[Text, Text] = Field(default={})
    """Variables set beside those that are inherited."""
    links: tuple[Text, ...] = ()
    """Files or folders of `directory` that git does not keep, such as data, to be linked into each copy."""
    size: Count | None = None
    """Side in pixels to which real and generated images are resized; all must have one size unless given."""
    matched: Flag = True
    """Give the random draws of a Python program names, so that arms share those that they have in common; `false` runs
    the command as it is."""

    @field_validator("command", "flags")
    @classmethod
    def _can_be_split(cls, value: str) -> str:
        try:
            shlex.split(value)
        except ValueError as error:
            raise ValueError(f"'{value}' cannot be split into words ({error})") from None
        return value

    @model_validator(mode="after")
    def _known_placeholders(self) -> CommandSettings:
        if not shlex.split(self.command):
            raise ValueError("command: is empty")
        if self.generated is None and self.values is None:
            raise ValueError("nothing is measured; give generated, values, or both")
        for name in self.words:
            if name in GIVEN or name in LEVELS or not PLACEHOLDER.fullmatch(f"{{{name}}}"):
                raise ValueError(f"words: '{name}' cannot be given; other names of letters, digits and _ can")
        for where, text in self.templates():
            if "{flags}" in text and (where != "command" or "{flags}" not in shlex.split(self.command)):
                raise ValueError(f"{where}: {{flags}} stands for several words, and only as a word of the command")
        return self

    def templates(self) -> Iterator[tuple[str, str]]:
        """Yield every text that may hold placeholders, with the setting that it is."""
        yield "command", self.command
        yield "flags", self.flags
        yield from (("environment", text) for text in self.environment.values())
        if self.generated is not None:
            yield "generated", self.generated
        if self.values is not None and self.values.file is not None:
            yield "values", self.values.file

    def unknown(self, axes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with placeholders, with the setting: neither given, nor axes, nor words.

        Args:
            axes: Those of the study.
        """
        known = (*GIVEN, *(axis for axis in axes if axis not in LEVELS), *self.words)
        for where, text in self.templates():
            for name in PLACEHOLDER.findall(text):
                if name not in known:
                    yield where, f"nothing fills {{{name}}}{did_you_mean(name, known)}"

    def arguments(self, placeholders: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words of the command; each placeholder is one word, or a part of one, whatever it holds.

        Args:
            placeholders: What fills each name but `flags`.
        """
        words: list[str] = []
        for word in shlex.split(self.command):
            words += shlex.split(self.flags) if word == "{flags}" else [word]
        return tuple(filled(word, placeholders) for word in words)

    def axis_path(self, axis: str) -> str:
        """Return the setting that an axis of a study of commands varies."""
        return f"trial.{axis}" if axis in LEVELS else f"trial.words.{axis}"


def filled(text: str, placeholders: Mapping[str, str]) -> str:
    """Return a text with what its placeholders stand for; braces around anything else stay as they are."""
    return PLACEHOLDER.sub(lambda match: placeholders.get(match[1], match[0]), text)
