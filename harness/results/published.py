"""Results as they are published: the rows of all trials in one file a table, with study, plan, samples and report.

A working folder has a small file per trial and table, so that a stop loses nothing; most of their bytes are the files' own
frames. A published folder is read like any other: reported on, compared, merged, and gone on with.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic_write import atomic_write
from harness.errors import StoreError
from harness.results.arrow_schema import conforming
from harness.results.schema import DOCUMENTS, TABLES

if TYPE_CHECKING:
    import pyarrow as pa

    from harness.results.store import Store



class Bundle:
    """The published file of one table of a folder, where there is one."""

    def __init__(self, folder: Path, table: str) -> None:
        self.path, self.table = folder / f"{table}.parquet", table

    def stamp(self) -> dict[str, str]:
        """Return its name with size and time of change; nothing where there is no such file."""
        try:
            status = self.path.stat()
        except OSError:
            return {}
        return {f"../{self.path.name}": f"{status.st_size}-{status.st_mtime_ns}"}

    def trial_ids(self) -> set[str]:
        """Return the trials that have rows in it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.path.is_file():
            return set()
        try:
            return set(pq.read_table(self.path, columns=["trial_id"]).column("trial_id").to_pylist())
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._damaged(error) from error

    def rows(self, but: Collection[str] = ()) -> pa.Table | None:
        """Return its rows, without those of some trials; None where there is no such file.

        Raises:
            StoreError: It cannot be read.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if not self.path.is_file():
            return None
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                table = conforming(file.read(use_threads=False), None, self.table)
        except (pa.ArrowException, OSError, StoreError, UnicodeError) as error:
            raise self._damaged(error) from error
        if but:
            table = table.filter(pc.invert(pc.is_in(table.column("trial_id"), pa.array(sorted(but), pa.string()))))
        return table

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(f"{self.path}: is damaged ({error}); take it again from where it was published")


def publish(store: Store, into: Path) -> Path:
    """Write a study's results as one folder to hand on.

    Args:
        store: What is published; it is left as it is.
        into: The folder that will hold a folder of the same name.

    Returns:
        That folder. What a folder of that name held of an earlier publication is replaced.

    Raises:
        StoreError: It holds no study, a row is damaged or not the study's own, or the folder cannot be written.
    """
    folder = into / store.folder.name
    if folder.resolve() == store.folder.resolve():
        raise StoreError(f"{folder}: is where the results are; publish into another folder")
    tables = store.tables()
    if tables.left_out:
        raise StoreError(f"{store.folder}: {' '.join(map(str, tables.left_out))} Mend that first.")
    try:
        for name in TABLES:
            table = store.rows(name)
            if table is None:
                raise StoreError(f"{store.folder}: no trial has its rows yet; `run` computes them")
            order = [(column, "ascending") for column in ("trial_id", "step", "metric") if column in table.column_names]
            _write(folder / f"{name}.parquet", _as_parquet(table.sort_by(order)))
        for name in ("study.json", *DOCUMENTS):
            if (store.folder / name).is_file():
                _write(folder / name, (store.folder / name).read_bytes())
        shutil.rmtree(folder / "samples", ignore_errors=True)
        if store.samples.is_dir():
            shutil.copytree(store.samples, folder / "samples")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder


def rows_of(table: pa.Table, trial_id: str) -> bytes:
    """Return one trial's rows of a published table as the file that a working folder has of them."""
    import pyarrow.compute as pc

    return _as_parquet(table.filter(pc.equal(table.column("trial_id"), trial_id)))


def _as_parquet(table: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)
