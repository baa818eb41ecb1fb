"""One task in the process that computes it: rows, or how they were lost."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Generator, Iterator

from harness.errors import HarnessError
from harness.executors.base import Finished, Lost, Place
from harness.trial.task import TrialProgress, TrialTask

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment of a process that computes: set before it imports a library that would start more threads."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def warm_up() -> None:
    """Import what a trial needs, so that the first trial's clock does not pay for it."""
    import torch
    import torch._dynamo  # what the first optimiser in a process imports

    import harness.trial.run  # noqa: F401 - imported for later

    torch.set_num_threads(1)


def compute(task: TrialTask, place: Place, *, gpu: bool) -> Generator[TrialProgress | Finished | Lost]:
    """Yield a trial's progress, and at last its rows, or how it was lost; whatever it raises costs only itself.

    Closed early, it leaves a checkpoint.

    Args:
        task: The trial.
        place: Its caches and its checkpoint.
        gpu: Whether to compute on the first GPU that this process may see.
    """
    warm_up()
    from harness.trial.run import run_trial

    try:
        rows = yield from run_trial(
            task,
            cache=place.cache,
            checkpoint=place.checkpoints / f"{task.trial_id}.pt",
            checkpoint_every=place.checkpoint_every,
            device="cuda" if gpu else "cpu",
        )
    except MemoryError:
        yield Lost(task, "oom", "out of memory", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a trial may raise anything; it is an outcome, stored with its traceback
        message = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        yield Lost(task, _status(error), message, traceback.format_exc())
    else:
        yield Finished(task, rows)


def _status(error: BaseException) -> str:
    """Return what an exception makes of a trial; a full disk is not the trial's fault and costs it no status."""
    if any(isinstance(cause, OSError) and cause.errno in NO_ROOM for cause in _causes(error)):
        return "no-room"
    # On a CPU torch reports a lack of memory as a RuntimeError, on a GPU as its own OutOfMemoryError.
    lacks_memory = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return "oom" if lacks_memory else "failed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
