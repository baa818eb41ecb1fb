"""Keeps Optuna's greetings off the terminal."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's greetings and its warnings about experimental functions off the terminal."""
    with _QUIET:
        yield


class _Quiet:
    """Verbosity and filters of warnings are the whole process's: of its threads, the last one out puts them back."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        import optuna

        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before.callback(optuna.logging.set_verbosity, optuna.logging.get_verbosity())
                optuna.logging.set_verbosity(optuna.logging.WARNING)
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


_QUIET = _Quiet()
