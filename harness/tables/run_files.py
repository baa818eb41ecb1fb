"""Files that tools write for each trial, and the settings beside them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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
    below = sorted(folder.rglob("*"))
    found = [path for path in below if path.name.lower().endswith(tuple(endings))]
    named = [path for path in found if path.name in RUN_FILES]
    if not found or len(found) > MOST_FILES:
        raise DataError(f"{folder}: {len(found)} tables found; a folder with CSV files, one a trial, is needed")
    if not named:
        return [(path, path.relative_to(folder).as_posix().removesuffix(path.suffix)) for path in found]
    there = {path.parent for path in named}
    settings = {path.parent for path in below if path.name in SETTINGS_FILES} - there
    # A trial that failed before it wrote its table left its settings only, beside trials that wrote both.
    siblings = {path.parent for path in there}
    named += [path / named[0].name for path in settings if path.parent in siblings]
    return [(path, path.parent.relative_to(folder).as_posix()) for path in sorted(named)]


def settings_beside(path: Path) -> dict[str, Any]:
    """Return the settings of the trial that a file belongs to as columns ``config/…``, and its state where Ray says it.

    Raises:
        DataError: A file of settings cannot be read.
    """
    columns: dict[str, Any] = {}
    file = next((path.parent / name for name in SETTINGS_FILES if (path.parent / name).is_file()), None)
    if path.name in RUN_FILES and file is not None:
        columns = {f"config/{name}": value for name, value in _flat(_settings(file), str(file)).items()}
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


def _flat(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return nested settings under dotted names; they may refer to each other, so that few lines can be very many."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", settings)]
    for _ in range(MOST_SETTINGS):
        if not waiting:
            break
        prefix, part = waiting.pop()
        for name, value in part.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
            else:
                found[f"{prefix}{name}"] = value if isinstance(value, bool | int | float | None) else str(value)
    if waiting or len(found) > MOST_SETTINGS:
        raise DataError(f"{where}: more than {MOST_SETTINGS} settings")
    return found


def unpacked(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return a table in which columns of dictionaries, such as W&B's `config` and `summary`, are a column an entry.

    Raises:
        DataError: A cell looks like a dictionary and is none, or is very large.
    """
    for name in ("config", "summary"):
        if name not in table or not table[name].map(lambda cell: str(cell).lstrip().startswith("{")).all():
            continue
        places = [f"{where}: column '{name}', row {row + 1}" for row in range(len(table))]
        entries = [_flat(_dictionary(cell, at), at) for cell, at in zip(table[name], places, strict=True)]
        columns = pd.DataFrame(entries, index=table.index).add_prefix(f"{name}/")
        table = pd.concat([table.drop(columns=name), columns], axis=1)
    return table


def _dictionary(cell: object, where: str) -> Mapping[str, Any]:
    """Return a dictionary, or what the text of one says; parsed as a literal, never evaluated."""
    if isinstance(cell, dict):
        return cell
    text = str(cell)
    if len(text) > MOST_BYTES:
        raise DataError(f"{where}: more than {MOST_BYTES // 1024} KiB")
    try:
        found = ast.literal_eval(re.sub(r"(?<=: )(nan|-?inf)(?=[,}])", "None", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DataError(f"{where}: cannot be read as a dictionary ({str(error).splitlines()[0]})") from error
    return found if isinstance(found, dict) else {}
