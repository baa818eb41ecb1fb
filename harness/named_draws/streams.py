"""Names of draws and their seeds: which stream the next draw of a generator is served from."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import NamedTuple

from harness.named_draws.places import Place, place_of
from harness.randomness import seed_for

FIRSTS = "HARNESS_FIRST_SEEDS"
"""The variable of the environment that tells processes which seeds the program began with."""
COUNT = (1 << 32) - 1
"""The low bits of a mark: how many draws a generator has made since its seed. The high bits say which sequence."""
REMEMBERED_SEQUENCES = 1024
REMEMBERED_NAMES = 65536
FIRST_DRAWS, LAST_DRAWS = 1024, 16384
"""Draws of a sequence that can be repeated after the script seeds again, or goes back to a saved state."""

Shape = tuple[int | str, ...]


class Name(NamedTuple):
    """What a draw is named by, beside the block, the seed that the script chose, and the count for that name."""

    place: Place
    parameter: str
    """The parameter that is filled, by its way through the modules without numbers, e.g. ``down.conv.weight``."""
    function: str
    shape: Shape

    def __str__(self) -> str:
        parameter = f" of {self.parameter}" if self.parameter else ""
        return f"{self.function}{list(self.shape)}{parameter} < {self.place}"


class Draw(NamedTuple):
    """One draw: its name, its number among those of that name, from 0, its seed, and the sequence it belongs to."""

    name: Name
    number: int
    seed: int
    sequence: str


@dataclass(slots=True, eq=False)
class Sequence:
    """The draws of a generator since it was given a seed."""

    kind: str
    """Of the generator: torch, random, numpy, or one that the script made."""
    label: str
    """What stands for the seed in the names: empty for the first seed of a program, so that any seed will do."""
    value: int
    """The seed as the script knows it."""
    own: bool = False
    """Whether the script chose the seed after its first; then it means equal draws for equal seeds."""
    mark: int = 0
    """Seed of a real generator that stands at the beginning of this sequence, plus n after n draws; see `mark`."""
    start: int = 0
    """Draws before the program's first seed; they and their counts stay when it seeds so again."""
    start_counts: dict[Name, int] = field(default_factory=dict)
    length: int = 0
    longest: int = 0
    items: int = 0
    counts: dict[Name, int] = field(default_factory=dict)
    log: dict[int, Draw] = field(default_factory=dict)
    key: bytes = b""
    """Digest of the label; made at the first draw, when the process knows which one it is."""


@dataclass(slots=True, eq=False)
class Position:
    """Where a generator stands: after how many draws of which sequence."""

    sequence: Sequence
    at: int = 0


class Item(NamedTuple):
    """The item of a data set that is being loaded, and where the program's generators stood before it."""

    name: str
    outer: dict[str, Position]


class Streams:
    """Every sequence of draws of this process, and what was seen of them.

    A script's own seeds keep their meaning. Seeding again with a value, or going back to a saved state, repeats the
    draws that followed, as long as the same functions ask for the same shapes in the same order; that is what a
    generator would do. Only the first seed of the program is left out of the names, so that any will do; ranks of a
    distributed program keep theirs, as equal seeds make them draw alike, and others apart.
    """

    def __init__(self, key: str, *, naming: bool = True, children_know: bool = False) -> None:
        self.key = key
        self.children_know = children_know
        """Whether processes that this one starts are told its first seeds, through the environment."""
        self.naming = naming
        """Whether draws are served; otherwise they are only watched."""
        self.watchers: list[Callable[[Draw, object], None]] = []
        self.escapes: OrderedDict[str, int] = OrderedDict()
        self.draws = 0
        self.last: Name | None = None
        self.item: Item | None = None
        self._sequences: dict[str, OrderedDict[str, Sequence]] = {}
        """By kind and label, those drawn from last at the end; the first seed's are never forgotten."""
        self._marks: dict[int, Sequence] = {}
        self._names: dict[Name, bytes] = {}
        self._firsts: dict[str, int] = json.loads(os.environ.get(FIRSTS, "{}")) if children_know else {}
        self._forked = False
        self.lock = threading.RLock()
        self.drawing = 0
        alone = weakref.WeakMethod(self._in_child)
        os.register_at_fork(after_in_child=lambda: _call(alone))

    def _in_child(self) -> None:
        self.lock = threading.RLock()
        self.drawing = 0
        self._forked = True
        self.draws = 0
        self.escapes.clear()

    def is_drawing(self) -> bool:
        """Whether this thread is inside of a draw that has its name: what is drawn then is part of it."""
        return self.drawing == threading.get_ident()

    @property
    def is_child(self) -> bool:
        """Whether this process was started by another one of the program, through fork or multiprocessing."""
        return self._forked or multiprocessing.parent_process() is not None

    def unseeded(self, kind: str) -> Position:
        """Return where a generator of the program stands before anything seeds it."""
        return Position(self._sequence(kind, "", seed_for(self.key, f"initial {kind}")))

    def seeded(self, kind: str, value: int, *, by_library: bool = False) -> Position:
        """Return the beginning of the sequence that a seed means.

        Args:
            kind: Which of the program's generators is seeded, e.g. ``random``.
            value: The seed.
            by_library: Whether a library seeds a process that it has started, as DataLoader does its workers.
        """
        if kind not in self._firsts and not self.is_child and os.environ.get("WORLD_SIZE", "1") == "1":
            self._firsts[kind] = value
            if self.children_know:
                os.environ[FIRSTS] = json.dumps(self._firsts)
            beginning = self._sequence(kind, "", value)
            beginning.start = beginning.length
            beginning.start_counts = dict(beginning.counts)
        if self._firsts.get(kind) == value:
            return self._begin(self._sequence(kind, "", value))
        return self._begin(self._sequence(kind, f"seed {value}", value, own=not by_library))

    def forked(self, kind: str, value: int) -> Position:
        """Return the beginning of the sequence of a child that is seeded anew when it is forked."""
        return Position(self._sequence(kind, f"child {value}", value))

    def explicit(self, kind: str, value: int) -> Position:
        """Return the beginning of the sequence of a generator that the script made and seeded itself."""
        return self._begin(self._explicit(kind, value))

    def copied(self, kind: str, value: int, at: int) -> Position:
        """Return where a generator of the script stands that was copied or pickled after some draws."""
        return self._at(self._explicit(kind, value), at)

    def _explicit(self, kind: str, value: int) -> Sequence:
        label = "first seed" if value in self._firsts.values() else f"seed {value}"
        return self._sequence(f"own {kind}", label, value, own=True)

    def in_item(self, kind: str, position: Position) -> Position:
        """Return where a generator draws from while an item is loaded: a sequence that no other item's draws move.

        Where the script has seeded the generator itself, items are counted from that seed, as it would have it;
        otherwise the item is named by its epoch and its number.
        """
        if self.item is None:
            return position
        outer = self.item.outer.setdefault(kind, position)
        if outer is not position:
            return position
        sequence = outer.sequence
        if sequence.own:
            label = f"{sequence.label} item {sequence.items}"
            sequence.items += 1
        else:
            label = self.item.name
        return Position(Sequence(kind, label, sequence.value))

    def _begin(self, sequence: Sequence) -> Position:
        sequence.counts = dict(sequence.start_counts)
        sequence.items = 0
        return Position(sequence, sequence.start)

    def _sequence(self, kind: str, label: str, value: int, *, own: bool = False) -> Sequence:
        sequences = self._sequences.setdefault(kind, OrderedDict())
        sequence = sequences.get(label)
        if sequence is None:
            sequence = sequences[label] = Sequence(kind, label, value, own)
            if len(sequences) > REMEMBERED_SEQUENCES:
                oldest = next(label for label in sequences if label)
                self._marks.pop(sequences.pop(oldest).mark, None)
        else:
            sequence.value = value
            sequences.move_to_end(label)
        return sequence

    def mark(self, position: Position) -> int:
        """Return the seed that makes a real generator say where it stands, wherever its state is copied to."""
        sequence = position.sequence
        if not sequence.mark:
            sequence.mark = seed_for(self.key, f"mark {sequence.kind} {sequence.label}") & ~COUNT
            self._marks[sequence.mark] = sequence
        return sequence.mark + position.at

    def forget_item(self, position: Position) -> None:
        """Forget where an item drew from, once it has been loaded."""
        sequence = position.sequence
        if self._sequences[sequence.kind].get(sequence.label) is not sequence:
            self._marks.pop(sequence.mark, None)

    def position_of(self, mark: int) -> Position | None:
        """Return the position that a real generator's seed stands for, or None when something else seeded it."""
        sequence, at = self._marks.get(mark & ~COUNT), mark & COUNT
        if sequence is None:
            return None
        sequences = self._sequences[sequence.kind]
        if sequence.label in sequences:
            sequences.move_to_end(sequence.label)
        return self._at(sequence, at)

    def _at(self, sequence: Sequence, at: int) -> Position:
        """Return a position; one that only an earlier process can have reached begins a sequence of its own."""
        if at <= sequence.longest:
            return Position(sequence, at)
        label = f"{sequence.label} resumed at {at}"
        return Position(self._sequence("", label, sequence.value, own=sequence.own))

    def draw(
        self, position: Position, function: str, shape: Shape, frame: FrameType | None, parameter: str = ""
    ) -> Draw:
        """Return the next draw of a generator, and move its position."""
        sequence, at = position.sequence, position.at
        position.at = at + 1
        self.draws += 1
        if at < sequence.length:
            again = sequence.log.get(at)
            if again is not None and again.name.function == function and again.name.shape == shape:
                counts = sequence.counts
                counts[again.name] = max(counts.get(again.name, 0), again.number + 1)
                return again
        name = Name(place_of(frame), parameter, function, shape)
        key = self._names.get(name) or self._key_of(name)
        number = sequence.counts.get(name, 0)
        sequence.counts[name] = number + 1
        if not sequence.key:
            apart = process_text() if not sequence.label and sequence.kind not in self._firsts else ""
            sequence.key = self._digest(f"{apart}{sequence.label}")
        digest = hashlib.sha256(b"%b%b%d" % (sequence.key, key, number)).digest()
        draw = Draw(name, number, int.from_bytes(digest[:8], "big") >> 1, sequence.label)
        self.last = name
        sequence.log[at] = draw
        sequence.length = at + 1
        sequence.longest = max(sequence.longest, sequence.length)
        if at >= LAST_DRAWS + FIRST_DRAWS:
            sequence.log.pop(at - LAST_DRAWS, None)
        return draw

    def _key_of(self, name: Name) -> bytes:
        if len(self._names) >= REMEMBERED_NAMES:
            self._names.clear()
        key = self._names[name] = self._digest(str(name))
        return key

    def _digest(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.key}|{text}".encode()).digest()

    def escaped(self, kind: str) -> None:
        """Note that a generator moved although no named draw asked it to: native code, or a state from elsewhere."""
        where = f"{kind}, after {'the start' if self.last is None else self.last}"
        self.escapes[where] = self.escapes.get(where, 0) + 1

    def watched(self, draw: Draw, result: object) -> None:
        """Show a draw and what came of it to whoever watches."""
        for watcher in self.watchers:
            watcher(draw, result)


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    alive = method()
    if alive is not None:
        alive()


def rank_text() -> str:
    """Return the rank of this process in a distributed program, empty for its first."""
    rank = os.environ.get("RANK", "0")
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        rank = str(distributed.get_rank())
    return "" if rank == "0" else f"rank {rank}"


def process_text() -> str:
    """Return what tells this process from others of its program, where nothing has seeded them; empty for the first."""
    identity = getattr(multiprocessing.current_process(), "_identity", ())
    return f"{rank_text()} {identity or ''}".strip()
