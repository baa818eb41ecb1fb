"""Results at a URI: a working copy on this machine, and every file sent on as soon as it is written."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from harness.atomic_write import scratch_for
from harness.errors import HarnessError, MissingExtraError, StoreError

HOLDER = ".holder"
AT_ONCE = 256
"""Files that are fetched together: object stores answer many requests at a time."""
ROWS = "trials"
"""Folder of the files that say that a trial is done: listed first and sent last, the others are there by then."""


def is_uri(text: str) -> bool:
    """Return whether a folder of results is named by a URI, such as s3://bucket/results, and not by a path."""
    return "://" in text


def working_copy(uri: str) -> Path:
    """Return the folder of this machine that stands for a URI: the URI's own, for file://, or one in HARNESS_CACHE.

    HARNESS_CACHE is ``~/.cache/gan-ablation-harness`` unless the environment says otherwise.
    """
    scheme, _, path, *_ = urlsplit(uri)
    if scheme == "file":
        return Path(unquote(path))
    home = os.environ.get("HARNESS_CACHE") or Path.home() / ".cache" / "gan-ablation-harness"
    return Path(home) / quote(uri.rstrip("/"), safe="")


@dataclass(frozen=True)
class Remote:
    """A folder at a URI of any file system that fsspec knows."""

    uri: str

    @staticmethod
    def of(uri: str, *parts: str) -> Remote | None:
        """Return the folder at a URI, or at parts below it; None for file://, where the working copy is the folder."""
        return None if urlsplit(uri).scheme == "file" else Remote("/".join([uri.rstrip("/"), *parts]))

    def below(self, name: str) -> Remote:
        """Return a folder of this folder."""
        return Remote(f"{self.uri}/{name}")

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the path of the folder in it.

        Raises:
            MissingExtraError: The package for this kind of URI is not installed.
            HarnessError: There is no such kind of URI.
        """
        import fsspec

        try:
            files, root = fsspec.url_to_fs(self.uri)
        except ImportError as error:
            extra = "; pip install 'gan-ablation-harness[s3]'" if self.uri.startswith("s3") else ""
            raise MissingExtraError(f"{self.uri}: {error}{extra}") from None
        except ValueError as error:
            raise HarnessError(f"{self.uri}: {error}") from None
        return files, root.rstrip("/")

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """Give file system and folder; whatever the network or the service answers becomes one message."""
        files, root = self._place
        try:
            yield files, root
        except (StoreError, FileExistsError):
            raise
        # Each file system has errors of its own (botocore's, paramiko's …) beside OSError.
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise StoreError(
                f"{self.uri}: cannot be reached or written ({reason}); rows so far are safe in the working copy, and "
                "`run` again sends them"
            ) from error

    def sizes(self) -> dict[str, int]:
        """Return the size of each file below the folder, by name; hidden ones are left out."""
        with self._reached() as (files, root):
            files.invalidate_cache()
            rows = self._listed(files, root, ROWS)
            return self._listed(files, root, "") | rows

    @staticmethod
    def _listed(files: Any, root: str, below: str) -> dict[str, int]:
        base = f"{root}/{below}".rstrip("/")
        listed = files.find(base, detail=True) if files.exists(base) else {}
        names = {path[len(root) + 1 :]: int(info["size"] or 0) for path, info in listed.items()}
        return {name: size for name, size in names.items() if not any(p.startswith(".") for p in name.split("/"))}

    def fetch(self, folder: Path) -> None:
        """Copy to the working copy what it lacks, or has in another size, and the few files that ever change.

        What is at the URI holds.

        Raises:
            StoreError: The URI does not answer.
        """
        missing = [n for n, size in self.sizes().items() if "/" not in n or not _has(folder / n, size)]
        # A row is only there when the other files of its trial are.
        missing.sort(key=lambda name: name.startswith(f"{ROWS}/"))
        with self._reached() as (files, root):
            for start in range(0, len(missing), AT_ONCE):
                paths = [folder / name for name in missing[start : start + AT_ONCE]]
                scratches = [scratch_for(path) for path in paths]
                for path in paths:
                    path.parent.mkdir(parents=True, exist_ok=True)
                files.get([f"{root}/{name}" for name in missing[start : start + AT_ONCE]], [str(s) for s in scratches])
                for scratch, path in zip(scratches, paths, strict=True):
                    scratch.replace(path)

    def send(self, folder: Path, names: Iterator[str]) -> None:
        """Send those of the working copy's files that the URI lacks, rows last.

        Raises:
            StoreError: The URI does not answer.
        """
        there = self.sizes()
        for name in sorted(names, key=lambda name: (name.startswith(f"{ROWS}/"), name)):
            if name not in there:
                self.put(name, (folder / name).read_bytes())

    def put(self, name: str, content: bytes) -> None:
        """Write a file whole: fsspec's transactions rename, or finish the upload, only when all of it is there.

        Raises:
            StoreError: The URI does not answer, or does not let itself be written.
        """
        with self._reached() as (files, root):
            path = f"{root}/{name}"
            _make_folder(files, path.rpartition("/")[0])
            with files.transaction, files.open(path, "wb") as file:
                file.write(content)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            StoreError: The URI does not answer, or does not let itself be written.
        """
        with self._reached() as (files, root):
            if files.exists(f"{root}/{name}"):
                files.rm_file(f"{root}/{name}")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against drivers on other machines, by a file that says who does.

        Raises:
            StoreError: Another driver holds it.
        """
        self._take()
        try:
            yield
        finally:
            self.remove(HOLDER)

    def _take(self) -> None:
        host = socket.gethostname()
        mine = f"process {os.getpid()} on {host} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        with self._reached() as (files, root):
            path = f"{root}/{HOLDER}"
            _make_folder(files, root)
            try:
                files.pipe_file(path, mine.encode(), mode="create")
            except FileExistsError:
                holder = files.cat_file(path).decode("utf-8", "replace")
                if _was_killed_here(holder, host):
                    files.pipe_file(path, mine.encode())
                    return
                raise StoreError(
                    f"{self.uri}: in use by {holder}; wait for it, choose another --results, or delete {HOLDER} there "
                    "if that process is gone"
                ) from None


def _make_folder(files: Any, path: str) -> None:
    """Make a folder where there are folders: object stores have none, and s3fs would make a missing bucket instead."""
    from fsspec.asyn import AsyncFileSystem

    if not isinstance(files, AsyncFileSystem):
        files.makedirs(path, exist_ok=True)


def _was_killed_here(holder: str, host: str) -> bool:
    """Return whether a holder's text names a process of this machine that is gone."""
    holding = re.match(rf"process (\d+) on {re.escape(host)} since", holder)
    if holding is None:
        return False
    try:
        os.kill(int(holding[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    return False


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
