"""Files that tools write for each trial, and the settings beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError

RUN_FILES = ("progress.csv", "metrics.csv")
"""What Ray Tune and Lightning call a trial's table."""
SETTINGS_FILES = (
    "params.json",
    "hparams.yaml",
    "hparams.yml",
    "hparams.json",
    "config.yaml",
    "config.json",
    "args.json",
)
MOST_BYTES, MOST_SETTINGS, MOST_FILES = 256 * 1024, 2_000, 20_000


def trial_files(folder: Path, endings: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the tables below a folder, each with its trial's name: the path from the folder.

    Raises:
        DataError: There are none, or very many.
    """
    found = sorted(path for path in folder.rglob("*") if path.name.lower().endswith(tuple(endings)))
    named = [path for path in found if path.name in RUN_FILES]
    if not found or len(found) > MOST_FILES:
        raise DataError(f"{folder}: {len(found)} tables found; a folder with CSV files, one a trial, is needed")
    if named:
        return [(path, path.parent.relative_to(folder).as_posix()) for path in named]
    return [(path, path.relative_to(folder).as_posix().removesuffix(path.suffix)) for path in found]


def settings_beside(path: Path) -> dict[str, Any]:
    """Return the settings of the trial that a file belongs to as columns ``config/…``, and its state where Ray says it.

    Raises:
        DataError: A file of settings cannot be read.
    """
    columns: dict[str, Any] = {}
    file = next((path.parent / name for name in SETTINGS_FILES if (path.parent / name).is_file()), None)
    if path.name in RUN_FILES and file is not None:
        columns = {f"config/{name}": value for name, value in _flat(_settings(file)).items()}
        if len(columns) > MOST_SETTINGS:
            raise DataError(f"{file}: more than {MOST_SETTINGS} settings")
    if path.name == "progress.csv":
        columns["status"] = "error" if (path.parent / "error.txt").exists() else None
    return columns


def _settings(file: Path) -> Mapping[str, Any]:
    import yaml

    if file.stat().st_size > MOST_BYTES:
        raise DataError(f"{file}: more than {MOST_BYTES // 1024} KiB of settings")
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise DataError(f"{file}: cannot be read as settings ({str(error).splitlines()[0]})") from error
    return found if isinstance(found, dict) else {}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings under dotted names; as many as are allowed and one more, whatever refers to what."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", settings)]
    for _ in range(MOST_SETTINGS):
        if not waiting or len(found) > MOST_SETTINGS:
            break
        prefix, part = waiting.pop()
        for name, value in part.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
            else:
                found[f"{prefix}{name}"] = value if isinstance(value, bool | int | float | None) else str(value)
    return found
