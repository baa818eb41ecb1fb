"""Which items are held out: whole groups of linked items, chosen by hash, never by order or chance."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harness.errors import DataError


def groups_of(links: Sequence[Iterable[Hashable]]) -> npt.NDArray[np.int64]:
    """Return the group number of each item, (N,): items that share a link are in one group, and so on transitively."""
    numbers: dict[Hashable, int] = {}
    edges = [(item, numbers.setdefault(link, len(numbers))) for item, own in enumerate(links) for link in own]
    total = len(links) + len(numbers)
    rows = np.array([item for item, _ in edges], dtype=np.int64)
    columns = np.array([len(links) + number for _, number in edges], dtype=np.int64)
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (rows, columns)), shape=(total, total))
    _, numbered = connected_components(graph, directed=False)
    return np.asarray(numbered[: len(links)], dtype=np.int64)


def hold_out(
    where: str, keys: Sequence[str], links: Sequence[Iterable[Hashable]], share: float
) -> npt.NDArray[np.bool_]:
    """Return which items are held out, (N,): whole groups, in the order of their hashes, until the share is reached.

    A group's hash is that of its smallest key, so neither the order of the items nor a random stream matters.
    The number held out differs from ``share * N`` by at most half the size of the largest group, unless
    that would leave one side empty: then the smallest group is put there.

    Args:
        where: What is split, for the message.
        keys: A name of each item that depends on its content alone.
        links: What each item has in common with others; items with equal keys are linked too.
        share: Share of the items, in (0, 1).

    Raises:
        DataError: Fewer than two groups.
    """
    number_of = groups_of([[*own, ("key", key)] for key, own in zip(keys, links, strict=True)])
    groups: dict[int, list[int]] = {}
    for item, number in enumerate(number_of):
        groups.setdefault(int(number), []).append(item)
    if len(groups) < 2:
        raise DataError(
            f"{where}: {len(keys)} item{'s' if len(keys) != 1 else ''} in {len(groups)} group of forms that must stay "
            "together; two groups or more are needed to hold some out"
        )
    order = sorted(groups.values(), key=lambda group: _digest(min(keys[item] for item in group)))
    held: list[list[int]] = []
    missing = share * len(keys)
    for group in order:
        if len(group) < 2 * missing:
            held.append(group)
            missing -= len(group)
    if not held:
        held = [min(order, key=len)]
    if len(held) == len(order):
        held.remove(min(held, key=len))
    mask = np.zeros(len(keys), dtype=np.bool_)
    mask[[item for group in held for item in group]] = True
    return mask


def _digest(key: str) -> bytes:
    return hashlib.sha256(f"holdout|{key}".encode(errors="surrogatepass")).digest()
