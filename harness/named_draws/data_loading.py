"""DataLoader: each item draws from sequences of its own, whichever process loads it and whatever came before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from harness.named_draws.places import bottom
from harness.named_draws.streams import Item, Position, Streams


class Generator(Protocol):
    """One of the program's own generators: torch's, Python's, NumPy's."""

    kind: str
    position: Position


class DataLoading:
    """Items and batches of DataLoader under names, from `install` to `remove`."""

    def __init__(self, streams: Streams, generators: Callable[[], list[Generator]]) -> None:
        self.streams = streams
        self.generators = generators
        self.batches: list[Callable[[Any], None]] = []
        self._epochs: dict[int | None, int] = {}
        self._replaced: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        """Give items their own sequences from here on."""
        from torch.utils.data import dataloader
        from torch.utils.data._utils import fetch

        if self.streams.naming:
            self._replace(fetch._MapDatasetFetcher, "__init__", self._begun)
            self._replace(fetch._MapDatasetFetcher, "fetch", self._fetched)
            self._replace(dataloader._SingleProcessDataLoaderIter, "__init__", self._alone)
        self._replace(dataloader._BaseDataLoaderIter, "__next__", self._next)

    def remove(self) -> None:
        """Give DataLoader its functions back."""
        for owner, name, function in self._replaced:
            setattr(owner, name, function)

    def _replace(self, owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        plain = getattr(owner, name)
        self._replaced.append((owner, name, plain))
        setattr(owner, name, functools.wraps(plain)(wrap(plain)))

    def _begun(self, plain: Callable[..., None]) -> Callable[..., None]:
        from torch.utils.data import get_worker_info

        def begin(fetcher: Any, *args: Any, **kwargs: Any) -> None:
            plain(fetcher, *args, **kwargs)
            worker = get_worker_info()
            seed = None if worker is None else worker.seed - worker.id
            # Workers that persist keep their seed, and get a new fetcher for each epoch.
            epoch = self._epochs[seed] = self._epochs.get(seed, -1) + 1
            fetcher.harness_name, fetcher.harness_times = f"{seed} {epoch}", {}

        return begin

    def _alone(self, plain: Callable[..., None]) -> Callable[..., None]:
        def begin(iterator: Any, *args: Any, **kwargs: Any) -> None:
            plain(iterator, *args, **kwargs)
            iterator._dataset_fetcher.harness_name = f"{iterator._base_seed} 0"

        return begin

    def _next(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def following(iterator: Any) -> Any:
            batch = plain(iterator)
            for watch in self.batches:
                watch(batch)
            return batch

        return following

    def _fetched(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def fetch(fetcher: Any, index: Any) -> Any:
            if not fetcher.auto_collation:
                return self._within(fetcher, index, plain, fetcher, index)
            if getattr(fetcher.dataset, "__getitems__", None):
                return self._within(fetcher, ("items", *index), plain, fetcher, index)
            items = [self._within(fetcher, number, fetcher.dataset.__getitem__, number) for number in index]
            return self._within(fetcher, ("batch", *index), fetcher.collate_fn, items)

        return fetch

    @bottom
    def _within(self, fetcher: Any, number: Any, function: Callable[..., Any], *args: Any) -> Any:
        """Return what a function returns, with the draws in it counted from zero for this item of this epoch."""
        key = number if isinstance(number, int) else str(number)
        times = fetcher.harness_times[key] = fetcher.harness_times.get(key, -1) + 1
        name = f"item {key} {times} of {fetcher.harness_name}"
        outer = {generator.kind: generator.position for generator in self.generators()}
        before, self.streams.item = self.streams.item, Item(name, outer)
        try:
            return function(*args)
        finally:
            for generator in self.generators():  # NumPy's may be new, and may not have drawn
                generator.position = outer.get(generator.kind, generator.position)
            self.streams.item = before
