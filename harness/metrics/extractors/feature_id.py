"""The identity of features: two values with different identities are never compared."""

from __future__ import annotations

import hashlib
from pathlib import Path


def feature_id_of(name: str, preprocessing: str, *files: Path) -> str:
    """Return ``name-`` and 12 hex digits of a SHA-256 over the preprocessing text and the bytes of the weights files.

    Example:
        >>> feature_id_of("pixels", "grey, 8x8")
        'pixels-00fd48584e46'
    """
    digest = hashlib.sha256(preprocessing.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{name}-{digest.hexdigest()[:12]}"
