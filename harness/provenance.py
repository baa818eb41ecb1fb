"""What computes: versions of the code and of the packages, as every row carries them."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
from pathlib import Path

VERSION = "0.1.0"
"""The version of this package."""

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "torchmetrics", "pillow")
"""Packages whose version may move a number."""


OF_ROWS = ("data", "metrics", "models", "study", "trial", "executors/worker.py", "plugins.py", "randomness.py")
"""The parts of this package that rows are computed by; what reads, judges and shows them moves no row."""


@functools.cache
def code_version() -> str:
    """Return the package's version with a digest of the sources that compute rows, so that an edited checkout shows."""
    return f"{VERSION}+{sources_digest(OF_ROWS)}"


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


def environment() -> dict[str, object]:
    """Return what a study's folder says of the machine it was computed on."""
    return {
        "code_version": code_version(),
        "packages": package_versions(),
        "machine": platform.platform(),
        "processor": _processor(),
    }


def _processor() -> str:
    """Return the processor's name; the kind of machine where the system does not tell."""
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
