"""Files of source code: whether two mean the same, and a digest of those of a folder."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path


def same_syntax(name: str, first: str | None, second: str | None) -> bool:
    """Return whether two versions of a Python file differ in comments and layout alone; of other files nothing is said.

    Args:
        name: Of the file.
        first: Its text; None where it is not there, or no text.
        second: The same of the other version.
    """
    if not name.endswith(".py") or first is None or second is None:
        return False
    try:
        return ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    except (SyntaxError, ValueError):
        return False


def python_digest(folder: Path) -> str:
    """Return a digest of the Python files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
