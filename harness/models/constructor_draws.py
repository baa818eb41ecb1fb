"""Networks of a user's own with the initial weights that their author gives them, drawn from named streams.

Each draw of the constructor is named after the parameter or buffer that it ends up in, so that it is the same whatever
else is drawn before it, and equal between arms wherever these have an equal part.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.models.alignment import parts
from harness.randomness import seed_for


class _Draw:
    """One call of torch's that draws from the global stream."""

    def __init__(self, what: str) -> None:
        self.what = what
        """Operation and shape."""
        self.reached: list[StorageWeakRef] = []
        """Memory that what was drawn went into, directly or worked out of it, in order."""


class _Draws(TorchDispatchMode):
    """Follows every draw from the global stream, and begins a stream of its own for each where seeds are given."""

    def __init__(self, seeds: Sequence[int] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.draws: list[_Draw] = []
        self.seeds = seeds
        self._drawn: dict[StorageWeakRef, frozenset[int]] = {}
        """Of each memory, the draws that went into it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        draws = torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None
        if draws and len(self.draws) < len(self.seeds):
            torch.default_generator.manual_seed(self.seeds[len(self.draws)])
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        sources = frozenset[int]().union(*(self._drawn.get(_memory(x), frozenset()) for x in given))
        result = func(*args, **kwargs)
        if draws:
            sources |= {len(self.draws)}
            shape = tuple(result.shape) if isinstance(result, Tensor) else ()
            self.draws.append(_Draw(f"{func.overloadpacket}{shape}"))
        if sources:
            for memory in map(_memory, _written(func, args, kwargs, result)):
                self._drawn[memory] = self._drawn.get(memory, frozenset()) | sources
                for draw in sources:
                    self.draws[draw].reached.append(memory)
        return result


def _memory(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Iterator[Tensor]:
    """Yield the tensors that an operation changes or makes; views are neither."""
    schema = func._schema
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            if isinstance(value, Tensor):
                yield value
    results = result if isinstance(result, (tuple, list)) else (result,)
    for returned, value in zip(schema.returns, results, strict=False):
        if returned.alias_info is None and isinstance(value, Tensor):
            yield value


def build_with_named_draws(
    build: Callable[[], nn.Module], names: Callable[[nn.Module], Callable[[str], str]], *, net: str, block: str
) -> nn.Module:
    """Return a network whose constructor's draws each come from a named stream.

    The network is built twice: once to see where each draw ends up, and once with the streams of these names.

    Args:
        build: Calls the user's function.
        names: From the built network to a function that names the streams of its parts.
        net: `generator` or `discriminator`.
        block: The block's key.
    """
    first = _Draws()
    with _streams_kept(seed_for(block, f"build/{net}")), first:
        network = build()
    if not first.draws:
        return network
    second = _Draws(_seeds(network, first.draws, names(network), net=net, block=block))
    with _streams_kept(seed_for(block, f"build/{net}")), second:
        return build()


def _seeds(
    network: nn.Module, draws: Sequence[_Draw], name_of: Callable[[str], str], *, net: str, block: str
) -> list[int]:
    """Return the seed of each draw: of the part that it ends up in, else of what it is."""
    homes = {_memory(part.tensor): part.name for part in reversed(parts(network))}
    seeds, drawn = [], Counter[str]()
    for draw in draws:
        home = next((homes[memory] for memory in draw.reached if memory in homes), None)
        name = f"{net}/{draw.what}" if home is None else name_of(home)
        seeds.append(seed_for(block, f"draw/{name}#{drawn[name]}"))
        drawn[name] += 1
    return seeds


@contextlib.contextmanager
def _streams_kept(seed: int) -> Iterator[None]:
    """Begin torch's, numpy's and Python's global streams at a seed, and put them back afterwards."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002 - the global stream is meant
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(of_numpy)  # noqa: NPY002
            random.setstate(of_python)
