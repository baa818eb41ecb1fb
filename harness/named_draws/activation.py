"""Turning named draws on and off in this process, and in each library when the program first imports it."""

from __future__ import annotations

import atexit
import contextlib
import importlib.abc
import importlib.machinery
import json
import multiprocessing.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HarnessError
from harness.named_draws.command import Matching, matching_of
from harness.named_draws.places import bottom_at, is_library
from harness.named_draws.python_draws import PythonDraws
from harness.named_draws.streams import Streams

if TYPE_CHECKING:
    from harness.named_draws.data_loading import Generator
    from harness.named_draws.trace import Trace


class Part(Protocol):
    """What serves the draws of one library."""

    def install(self) -> None:
        """Serve every draw from here on."""

    def remove(self) -> None:
        """Leave the library as it was."""


class NamedDraws:
    """All that names the draws of this process."""

    def __init__(self, matching: Matching, *, trace: Trace | None = None, children_know: bool = False) -> None:
        self.matching = matching
        self.streams = Streams(matching.key, naming=matching.name, children_know=children_know)
        self.trace = trace
        self._parts: list[Any] = []
        self._imports = _AfterImport({"numpy.random": self._numpy, "torch": self._torch})

    def start(self) -> None:
        """Name draws from here on, in libraries that are imported and in those that will be."""
        self._add(PythonDraws(self.streams))
        for name, install in self._imports.actions.items():
            if name in sys.modules:
                install()
        sys.meta_path.insert(0, self._imports)
        if self.trace is not None:
            self.streams.watchers.append(self.trace.draw)

    def stop(self) -> None:
        """Leave every library, and the state of its generator, as it was."""
        self.check()
        sys.meta_path.remove(self._imports)
        for part in reversed(self._parts):
            part.remove()
        if self.trace is not None:
            self.trace.close(self.report())

    def check(self) -> None:
        """Look for draws that were made past the names."""
        for part in self._parts:
            if hasattr(part, "check"):
                part.check()

    def report(self) -> dict[str, Any]:
        """Return what this process did: draws with names, what escaped, and which of the user's files it imported."""
        files = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
        files.add(str(Path(sys.argv[0]).resolve()))  # Python forgets the file of `__main__` before this is asked
        return {
            "process": os.getpid(),
            "command": sys.orig_argv[:8],
            "block": self.matching.block,
            "seed": self.matching.seed,
            "named": self.matching.name,
            "draws": self.streams.draws,
            "escaped": dict(self.streams.escapes),
            "files": sorted(file for file in files if file and not is_library(file)),
        }

    def _add(self, part: Part) -> None:
        part.install()
        self._parts.append(part)

    def _numpy(self) -> None:
        from harness.named_draws.numpy_draws import NumpyDraws

        self._add(NumpyDraws(self.streams))

    def _torch(self) -> None:
        from harness.named_draws.data_loading import DataLoading
        from harness.named_draws.torch_draws import TorchDraws

        self._add(TorchDraws(self.streams))
        loading = DataLoading(self.streams, self._generators)
        self._add(loading)
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        self._add(_StepHook(lambda: register_optimizer_step_pre_hook(self._before_step)))
        if self.trace is not None:
            loading.batches.append(self.trace.batch)

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        self.check()
        if self.trace is not None:
            self.trace.step(optimizer)

    def _generators(self) -> list[Generator]:
        return [part for part in self._parts if hasattr(part, "position")]


class _StepHook:
    """A hook of every optimizer's step."""

    def __init__(self, register: Callable[[], Any]) -> None:
        self._register = register

    def install(self) -> None:
        self._handle = self._register()

    def remove(self) -> None:
        self._handle.remove()


class _AfterImport(importlib.abc.MetaPathFinder):
    """Does something once a module has been imported, by whoever imports it first."""

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        self.actions = actions

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Let the other finders find a module, and act after its code has run."""
        if fullname not in self.actions:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._act_after(spec.loader, self.actions[fullname])
                return spec
        return None

    @staticmethod
    def _act_after(loader: Any, action: Callable[[], None]) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            execute(module)
            action()

        loader.exec_module = exec_module


def start_from_environment() -> None:
    """Name the draws of this process as its environment says, and report when it ends; for `sitecustomize`."""
    matching = matching_of(os.environ)
    if matching is None:
        return
    from harness.named_draws.trace import Trace

    trace = None if matching.trace is None else Trace(Path(matching.trace), matching)
    draws = NamedDraws(matching, trace=trace, children_know=True)
    draws.start()
    atexit.register(_finish, draws)
    multiprocessing.util.register_after_fork(draws, _report_too)


def _report_too(draws: NamedDraws) -> None:
    """Have a forked child of multiprocessing report when it ends; it runs nothing that `atexit` knows."""
    multiprocessing.util.Finalize(None, _finish, args=(draws,), exitpriority=0)


def _finish(draws: NamedDraws) -> None:
    """Write what this process did."""
    draws.check()
    report = draws.report()
    if draws.trace is not None:
        draws.trace.close(report)
    if draws.matching.reports is not None:
        with contextlib.suppress(OSError):
            (Path(draws.matching.reports) / f"{os.getpid()}.json").write_text(json.dumps(report))


_active: NamedDraws | None = None


@contextlib.contextmanager
def matched(block: int | str, *, seed: int = 0, trace: str | Path | None = None) -> Iterator[NamedDraws]:
    """Name every draw of torch, NumPy and `random` inside, by block and by the place that asks for it.

    What the block of the ``with`` draws itself is counted; places are told apart in the functions that it calls.

    Args:
        block: The block; equal in the arms that are compared.
        seed: The study's seed; another one is a replication.
        trace: File for the draws, batches and first weights of what runs inside.

    Yields:
        What is named: `report()` says how many draws there were, and which escaped.

    Raises:
        HarnessError: Draws are named already.

    Example:
        >>> import random
        >>> with matched(block=3):
        ...     first = random.random()
        >>> with matched(block=3):
        ...     again = random.random()
        >>> first == again
        True
    """
    global _active  # noqa: PLW0603  # one process has one set of generators
    if _active is not None:
        raise HarnessError("matched: draws are named already; leave the inner one out")
    from harness.named_draws.trace import Trace

    if trace is not None:
        Path(trace).unlink(missing_ok=True)
    matching = Matching(block=str(block), seed=seed, trace=None if trace is None else str(trace))
    draws = NamedDraws(matching, trace=None if trace is None else Trace(Path(trace), matching))
    draws.start()
    _active = draws
    try:
        with bottom_at(sys._getframe(1)):
            yield draws
    finally:
        _active = None
        draws.stop()
