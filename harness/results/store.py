"""The only reading and writing of Parquet: one small file per trial and table, written whole, the trial's row last."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.atomic_write import atomic_write, remove_scratch
from harness.errors import StoreError
from harness.provenance import sources_digest
from harness.results import documents
from harness.results.arrow_schema import arrow_schema, conforming, signal_columns
from harness.results.frozen import Amendment, FrozenStudy
from harness.results.holding import HOLDER, holding
from harness.results.parquet_cache import Folder
from harness.results.published import Bundle
from harness.results.remote import Remote, is_uri, working_copy
from harness.results.schema import (
    DOCUMENTS,
    MEASUREMENT_COLUMNS,
    TABLES,
    ArmPlan,
    Column,
    References,
    Row,
    TrialRows,
    trial_columns,
)
from harness.results.tables import Tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from harness.study.study import Study

WITHOUT_IT = "restore it, or delete it and `run` the study again: rows that do not belong to it will be named"


class Store:
    """The folder of one study's results, or the working copy of one at a URI."""

    def __init__(self, folder: Path, remote: Remote | None = None) -> None:
        self.folder = folder
        self.remote = remote
        self._read_before: dict[str, tuple[dict[str, str], pd.DataFrame]] = {}

    @staticmethod
    def at(results: str | Path, *study: str) -> Store:
        """Return the store of a study; what is at a URI is there once the store is `fetched` or held.

        Args:
            results: A folder, or the URI of one.
            study: Names below it.
        """
        text = str(results)
        if not is_uri(text):
            return Store(Path(results, *study))
        return Store(Path(working_copy(text), *study), Remote.of(text, *study))

    def fetched(self) -> Store:
        """Return this store, with what is at its URI.

        Raises:
            StoreError: The URI does not answer.
        """
        if self.remote is not None:
            self.remote.fetch(self.folder)
        return self

    # ---- the frozen study -------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether a study has been frozen here."""
        return (self.folder / "study.json").is_file()

    def frozen(self) -> FrozenStudy:
        """Return the study as it was written down: as planned before its first trial, as it is now, and its history.

        Raises:
            StoreError: There is none, it is damaged, or a later version wrote it.
        """
        path = self.folder / "study.json"
        try:
            return FrozenStudy.read(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise StoreError(f"{self.folder}: holds no study; start one with `python -m harness run STUDY`") from None
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path}: cannot be read ({error}); {WITHOUT_IT}") from error
        except StoreError as error:
            raise StoreError(f"{path}: {error}; {WITHOUT_IT}") from None

    def history(self) -> tuple[Amendment, ...]:
        """Return each change of the study after its first row, the first one first; empty where all is as planned.

        Raises:
            StoreError: As of `frozen`.
        """
        return self.frozen().history

    def freeze(self, study: Study, environment: Mapping[str, Any]) -> None:
        """Write down the study and what computes it; a change after the first row is added to the history.

        Raises:
            StoreError: The rows that are there would not be rows of this study.
        """
        frozen = FrozenStudy.of(study)
        if self.exists and (done := self.done()):
            before, blocks = self.frozen(), {trial_id.partition("-")[0] for trial_id in done}
            try:
                frozen = before.amended(study, trials=len(done), blocks=len(blocks), at=datetime.now(UTC))
            except StoreError as error:
                raise StoreError(f"{self.folder}: {error}") from None
        self.write_file("study.json", json.dumps(frozen.document(), indent=1, ensure_ascii=False).encode())
        self.write_file("environment.json", json.dumps(environment, indent=1, ensure_ascii=False).encode())

    def plan_document(self) -> dict[str, Any]:
        """Return what preflight wrote down; of no arms if it never came to that.

        Raises:
            StoreError: It is damaged.
        """
        return documents.plan_document(self.folder)

    def plan(self) -> dict[str, ArmPlan]:
        """Return what preflight wrote down of each arm, by name; nothing if it never came to that.

        Raises:
            StoreError: It is damaged.
        """
        return documents.plan(self.folder)

    def references(self) -> References | None:
        """Return what was measured without learning; None if it never came to that.

        Raises:
            StoreError: It is damaged.
        """
        return documents.references(self.folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against other drivers.

        Raises:
            StoreError: Another process holds it, or it cannot be written.
        """
        with holding(self.folder):
            self._write_here(HOLDER, f"process {os.getpid()} on {os.uname().nodename}".encode())
            remove_scratch(self.folder)
            with nullcontext() if self.remote is None else self._in_step(self.remote):
                yield

    @contextmanager
    def _in_step(self, remote: Remote) -> Iterator[None]:
        """Hold the URI too, and level what an interruption left at one side only."""
        with remote.held():
            remote.fetch(self.folder)
            remote.send(
                self.folder,
                (f"{table}/{name}.parquet" for table in TABLES for name in self._files(table).names()),
            )
            yield

    def digest(self) -> str:
        """Return a digest that changes with the rows, the study, the plan, and the code that shows them."""
        digest = hashlib.sha256(sources_digest().encode())
        for name in ("study.json", *DOCUMENTS):
            path = self.folder / name
            digest.update(path.read_bytes() if path.is_file() else b"")
        digest.update(json.dumps({**self._files("trials").stamps(), **Bundle(self.folder, "trials").stamp()}).encode())
        return digest.hexdigest()

    # ---- rows -------------------------------------------------------------------------------------------------------

    def done(self) -> set[str]:
        """Return the ids of the trials that have their row."""
        return self._files("trials").names() | Bundle(self.folder, "trials").trial_ids()

    def write(self, rows: TrialRows, *, axes: Sequence[str], metrics: Sequence[str]) -> None:
        """Write all of a trial's rows, the trial's own last.

        Raises:
            StoreError: The disk is full or read-only.
        """
        trial_id = rows.trial["trial_id"]
        for name, picture in rows.pictures.items():
            self.write_file(f"samples/{trial_id if name == 'generated' else name}.png", picture)
        signals = [{"trial_id": trial_id, **row} for row in rows.signals]
        self._write("signals", trial_id, signals, signal_columns(signals))
        self._write("measurements", trial_id, rows.measurements, MEASUREMENT_COLUMNS)
        self._write("trials", trial_id, [rows.trial], trial_columns(axes, metrics))

    def _write(self, table: str, name: str, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = arrow_schema(columns)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, write_page_checksum=True)
        self.write_file(f"{table}/{name}.parquet", sink.getvalue().to_pybytes())

    def write_file(self, name: str, content: bytes) -> None:
        """Write a file whole: under a scratch name, flushed to the disk, then renamed; then at the URI, where one is.

        Raises:
            StoreError: The disk is full or read-only; nothing half-written is left under the file's name.
        """
        self._write_here(name, content)
        if self.remote is not None:
            self.remote.put(name, content)

    def _write_here(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            with atomic_write(path) as file:
                file.write(content)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}); make room or choose another --results"
            ) from error

    def set_aside_damaged(self) -> list[Path]:
        """Rename trials' files that cannot be read, so that their trials are computed again, and return them.

        A trial's row whose measurements or signals are missing is set aside too, and one that is not sound.
        """
        damaged = [path for table in TABLES for path in self._files(table).fold()]
        complete = self._files("measurements").names() & self._files("signals").names()
        rows = {name: self.folder / "trials" / f"{name}.parquet" for name in sorted(self._files("trials").names())}
        damaged += [path for name, path in rows.items() if name not in complete]
        self._set_aside(dict.fromkeys(damaged))
        left = self.tables().left_out if self.exists else ()
        unsound = [rows[name] for part in left if not part.foreign for name in part.trial_ids if name in rows]
        known = set(self.trials()["trial_id"]) if left else set(rows)
        unsound += [path for name, path in rows.items() if name not in known and path.exists()]
        self._set_aside(unsound)
        return list(dict.fromkeys((*damaged, *unsound)))

    def _set_aside(self, damaged: Iterable[Path]) -> None:
        for path in damaged:
            path.replace(path.with_suffix(".damaged"))
            # Without its row a trial is not done: the others' rows are then written anew.
            (self.folder / "trials" / path.name).unlink(missing_ok=True)
            if self.remote is not None:
                self.remote.remove(f"trials/{path.name}")
                self.remote.remove(f"{path.parent.name}/{path.name}")

    def remove_rows(self, trial_ids: Iterable[str]) -> None:
        """Delete all rows of some trials, so that they are computed again.

        Raises:
            StoreError: The folder cannot be written, or rows were published and are in one file with all others.
        """
        trial_ids = list(trial_ids)
        if set(trial_ids) & Bundle(self.folder, "trials").trial_ids():
            raise StoreError(
                f"{self.folder}: is published, and nothing is taken out of it; `python -m harness merge {self.folder} "
                "--into ANOTHER` makes a folder to go on with"
            )
        for trial_id in trial_ids:
            for table in reversed(TABLES):  # the trial's own row first: from then on it is not done
                name = f"{table}/{trial_id}.parquet"
                try:
                    (self.folder / name).unlink(missing_ok=True)
                except OSError as error:
                    raise StoreError(f"{self.folder / name}: cannot be deleted ({error.strerror})") from error
                if self.remote is not None:
                    self.remote.remove(name)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def trials(self) -> pd.DataFrame:
        """Return one row per trial, sorted by block and arm."""
        return self._read("trials")

    def measurements(self) -> pd.DataFrame:
        """Return one row per trial, step and metric, of the trials that have their row."""
        return self._read("measurements", self.done())

    def signals(self) -> pd.DataFrame:
        """Return one row per trial and logged step, of the trials that have their row."""
        return self._read("signals", self.done())

    def tables(self) -> Tables:
        """Return all three.

        Raises:
            StoreError: The folder holds no study.
        """
        return Tables(self, self.frozen())

    def fold(self) -> None:
        """Bring the caches that make reading fast up to date; worth it every few hundred trials."""
        for table in TABLES:
            self._files(table).fold()

    def _read(self, table: str, only: set[str] | None = None) -> pd.DataFrame:
        """Return a table, decoded once as long as no file changes; signals are too many to be kept."""
        import pandas as pd

        stamps = {**self._files(table).stamps(), **Bundle(self.folder, table).stamp()}
        before = self._read_before.get(table)
        if before is not None and before[0] == stamps:
            frame = before[1]
        else:
            rows = self.rows(table)
            if rows is None:
                columns = MEASUREMENT_COLUMNS if table == "measurements" else trial_columns((), ())
                return pd.DataFrame(columns=[column.name for column in columns])
            frame = rows.to_pandas()
            if table == "trials":
                frame = frame.sort_values(["block", "arm"], ignore_index=True)
            if table != "signals":
                self._read_before[table] = (stamps, frame)
        if only is None or only.issuperset(name.removesuffix(".parquet") for name in stamps):
            return frame.copy(deep=False)
        return frame[frame["trial_id"].isin(only)].reset_index(drop=True)

    def rows(self, table: str) -> pa.Table | None:
        """Return the rows of a table, a trial's own file before what was published; None where there are none.

        Raises:
            StoreError: A file is damaged.
        """
        import pyarrow as pa

        files, bundle = self._files(table), Bundle(self.folder, table)
        parts = [part for part in (files.read(), bundle.rows(but=files.names())) if part is not None]
        return pa.concat_tables(parts, promote_options="default") if parts else None

    def _files(self, table: str) -> Folder:
        of_table = functools.partial(conforming, name=table)
        return Folder(self.folder / table, self.folder / ".cache" / table, of_table)

    @cached_property
    def samples(self) -> Path:
        """The folder of sample strips."""
        return self.folder / "samples"
