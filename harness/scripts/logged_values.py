"""What a command logs: JSON lines, CSV, TensorBoard's events, or lines that a pattern fits; as rows of numbers."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, did_you_mean
from harness.scripts.event_files import EVENTS, scalars
from harness.study.command import ValuesSettings

STEPS = ("step", "global_step", "_step", "training_iteration", "iteration", "iter", "epoch")
"""Names of steps, as tools write them, in any case and behind any prefix; the first that is there counts."""
CLOCK = re.compile(
    r"(?:.*[_./ ])?(?:time|timestamp|duration|runtime|elapsed|seconds|eta|lr_time|datetime)(?:[_./ ].*)?"
)
"""Names of values that depend on the machine's pace: they are kept out of what must be equal between equal trials."""
Row = Mapping[str, float]


class NoValues(HarnessError):  # noqa: N818 - an outcome of a trial
    """The log is missing, cannot be read, or lacks a value."""


@dataclass(frozen=True)
class Log:
    """What one trial logged, in the order in which it was logged."""

    rows: tuple[Row, ...]
    where: str

    @property
    def step_name(self) -> str | None:
        """What steps are called here; None where there are none."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return next((n for known in STEPS for n in names if n.rpartition("/")[2].lower() == known), None)

    def final(self, name: str, at: int | None) -> float:
        """Return a value at a step, or the last one; it may be NaN.

        Raises:
            NoValues: It was not logged, or not at that step.
        """
        step = self.step_name
        found = [(row.get(step or ""), row[name]) for row in self.rows if name in row]
        if not found:
            names = sorted({n for row in self.rows for n in row} - {step})
            raise NoValues(f"{self.where}: no value '{name}'{did_you_mean(name, names) if names else ''}")
        if at is None:
            return found[-1][1]
        there = [value for s, value in found if s == at]
        if not there:
            known = ", ".join(f"{s:g}" for s, _ in found[-3:] if s is not None) or "no steps at all"
            raise NoValues(f"{self.where}: no value '{name}' at step {at}; the last are at {known}")
        return there[-1]

    def signals(self, at: int | None) -> tuple[dict[str, float | int], ...]:
        """Return a row for each step, with all that was logged there; where no steps are logged each row is one."""
        step, by_step = self.step_name, dict[int, dict[str, float | int]]()
        for number, row in enumerate(self.rows, 1):
            place = row.get(step, math.nan) if step is not None else float(number)
            if not math.isfinite(place) or (at is not None and place > at):
                continue
            kept = {n: v for n, v in row.items() if n != step and not CLOCK.fullmatch(n.lower())}
            by_step.setdefault(int(place), {"step": int(place)}).update(kept)
        return tuple(row for _, row in sorted(by_step.items()))


def read_log(settings: ValuesSettings, place: Path) -> Log:
    """Return what a command logged.

    Args:
        settings: Which form it has.
        place: File or folder of it; what the command printed where nothing else is said.

    Raises:
        NoValues: There is no such file, or it cannot be read.
    """
    if not place.exists():
        there = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        raise NoValues(f"{place}: was not written{did_you_mean(place.name, there) if there else ''}")
    try:
        rows = tuple(_rows(settings, place))
    except (OSError, ValueError) as error:
        raise NoValues(f"{place}: cannot be read as values ({str(error).splitlines()[0]})") from None
    if not rows:
        raise NoValues(f"{place}: holds no values")
    return Log(rows, place.name)


def _rows(settings: ValuesSettings, place: Path) -> Iterator[Row]:
    if place.is_dir() or EVENTS in place.name:
        files = sorted(place.rglob(f"*{EVENTS}*")) if place.is_dir() else [place]
        for file in files:
            yield from scalars(file)
        return
    with place.open(encoding="utf-8", errors="replace", newline="") as lines:
        if settings.pattern is not None:
            yield from _fitting(re.compile(settings.pattern), lines)
        elif place.suffix.lower() in (".csv", ".tsv"):
            for cells in csv.DictReader(lines, delimiter="\t" if place.suffix.lower() == ".tsv" else ","):
                yield _numbers(cells)
        else:
            yield from _json(lines)


def _fitting(pattern: re.Pattern[str], lines: Iterator[str]) -> Iterator[Row]:
    for line in lines:
        for match in pattern.finditer(line):
            yield _numbers(match.groupdict())


def _json(lines: Iterator[str]) -> Iterator[Row]:
    """Yield JSON lines, or the entries of one document; the last line may have been cut short."""
    texts = [text for text in (line.strip() for line in lines) if text]
    whole = " ".join(texts)
    if len(texts) > 1 and not texts[0].endswith("}"):
        texts = [whole]
    for number, text in enumerate(texts, 1):
        try:
            entry = json.loads(text)
        except ValueError as error:
            if number == len(texts) and number > 1:
                return
            raise ValueError(f"line {number}: {error}") from None
        for row in entry if isinstance(entry, list) else [entry]:
            if isinstance(row, dict):
                yield _numbers(dict(_flat(row)))


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def _numbers(cells: Mapping[str | None, Any] | Mapping[str, Any]) -> Row:
    """Return the cells that are numbers; words for what is no number, such as `nan`, are."""
    found = {}
    for name, cell in cells.items():
        if name is None or cell is None or (isinstance(cell, bool | Sequence) and not isinstance(cell, str)):
            continue
        try:
            found[str(name).strip()] = float(cell)
        except (TypeError, ValueError):
            continue
    return found
