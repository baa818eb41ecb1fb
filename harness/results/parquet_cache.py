"""Reading a folder of many small Parquet files as one table, fast the second time.

What was read is kept beside the folder in a few large files, which know the size and time of each small file they came
from. They are a cache: they can be deleted at any time, and small files that are new, changed or gone are noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic_write import atomic_write
from harness.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

FOLD_AFTER = 64
"""Small files that are read anew before they are folded into a large one."""
MOST = 8192
"""Small files that a large one holds at the most: what folding reads at a time does not grow with the study."""

Stamps = Mapping[str, str]
FILES = b"conforming files"
"""Key of a large file's metadata: the name, stamp and number of rows of each small file, in their order."""


@dataclass(frozen=True)
class _Segment:
    """A large file."""

    path: Path
    files: Sequence[tuple[str, str, int]]

    def current(self, stamps: Stamps, but: set[str]) -> list[bool]:
        """Return which of its small files are still as they were, and not in another segment."""
        return [stamps.get(name) == stamp and name not in but for name, stamp, _ in self.files]


@dataclass(frozen=True)
class Folder:
    """A folder of small Parquet files and the cache beside it."""

    path: Path
    cache: Path
    """A folder of large files."""
    conforming: Callable[[pa.Table, str], pa.Table]
    """Returns a small file's table, given with the file's stem, as it is to be read; or raises StoreError."""

    def stamps(self) -> dict[str, str]:
        """Return the name of each small file with its size and time of change."""
        stamps = {e.name: f"{s.st_size}-{s.st_mtime_ns}" for e in _entries(self.path) if (s := e.stat())}
        return dict(sorted(stamps.items()))

    def names(self) -> set[str]:
        """Return the stems of the small files."""
        return {entry.name.removesuffix(".parquet") for entry in _entries(self.path)}

    def read(self, stamps: Stamps | None = None) -> pa.Table | None:
        """Return all rows, or None when there is no file.

        Args:
            stamps: Of the small files, where they are known.

        Raises:
            StoreError: A file is damaged.
        """
        import pyarrow as pa

        stamps = self.stamps() if stamps is None else stamps
        covered, parts = set[str](), []
        segments, small, _ = self._fold(stamps)
        for segment in segments:
            table = self._rows(segment, stamps, covered)
            if table is not None:
                parts.append(table)
                covered |= _names(segment, stamps)
        parts.extend(small[name] if name in small else self._read(name) for name in stamps if name not in covered)
        return pa.concat_tables(parts, promote_options="default") if parts else None

    def fold(self) -> list[Path]:
        """Bring the cache up to date, reading only what is new, and return the files that are damaged."""
        return self._fold(self.stamps())[2]

    def _fold(self, stamps: Stamps) -> tuple[list[_Segment], dict[str, pa.Table], list[Path]]:
        """Bring the cache up to date, and return its large files, the tables that are in none, and damaged files."""
        segments, damaged = self._segments(), list[Path]()
        small: dict[str, pa.Table] = {}
        covered = {name for segment in segments for name in _names(segment, stamps)}
        for segment in segments:
            if not any(segment.current(stamps, set())):
                _remove(segment.path)
        new = [name for name in stamps if name not in covered]
        for start in range(0, len(new), MOST):
            tables = {}
            for name in new[start : start + MOST]:
                try:
                    tables[name] = self._read(name)
                except StoreError:
                    damaged.append(self.path / name)
            if len(tables) >= FOLD_AFTER:
                self._keep(tables, stamps)
                segments = self._segments()
                kept = {name for segment in segments for name in _names(segment, stamps)}
                tables = {name: table for name, table in tables.items() if name not in kept}
            small |= tables
        return segments, small, damaged

    def _read(self, name: str) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path / name, page_checksum_verification=True) as file:
                return self.conforming(file.read(use_threads=False), name.removesuffix(".parquet"))
        except (pa.ArrowException, OSError, StoreError, UnicodeError) as error:
            raise StoreError(
                f"{self.path / name}: is damaged ({error}); `run` sets it aside and computes the trial again"
            ) from error

    def _segments(self) -> list[_Segment]:
        """Return the large files that can be read, the oldest first."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        segments = []
        for path in sorted(entry.path for entry in _entries(self.cache)):
            try:
                files = json.loads(pq.read_metadata(path).metadata[FILES])
            except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
                _remove(Path(path))
                continue
            segments.append(_Segment(Path(path), files))
        return segments

    def _rows(self, segment: _Segment, stamps: Stamps, but: set[str]) -> pa.Table | None:
        """Return the rows of a large file that still hold; None where it can no longer be read."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(segment.path, page_checksum_verification=True) as file:
                table = file.read().replace_schema_metadata(None)
        except (pa.ArrowException, OSError):
            _remove(segment.path)
            return None
        current = segment.current(stamps, but)
        if all(current):
            return table
        return table.filter(pa.array(np.repeat(current, [rows for _, _, rows in segment.files])))

    def _keep(self, tables: Mapping[str, pa.Table], stamps: Stamps) -> None:
        """Write a large file, together with the last ones while those are no larger: their number stays small."""
        import pyarrow as pa

        files = [(name, stamps[name], table.num_rows) for name, table in tables.items()]
        parts, segments = list(tables.values()), self._segments()
        merged = []
        while segments and len(segments[-1].files) <= len(files) and len(segments[-1].files) + len(files) <= MOST:
            last = segments.pop()
            table = self._rows(last, stamps, {name for name, _, _ in files})
            kept = last.current(stamps, {name for name, _, _ in files})
            merged.append(last.path)
            if table is not None:
                files = [*(file for file, keep in zip(last.files, kept, strict=True) if keep), *files]
                parts = [table, *parts]
        number = int(segments[-1].path.stem) + 1 if segments else 0
        table = pa.concat_tables(parts, promote_options="default")
        self._write(self.cache / f"{number:06d}.parquet", table.replace_schema_metadata({FILES: json.dumps(files)}))
        for path in merged:
            if path.stem != f"{number:06d}":
                _remove(path)

    def _write(self, path: Path, table: pa.Table) -> None:
        """Write a large file whole; a folder that cannot be written is read slowly, that is all."""
        import pyarrow.parquet as pq

        with suppress(OSError), atomic_write(path, durable=False) as file:
            pq.write_table(table, file, write_page_checksum=True)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield a folder's Parquet files, scratch files left out; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            yield from (e for e in entries if e.name.endswith(".parquet") and not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return


def _names(segment: _Segment, stamps: Stamps) -> set[str]:
    return {name for name, stamp, _ in segment.files if stamps.get(name) == stamp}


def _remove(path: Path) -> None:
    """Delete a cache file; one that cannot be deleted does no harm."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
