"""How a command is started with named draws: as words in front of it, or as variables of its environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import HarnessError

VARIABLE = "HARNESS_NAMED_DRAWS"
"""The variable of the environment that tells a Python process how its draws are named."""
STARTUP = Path(__file__).parent / "site"
"""The folder on PYTHONPATH whose `sitecustomize` names the draws before the user's program begins."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the draws of a command are named."""

    block: str
    """The block's key: equal for every arm of the block."""
    seed: int = 0
    """The study's seed; another one is a replication."""
    name: bool = True
    """Whether draws are named; otherwise they are left as the program makes them, and only traced."""
    trace: str | None = None
    """File that the program's draws, batches and first weights are written to."""
    reports: str | None = None
    """Folder that each process writes what it did into."""

    @property
    def key(self) -> str:
        """What stands for block and seed in the names of streams."""
        return f"{self.seed}/{self.block}"


def matched_environment(matching: Matching, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that a command needs for named draws, in it and in every Python process that it starts.

    Args:
        matching: How draws are named.
        environment: The environment that they are added to; this process's unless given. Only its PYTHONPATH is read.

    Example:
        >>> variables = matched_environment(Matching(block="3"), {"PYTHONPATH": "/home/me/lib"})
        >>> sorted(variables), variables["PYTHONPATH"].endswith(":/home/me/lib")
        (['HARNESS_NAMED_DRAWS', 'PYTHONPATH'], True)
    """
    before = (os.environ if environment is None else environment).get("PYTHONPATH", "")
    folders = [str(STARTUP), *(folder for folder in before.split(os.pathsep) if folder and folder != str(STARTUP))]
    return {VARIABLE: json.dumps(asdict(matching)), "PYTHONPATH": os.pathsep.join(folders)}


def matched_argv(command: Sequence[str], matching: Matching) -> list[str]:
    """Return the words that run a command with named draws: ``python -m harness match … -- command``.

    Args:
        command: A program and its arguments; never passed through a shell.
        matching: How draws are named.
    """
    options = ["--block", matching.block, "--seed", str(matching.seed)]
    options += ["--trace", matching.trace] if matching.trace is not None else []
    options += [] if matching.name else ["--as-is"]
    return [sys.executable, "-m", "harness", "match", *options, "--", *command]


def matching_of(environment: Mapping[str, str]) -> Matching | None:
    """Return how the draws of a process are named, from its environment; None where they are not.

    Raises:
        HarnessError: The variable does not hold what `matched_environment` writes.
    """
    text = environment.get(VARIABLE)
    if not text:
        return None
    try:
        return Matching(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise HarnessError(f"{VARIABLE}: {error}; unset it, or let `python -m harness match` set it") from error
