"""Python's `random`: its functions and every `random.Random` of the program draw from named streams."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from harness.named_draws.streams import Position, Shape, Streams

Plain = random.Random
FUNCTIONS = tuple(
    name
    for name, function in vars(Plain).items()
    if callable(function) and not name.startswith("_") and name not in ("seed", "getstate", "setstate")
)
"""Functions that Python's `random` makes of `random` and `getrandbits`."""
MODULE = ("random", "getrandbits", "seed", "getstate", "setstate", *FUNCTIONS)
REMEMBERED_STATES = 4096
WORKER = "torch/utils/data/_utils/worker.py"

_streams: Streams | None = None
_states: OrderedDict[int, Position] = OrderedDict()


def _seen(generator: NamedRandom, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a state that the real generator was brought to on purpose, and keep it in mind."""
    generator._real = hash(state)
    return state


class NamedRandom(Plain):
    """A `random.Random` each of whose draws has a name, while draws are named; else an ordinary one."""

    _is_default = False
    _position: Position | None = None
    _seed = 0
    _number = 0
    _real = 0

    def seed(self, a: Any = None, version: int = 2) -> None:
        """Go to the beginning of the sequence that a seed means; without a seed to one that the place decides."""
        if _streams is None or not _streams.naming:
            super().seed(a, version)
            return
        if a is None:
            a = _streams.draw(_streams.unseeded("unseeded random"), "random.seed", (), sys._getframe()).seed
        value = a if isinstance(a, int) else number_of(a)
        if self._is_default:
            by_library = sys._getframe(1).f_code.co_filename.endswith(WORKER)
            self._position = _streams.seeded("random", value, by_library=by_library)
        else:
            self._position = _streams.explicit("random", value)

    def getstate(self) -> tuple[Any, ...]:
        """Return a state that `setstate` goes back to."""
        if _streams is None or not _streams.naming or self._position is None:
            return super().getstate()
        super().seed(_streams.mark(self._position))
        state = _seen(self, super().getstate())
        _states[hash(state)] = Position(self._position.sequence, self._position.at)
        if len(_states) > REMEMBERED_STATES:
            _states.popitem(last=False)
        return state

    def setstate(self, state: tuple[Any, ...]) -> None:
        """Go back to a saved state; one from elsewhere is a seed like any other."""
        super().setstate(_seen(self, state))
        if _streams is None or not _streams.naming:
            return
        known = _states.get(hash(state))
        if known is not None:
            self._position = Position(known.sequence, known.at)
        else:
            self.seed(f"state {state}")

    def random(self) -> float:
        """Return a number from 0 to below 1, of 53 bits."""
        if _streams is None or self._position is None:
            return super().random()
        if _streams.is_drawing():
            return self._fraction()
        result: float = self._draw("random", (), self._fraction)
        return result

    def getrandbits(self, k: int, /) -> int:
        """Return a whole number of `k` bits."""
        if _streams is None or self._position is None or k < 0:
            return super().getrandbits(k)
        if _streams.is_drawing():
            return self._bits(k)
        result: int = self._draw("getrandbits", (k,), functools.partial(self._bits, k))
        return result

    def _fraction(self) -> float:
        if _streams is None or not _streams.naming:
            return super().random()
        return self._bits(53) * 2.0**-53

    def _bits(self, k: int) -> int:
        """Return the next `k` bits of this draw's stream: its seed, then SHA-256 or SHAKE-256 of seed and number."""
        if _streams is None or not _streams.naming:
            return super().getrandbits(k)
        number = self._number
        self._number = number + 1
        if not number and k < 63:
            return self._seed >> (63 - k)
        text = b"%d/%d" % (self._seed, number)
        if k <= 256:
            return int.from_bytes(hashlib.sha256(text).digest(), "big") >> (256 - k)
        size = (k + 7) // 8
        return int.from_bytes(hashlib.shake_256(text).digest(size), "big") >> (8 * size - k)

    def _draw(self, function: str, shape: Shape, draw: Callable[[], Any]) -> Any:
        streams = _streams
        assert streams is not None
        assert self._position is not None
        with streams.lock:
            if self._is_default:
                self._position = streams.in_item("random", self._position)
            named = streams.draw(self._position, f"random.{function}", shape, sys._getframe())
            if streams.naming:
                self._seed, self._number, self.gauss_next = named.seed, 0, None
            streams.drawing = threading.get_ident()
            try:
                result = draw()
            finally:
                streams.drawing = 0
                if streams.naming:
                    self.gauss_next = None  # the second of two normal numbers, kept for the next call
            if streams.watchers:
                streams.watched(named, result)
        return result


def _named(function: str) -> Callable[..., Any]:
    plain = getattr(Plain, function)

    @functools.wraps(plain)
    def draw(self: NamedRandom, *args: Any, **kwargs: Any) -> Any:
        if _streams is None or self._position is None or _streams.is_drawing():
            return plain(self, *args, **kwargs)
        return self._draw(function, _shape(args), functools.partial(plain, self, *args, **kwargs))

    return draw


for _function in FUNCTIONS:
    setattr(NamedRandom, _function, _named(_function))


def _shape(args: tuple[Any, ...]) -> Shape:
    """Return how much is asked for: lengths of what is shuffled or chosen from; limits and parameters say nothing."""
    return tuple(len(value) for value in args[:1] if hasattr(value, "__len__"))


def number_of(seed: object) -> int:
    """Return a number that stands for a seed which is not one: text, bytes, an array, a state."""
    return int.from_bytes(hashlib.sha256(f"{type(seed).__name__} {seed!r}".encode()).digest()[:8], "big")


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(before=_count_fork, after_in_child=_begin_child)


def _count_fork() -> None:
    _forks[-1] += 1


def _begin_child() -> None:
    """Begin a sequence for this child: Python seeds `random` anew in every fork, and so no two draw the same."""
    default: Any = random._inst
    if _streams is not None and _streams.naming:
        _seen(default, Plain.getstate(default))
        default._position = _streams.forked("random", number_of(tuple(_forks)))
    _forks.append(0)


_forks = [0]
"""How many children each of this process's ancestors, and it, have forked."""


class PythonDraws:
    """Python's generators under names, from `install` to `remove`."""

    kind = "random"

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.default: Any = random._inst  # what the module's functions are methods of

    def install(self) -> None:
        """Serve every draw from here on."""
        global _streams  # noqa: PLW0603  # instances of a class that must be picklable have no other way to it
        self._saved = Plain.getstate(self.default)
        _streams = self.streams
        _watch_forks()
        self.default.__class__ = NamedRandom
        self.default._is_default = True
        _seen(self.default, self._saved)
        self.position = self.streams.unseeded("random")
        random.Random = NamedRandom  # type: ignore[misc]
        self._functions = {name: getattr(random, name) for name in MODULE}
        for name in MODULE:
            setattr(random, name, getattr(self.default, name))

    def remove(self) -> None:
        """Give Python its functions back, and its generator as it was."""
        global _streams  # noqa: PLW0603
        _streams = None
        for name, function in self._functions.items():
            setattr(random, name, function)
        random.Random = Plain  # type: ignore[misc]
        for name in ("_is_default", "_position", "_seed", "_number", "_real"):
            self.default.__dict__.pop(name, None)
        self.default.__class__ = Plain
        self.default.setstate(self._saved)

    @property
    def position(self) -> Position:
        """Where the generator behind the module's functions stands."""
        position: Position = self.default._position
        return position

    @position.setter
    def position(self, position: Position) -> None:
        self.default._position = position

    def check(self) -> None:
        """Note whether the real generator moved: functions that were bound before draws were named."""
        before = self.default._real
        state = Plain.getstate(self.default)
        if hash(_seen(self.default, state)) != before and self.streams.naming:
            self.streams.escaped("random")
