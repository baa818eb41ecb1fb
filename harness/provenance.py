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


@functools.cache
def code_version() -> str:
    """Return the package's version with a digest of its sources, so that an edited checkout shows."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return f"{VERSION}+{digest.hexdigest()[:12]}"


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
