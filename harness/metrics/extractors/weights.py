"""Published weights files: given by path, from torch's cache, or fetched where there is internet; always checked."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.error import URLError

import torch

from harness.errors import MissingExtraError


def published_file(name: str, url: str, variable: str | None = None) -> Path:
    """Return the path of a weights file whose name ends in the first digits of its SHA-256, as torch's hub names them.

    Args:
        name: What needs it, for messages.
        url: Where it is published.
        variable: Environment variable that may hold a path to it.

    Raises:
        MissingExtraError: The file is nowhere and cannot be fetched, or is another file than the published one.
    """
    file_name = url.rpartition("/")[2]
    cached, given = cached_file(url), os.environ.get(variable, "") if variable else ""
    file = Path(given).expanduser() if given else cached
    ways = f"download {url} and put it at {cached}" + (f", or set {variable} to its path" if variable else "")
    if not file.is_file():
        if given:
            raise MissingExtraError(f"{name}: {variable} names {file}, which is not there; {ways}")
        _fetch(name, url, file, ways)
    _check(name, file, file_name, ways)
    return file


def cached_file(url: str) -> Path:
    """Return where torch's cache has a file, or will have it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _fetch(name: str, url: str, file: Path, ways: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), progress=False)
    except (URLError, OSError) as error:
        raise MissingExtraError(f"{name}: its weights are not here and cannot be fetched ({error}); {ways}") from error


def _check(name: str, file: Path, file_name: str, ways: str) -> None:
    found = re.search(r"-([0-9a-f]{8,})\.", file_name)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if found and not digest.startswith(found[1]):
        message = f"{name}: {file} has SHA-256 {digest[:12]}…, and the published one begins {found[1]}; {ways}"
        raise MissingExtraError(message)
