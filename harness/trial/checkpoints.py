"""Where an interrupted trial goes on: its state on the disk, whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from harness.atomic_write import atomic_write


def save(path: Path, key: str, state: dict[str, Any]) -> bool:
    """Write a state whole.

    Args:
        path: The checkpoint's file.
        key: What the state belongs to; `load` refuses another.
        state: Tensors, numbers, text, and dictionaries and lists of them.

    Returns:
        Whether it was written. A full or read-only disk costs the checkpoint, not the trial.
    """
    try:
        with atomic_write(path) as file:
            torch.save({"key": key, **state}, file)
    except (OSError, RuntimeError):  # torch reports a full disk as a RuntimeError
        return False
    return True


def load(path: Path, key: str, device: str) -> dict[str, Any] | None:
    """Return the state of a file, or None where there is none, it is damaged, or it belongs to something else."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        return None
    return state if state.get("key") == key else None
