"""The folder of the study's file, where a user's own modules and relative paths are looked for first."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_folder: Path | None = None


def look_beside(folder: Path | None) -> None:
    """Look in a folder first from now on, in this process: for modules, as Python does beside a script, and for paths.

    Args:
        folder: Absolute, or None for no folder; the one before is left.
    """
    global _folder  # noqa: PLW0603 - the import path, which belongs to it, is the process's too
    if folder == _folder:
        return
    if _folder is not None and str(_folder) in sys.path:
        sys.path.remove(str(_folder))
    _folder = folder
    if folder is not None:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def study_folder() -> Path | None:
    """Return the folder that is looked in first."""
    return _folder


def located(path: str) -> Path:
    """Return where a path of a study file leads: beside it if something is there, else from the working folder."""
    given = Path(path).expanduser()
    beside = None if _folder is None else _folder / given
    return beside if beside is not None and beside.exists() else given


def forget_another(module_name: str) -> None:
    """Let a module be imported anew if the one that was is of another folder than the file beside the study."""
    top = module_name.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if _folder is None or loaded is None:
        return
    beside = (_folder / f"{top}.py", _folder / top / "__init__.py")
    if any(file.is_file() for file in beside) and Path(loaded).resolve() not in [file.resolve() for file in beside]:
        for name in [name for name in sys.modules if name.partition(".")[0] == top]:
            del sys.modules[name]
