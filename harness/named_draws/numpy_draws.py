"""NumPy: `numpy.random`'s functions, every `RandomState` and every `Generator` draw from named streams."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.named_draws.python_draws import REMEMBERED_STATES, WORKER, number_of
from harness.named_draws.streams import Position, Shape, Streams

if TYPE_CHECKING:
    import numpy.random as draws
    from numpy.random import Generator as LegacyGenerator
    from numpy.random import RandomState as LegacyState
else:  # while `numpy.random` is imported for the first time, `numpy` does not know it yet
    draws = importlib.import_module("numpy.random")
    LegacyState, LegacyGenerator = draws.RandomState, draws.Generator
legacy_default_rng = draws.default_rng
INCREMENT = 0xDA3E39CB94B95BDB_5851F42D4C957F2D
"""The increment of PCG64's sequence; any odd number (O'Neill 2014)."""

_streams: Streams | None = None
_states: OrderedDict[int, Position] = OrderedDict()


def _pcg64(seed: int, *, legacy: bool) -> dict[str, Any]:
    """Return the state of PCG64 at the beginning of a stream: 128 bits of which the 63 of the seed decide."""
    state = {"state": (seed << 64) | (seed * 0x9E3779B97F4A7C15 & (1 << 64) - 1), "inc": INCREMENT}
    beginning = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
    return {**beginning, "has_gauss": 0, "gauss": 0.0} if legacy else beginning


def _drawn(owner: Any, function: str, shape: Shape, begin: Callable[[int], object], draw: Callable[[], Any]) -> Any:
    """Return what a function draws from the stream of its name."""
    streams = _streams
    assert streams is not None
    with streams.lock:
        if owner._is_default:
            owner._position = streams.in_item("numpy", owner._position)
        named = streams.draw(owner._position, function, shape, sys._getframe())
        if streams.naming:
            begin(named.seed)
        streams.drawing = threading.get_ident()
        try:
            result = draw()
        finally:
            streams.drawing = 0
        if streams.watchers:
            streams.watched(named, result if result is not None else "")
    return result


def _served(owner: Any) -> bool:
    return _streams is not None and owner._position is not None and not _streams.is_drawing()


def _explicit(kind: str, seed: Any) -> Position:
    """Return where a generator begins that the program makes: by its seed, without one by its place."""
    assert _streams is not None
    if seed is None:
        return _streams.explicit(
            kind, _streams.draw(_streams.unseeded(f"unseeded {kind}"), kind, (), sys._getframe()).seed
        )
    return _streams.explicit(kind, _seed_number(seed))


def _seed_number(seed: Any) -> int:
    if isinstance(seed, (int, np.integer)):
        return int(seed)
    if isinstance(seed, draws.SeedSequence):
        return number_of((seed.entropy, seed.spawn_key))
    if isinstance(seed, draws.BitGenerator):
        return number_of(str(seed.state))
    return number_of(np.asarray(seed).tolist())


class NamedState(LegacyState):
    """A `RandomState` each of whose draws has a name, while draws are named."""

    _is_default = False
    _position: Position | None = None

    def __init__(self, seed: Any = None) -> None:
        super().__init__(seed)
        self._inner = LegacyState(draws.PCG64(0))
        """What draws under names; this object's own generator stays as the program has seeded it."""
        if _streams is not None and _streams.naming:
            self._position = _explicit("numpy state", seed)

    def seed(self, seed: Any = None) -> None:
        """Go to the beginning of the sequence that a seed means; without a seed to one that the place decides."""
        if _streams is None or not _streams.naming or self._position is None:
            super().seed(seed)
        elif not self._is_default:
            self._position = _explicit("numpy state", seed)
        else:
            if seed is None:
                seed = _streams.draw(_streams.unseeded("unseeded numpy"), "numpy.seed", (), sys._getframe()).seed
            by_library = sys._getframe(1).f_code.co_filename.endswith(WORKER)
            self._position = _streams.seeded("numpy", _seed_number(seed), by_library=by_library)

    def get_state(self, legacy: bool = True) -> Any:
        """Return a state that `set_state` goes back to."""
        if _streams is None or not _streams.naming or self._position is None:
            plain: Any = super()
            return plain.get_state(legacy=legacy)
        at = Position(self._position.sequence, self._position.at)
        real: Any = LegacyState(number_of(_streams.mark(at)) % (1 << 32))
        state = real.get_state(legacy=legacy)
        _states[_state_key(state)] = at
        if len(_states) > REMEMBERED_STATES:
            _states.popitem(last=False)
        return state

    def set_state(self, state: Any) -> None:
        """Go back to a saved state; one from elsewhere is a seed like any other."""
        if _streams is None or not _streams.naming or self._position is None:
            super().set_state(state)
            return
        known = _states.get(_state_key(state))
        if known is None:
            self.seed(_state_key(state) & (1 << 63) - 1)
        else:
            self._position = Position(known.sequence, known.at)

    def __reduce__(self) -> Any:
        if self._position is None:
            return super().__reduce__()
        return _restored, (NamedState, self._position.sequence.value, self._position.at)


class _Seed:
    """A seed where a bit generator would be."""

    def __init__(self, seed: Any) -> None:
        self.seed = seed


class NamedGenerator(LegacyGenerator):
    """A `Generator` each of whose draws has a name, while draws are named."""

    _is_default = False
    _position: Position | None = None

    def __init__(self, bit_generator: Any) -> None:
        if _streams is None or not _streams.naming:
            super().__init__(bit_generator)
            return
        super().__init__(draws.PCG64(0))
        seed = bit_generator.seed if isinstance(bit_generator, _Seed) else bit_generator
        self._go(_explicit("numpy generator", seed))

    def _go(self, position: Position) -> None:
        """Make the real generator's state say where this one stands; saving and restoring it then goes there too."""
        self._position = position
        self._mark()

    def _mark(self) -> None:
        assert self._position is not None
        assert _streams is not None
        state = {"state": _streams.mark(self._position), "inc": INCREMENT}
        self.bit_generator.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}

    def _arrive(self) -> None:
        """Go where the real generator's state was set to."""
        assert _streams is not None
        state = self.bit_generator.state
        if state["state"]["inc"] == INCREMENT:
            position = _streams.position_of(state["state"]["state"])
            if position is not None:
                self._position = position
                return
        self._position = _streams.explicit("numpy generator", number_of(str(state)))

    def spawn(self, n_children: int) -> list[Any]:
        """Return generators whose sequences follow from this one's seed and their number."""
        if not _served(self):
            return list(super().spawn(n_children))
        assert self._position is not None
        assert _streams is not None
        sequence = self._position.sequence
        first, sequence.items = sequence.items, sequence.items + n_children
        return [_generator(number_of((sequence.value, number))) for number in range(first, sequence.items)]

    def __reduce__(self) -> Any:
        if self._position is None:
            return super().__reduce__()
        return _restored, (NamedGenerator, self._position.sequence.value, self._position.at)


def _generator(seed: Any) -> NamedGenerator:
    """Return a generator of a seed, as `default_rng` does."""
    return NamedGenerator(_Seed(seed))


def _restored(kind: type, seed: int, at: int) -> Any:
    """Return a generator that was pickled or copied."""
    if _streams is None or not _streams.naming:
        return LegacyState(number_of((seed, at)) % (1 << 32)) if kind is NamedState else legacy_default_rng((seed, at))
    if kind is NamedState:
        state = NamedState(seed)
        state._position = _streams.copied("numpy state", seed, at)
        return state
    generator = _generator(seed)
    generator._go(_streams.copied("numpy generator", seed, at))
    return generator


def default_rng(seed: Any = None) -> Any:
    """Return a `Generator` under names; stands for `numpy.random.default_rng`."""
    if isinstance(seed, LegacyGenerator) or _streams is None or not _streams.naming:
        return seed if isinstance(seed, LegacyGenerator) else legacy_default_rng(seed)
    return _generator(seed)


def _state_key(state: Any) -> int:
    """Return a number of 64 bits that stands for a state of MT19937, in either of its forms."""
    if isinstance(state, dict):
        state = ("", state["state"]["key"], state["state"]["pos"], state.get("has_gauss"), state.get("gauss"))
    return number_of((np.asarray(state[1]).tobytes(), *(float(part) for part in state[2:])))


def _named(base: type, function: str) -> Callable[..., Any]:
    plain = getattr(base, function)
    legacy = base is LegacyState
    name = f"numpy.{function}" if legacy else f"numpy.Generator.{function}"
    parameters = list(inspect.signature(plain).parameters)
    at = parameters.index("size") - 1 if "size" in parameters else None

    def shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
        size = kwargs.get("size", args[at] if at is not None and at < len(args) else None)
        if function in ("rand", "randn"):
            size = args
        if function in ("shuffle", "permutation", "permuted") and args:
            size = args[0] if isinstance(args[0], int) else np.shape(args[0])
        if isinstance(size, (int, np.integer)):
            return (int(size),)
        return () if size is None else tuple(map(int, size))

    @functools.wraps(plain)
    def draw(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _served(self):
            return plain(self, *args, **kwargs)

        assert _streams is not None
        if not _streams.naming:
            return _drawn(self, name, shape(args, kwargs), int, functools.partial(plain, self, *args, **kwargs))
        if legacy:
            source = self._inner
            return _drawn(
                self,
                name,
                shape(args, kwargs),
                lambda seed: source.set_state(_pcg64(seed, legacy=True)),
                functools.partial(plain, source, *args, **kwargs),
            )
        self._arrive()
        try:
            return _drawn(
                self,
                name,
                shape(args, kwargs),
                lambda seed: setattr(self.bit_generator, "state", _pcg64(seed, legacy=False)),
                functools.partial(plain, self, *args, **kwargs),
            )
        finally:
            self._mark()

    return draw


NOT_DRAWS = ("seed", "get_state", "set_state", "bit_generator", "spawn")
for _base, _class in ((LegacyState, NamedState), (LegacyGenerator, NamedGenerator)):
    for _function in dir(_base):
        if not _function.startswith("_") and _function not in NOT_DRAWS:
            setattr(_class, _function, _named(_base, _function))
LEGACY_FUNCTIONS = tuple(name for name in dir(LegacyState) if not name.startswith("_") and hasattr(draws, name))
OTHER_NAMES = {"ranf": "random_sample", "sample": "random_sample"}
"""Functions of the module that go by another name in `RandomState`."""


@functools.cache
def _default() -> Any:
    """Return what stands for the generator behind the module's functions; one, as programs hold on to it."""
    real: Any = draws.mtrand._rand
    default = NamedState(real._bit_generator)
    default._is_default = True
    return default


class NumpyDraws:
    """NumPy's generators under names, from `install` to `remove`."""

    kind = "numpy"

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self._replaced: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        """Serve every draw from here on."""
        global _streams  # noqa: PLW0603  # instances of a class that must be picklable have no other way to it
        _streams = self.streams
        mtrand = draws.mtrand
        self._real: Any = mtrand._rand
        self._saved = self._real.get_state(legacy=False)
        self._known = _state_key(self._saved)
        self.default = _default()
        self.default._position = self.streams.unseeded("numpy")
        for module in (draws, mtrand):
            self._replace(module, "RandomState", NamedState)
            for name in LEGACY_FUNCTIONS:
                self._replace(module, name, getattr(self.default, name))
            for name, method in OTHER_NAMES.items():
                self._replace(module, name, getattr(self.default, method))
        self._replace(mtrand, "_rand", self.default)
        self._replace(draws, "Generator", NamedGenerator)
        self._replace(draws, "default_rng", default_rng)

    def _replace(self, module: Any, name: str, by: Any) -> None:
        self._replaced.append((module, name, getattr(module, name)))
        setattr(module, name, by)

    def remove(self) -> None:
        """Give NumPy its functions back, and its generator as it was."""
        global _streams  # noqa: PLW0603
        _streams = None
        for module, name, before in self._replaced:
            setattr(module, name, before)
        self.default._position = None
        self._real.set_state(self._saved)

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
        key = _state_key(self._real.get_state(legacy=False))
        if key != self._known and self.streams.naming:
            self.streams.escaped("numpy")
        self._known = key
