"""Reading a folder of many small Parquet files as one table, fast the second time.

What was read is kept in one file beside the folder, with the size and time of each small file it came from. That file
is a cache: it can be deleted at any time, and files that are new, changed or gone since are noticed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

FOLD_AFTER = 64
"""Small files that are read anew before they are folded into the large one."""

FILE, STAMP = "__file", "__stamp"


@dataclass(frozen=True)
class Folder:
    """A folder of small Parquet files and the cache beside it."""

    path: Path
    cache: Path

    def stamps(self) -> dict[str, str]:
        """Return the name of each small file with its size and time of change."""
        try:
            with os.scandir(self.path) as entries:
                found = {
                    e.name: f"{s.st_size}-{s.st_mtime_ns}"
                    for e in entries
                    if e.name.endswith(".parquet") and not e.name.startswith(".") and (s := e.stat())
                }
        except FileNotFoundError:
            return {}
        return dict(sorted(found.items()))

    def names(self) -> set[str]:
        """Return the stems of the small files."""
        return {name.removesuffix(".parquet") for name in self.stamps()}

    def read(self) -> pa.Table | None:
        """Return all rows, or None when there is no file.

        Raises:
            StoreError: A file is damaged.
        """
        import pyarrow as pa

        stamps = self.stamps()
        kept = self._kept(stamps)
        known = set() if kept is None else set(kept.column(FILE).unique().to_pylist())
        new = [self._read(name, stamp) for name, stamp in stamps.items() if name not in known]
        parts = [*([] if kept is None else [kept]), *new]
        if not parts:
            return None
        table = pa.concat_tables(parts, promote_options="default")
        if len(new) >= FOLD_AFTER:
            self._keep(table)
        return table.drop_columns([FILE, STAMP])

    def _read(self, name: str, stamp: str) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path / name) as file:
                table = file.read(use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(
                f"{self.path / name}: is damaged ({error}); `run` sets it aside and computes the trial again"
            ) from error
        count = table.num_rows
        return table.append_column(FILE, pa.array([name] * count)).append_column(STAMP, pa.array([stamp] * count))

    def _kept(self, stamps: dict[str, str]) -> pa.Table | None:
        """Return the rows of the large file that still hold, or None where there is none that can be read."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if not self.cache.exists():
            return None
        try:
            with pq.ParquetFile(self.cache) as file:
                table = file.read()
        except (pa.ArrowException, OSError):
            return None
        if FILE not in table.column_names or not table.num_rows:
            return None
        joined = pc.binary_join_element_wise(table.column(FILE), table.column(STAMP), "|")
        now = pa.array([f"{name}|{stamp}" for name, stamp in stamps.items()], pa.string())
        table = table.filter(pc.is_in(joined, value_set=now))
        return table if table.num_rows else None

    def _keep(self, table: pa.Table) -> None:
        """Write the large file; a folder that cannot be written is read slowly, that is all."""
        import pyarrow.parquet as pq

        scratch = self.cache.with_name(f".scratch-{os.getpid()}-{self.cache.name}")
        try:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, scratch)
            scratch.replace(self.cache)
        except OSError:
            scratch.unlink(missing_ok=True)
