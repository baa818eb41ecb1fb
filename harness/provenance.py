"""What computes: versions of the code and of the packages, as every row carries them."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from harness.study_folder import forget_another, study_folder

VERSION = "0.1.0"
"""The version of this package."""

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "torchmetrics", "pillow")
"""Packages whose version may move a number."""


OF_ROWS = ("data", "metrics", "models", "study", "trial", "executors/worker.py", "plugins.py", "randomness.py")
"""The parts of this package that rows are computed by; what reads, judges and shows them moves no row."""


OWN = ".own."
"""What stands in a code version before the digest of a user's own code."""


def code_version(doors: tuple[str, ...] = (), parts: tuple[str, ...] = OF_ROWS) -> str:
    """Return the package's version with a digest of the sources that compute rows, so that an edited checkout shows.

    Args:
        doors: Every ``package.module:function`` of the arm. The digest of their sources is added, as they are when
            this process first asks: later edits are not in the modules that it has imported.
        parts: The parts of this package that rows are computed by.
    """
    version = f"{VERSION}+{sources_digest(parts)}"
    return f"{version}{OWN}{_own_digest(doors, study_folder())}" if doors else version


@functools.cache
def _own_digest(doors: tuple[str, ...], _folder: Path | None) -> str:
    digest = hashlib.sha256()
    for name, source in own_sources(doors).items():
        digest.update(name.encode() + source)
    return digest.hexdigest()[:12]


def own_sources(doors: tuple[str, ...]) -> dict[str, bytes]:
    """Return the sources that a user's functions are made of, by path below the folder they are imported from.

    That is the module of each function and whatever it imports, directly or not, from the same folder or the same
    installed package; read, never run. Modules without a source, such as compiled ones, are left out.
    """
    found: dict[str, bytes] = {}
    for door in doors:
        name = door.partition(":")[0]
        forget_another(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        origin = Path(spec.origin)
        is_package = origin.name == "__init__.py"
        root = origin.parents[name.count(".") + is_package]
        _collect(name, root, within=name.partition(".")[0] if _is_installed(root) else None, found=found)
    return dict(sorted(found.items()))


def _is_installed(root: Path) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in root.parts)


def _collect(name: str, root: Path, within: str | None, found: dict[str, bytes]) -> None:
    """Add a module and all that it imports from the same place, its packages' own files included."""
    place = root.joinpath(*name.split("."))
    path = next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
    if path is None or (within is not None and name.partition(".")[0] != within):
        return
    key = path.relative_to(root).as_posix()
    if key in found:
        return
    found[key] = path.read_bytes()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for parent in _parents(name):
        _collect(parent, root, within, found)
    for module in _imported(found[key], package):
        _collect(module, root, within, found)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Yield the modules that a source may import, names that turn out to be no modules among them."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, above), *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


@functools.cache
def sources_digest(parts: tuple[str, ...] = (".",)) -> str:
    """Return a digest of sources of this package: all, or those of some files and folders."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for part in parts:
        path = package / part
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.relative_to(package).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages whose version may move a number."""
    from importlib.metadata import PackageNotFoundError, version  # a third of the time of `import harness`

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


ARITHMETIC = "float32 in full, no TF32; on a GPU torch's deterministic kernels, where an operation has one"
"""What every trial computes with, unless its `training.precision` says otherwise."""


def environment() -> dict[str, object]:
    """Return what a study's folder says of the machine it was computed on."""
    return {
        "code_version": code_version(),
        "packages": package_versions(),
        "machine": platform.platform(),
        "processor": _processor(),
        "arithmetic": ARITHMETIC,
    }


def _processor() -> str:
    """Return the processor's name; the kind of machine where the system does not tell."""
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
