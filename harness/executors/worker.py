"""One task in the process that computes it: rows, or how they were lost."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Generator, Iterator

from harness.errors import HarnessError
from harness.executors.base import Finished, Lost, Place, ProcessChanged
from harness.results.schema import LOST
from harness.study_folder import look_beside
from harness.trial.task import TrialProgress, TrialTask

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment of a process that computes: set before it imports a library that would start more threads."""

MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
"""Errors of disks and of the system: no room, read-only, broken, a server that is gone, no more files."""


def warm_up() -> None:
    """Import what a trial needs, so that the first trial's clock does not pay for it."""
    import torch
    import torch._dynamo  # what the first optimiser in a process imports

    import harness.trial.run  # noqa: F401 - imported for later

    torch.set_num_threads(1)


def compute(task: TrialTask, place: Place, *, gpu: bool) -> Generator[TrialProgress | ProcessChanged | Finished | Lost]:
    """Yield a trial's progress, and at last its rows, or how it was lost; whatever it raises costs only itself.

    The process is put back as it was, as far as that goes. Closed early, the trial leaves a checkpoint.

    Args:
        task: The trial.
        place: Its caches and its checkpoint.
        gpu: Whether to compute on the first GPU that this process may see.
    """
    warm_up()
    from harness.executors.process_state import kept

    look_beside(place.beside)
    if gpu:
        from harness.trial.device import exact_arithmetic

        exact_arithmetic()
    with kept() as changed:
        outcome = yield from _outcome(task, place, gpu=gpu)
    if changed:
        yield ProcessChanged(task, tuple(changed))
    yield outcome


def _outcome(task: TrialTask, place: Place, *, gpu: bool) -> Generator[TrialProgress, None, Finished | Lost]:
    from harness.scripts.run import CommandLostError, run_command
    from harness.trial.run import run_trial

    try:
        if task.command is not None:
            rows = yield from run_command(task, cache=place.cache, busy=place.trial_timeout is None)
        else:
            rows = yield from run_trial(
                task,
                cache=place.cache,
                checkpoint=place.checkpoints / f"{task.trial_id}.pt",
                checkpoint_every=place.checkpoint_every,
                device="cuda" if gpu else "cpu",
            )
    except CommandLostError as error:
        return Lost(task, LOST, str(error))
    except MemoryError:
        return Lost(task, "oom", "out of memory", traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a trial may raise anything; it is an outcome, stored with its traceback
        return Lost(task, status_of(error), _message(error), _traceback())
    return Finished(task, rows)


def _message(error: BaseException) -> str:
    """Return what an exception says of itself, if it can."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of a user's own may fail to say anything
        text = "(its message cannot be read)"
    return text if isinstance(error, HarnessError) else f"{type(error).__name__}: {text}"


def _traceback() -> str:
    try:
        return traceback.format_exc()
    except Exception:  # noqa: BLE001 - see above
        return "(the traceback cannot be read)"


def status_of(error: BaseException) -> str:
    """Return what an exception makes of a trial; a full disk or a broken GPU is not the trial's fault."""
    if any(isinstance(cause, OSError) and cause.errno in MACHINE for cause in _causes(error)):
        return LOST
    text = _message(error)
    # On a CPU torch reports a lack of memory as a RuntimeError, on a GPU as its own OutOfMemoryError.
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return "oom"
    is_cuda = type(error).__name__ == "AcceleratorError" or (isinstance(error, RuntimeError) and "CUDA error" in text)
    # An assertion in a kernel is the trial's own: an index beyond a table's end, for example.
    return LOST if is_cuda and "device-side assert" not in text else "failed"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
