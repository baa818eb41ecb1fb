"""A study's rows as an Optuna study, which can be deleted at any time and is made again from the rows."""

from __future__ import annotations

import io
import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.dashboard.note import note, verdict_in_short
from harness.dashboard.panels import panels
from harness.dashboard.quiet import quiet
from harness.dashboard.trial_picture import sample_grid, strip
from harness.metrics.catalogue import metric_named
from harness.results.schema import REACHED_HORIZON, Row
from harness.results.store import Store
from harness.study.study import Study
from harness.verdicts.judge import judge

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from optuna.artifacts import FileSystemArtifactStore
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SHOWN = (
    *("trial_id", "arm", "block", "status", "error", "failed_at_step", "matched_fraction"),
    *("parameters_g", "parameters_d", "macs_g", "macs_d", "seconds_per_step", "wall_seconds", "peak_bytes"),
)
"""Columns of `trials` that become user attributes, before the metrics."""

MOST_SECONDS_BEHIND = 60.0
"""Pause between two looks at the rows, however long a look takes: somebody watches."""
VERDICT = "verdict"
"""The study's attribute that says what its contrasts came to."""


class Mirror:
    """One study's rows as an Optuna study; its process must be the only one that writes to it."""

    def __init__(self, study: Study, store: Store, url: str | None = None) -> None:
        """Open nothing yet: the first call opens the storage, or makes it.

        Args:
            study: As it was frozen.
            store: Its results; the journal ``optuna.journal`` and the folder ``artifacts`` are made in there.
            url: Any storage URL that Optuna takes, such as ``sqlite:///mirror.db``; None for the journal.
        """
        self.study, self.store, self.url = study, store, url
        self._optuna: optuna.Study | None = None
        self._panels: dict[str, str] = {}
        self._complaint = ""
        self.remade = 0
        """Times that the storage was made anew: what has it open must open it again."""

    @property
    def journal(self) -> Path:
        """The storage's file where no URL was given."""
        return self.store.folder / "optuna.journal"

    @contextmanager
    def followed(self, announce: Callable[[str], object], every: float = 2.0) -> Iterator[None]:
        """Keep the storage in step with the rows, by a thread, for as long as somebody watches.

        Where another process does so already, nothing is written here. A storage that cannot be written is one line,
        and tried again with the next row: the rows are not touched by it.

        Args:
            announce: Called with the line.
            every: Seconds between two looks at the rows; a tenth of the time at the most goes into writing.
        """
        from filelock import FileLock, Timeout

        try:
            lock = FileLock(self.store.folder / ".mirror.lock", timeout=0)
            lock.acquire()
        except (Timeout, OSError):
            yield
            return
        over = threading.Event()
        seen = self._follow(None, announce)

        def follow() -> None:
            last, pause = seen, every
            while not over.wait(pause):
                began = time.thread_time()  # Not of a clock: a busy machine would make it wait the longer.
                last = self._follow(last, announce)
                pause = min(max(every, 9 * (time.thread_time() - began)), MOST_SECONDS_BEHIND)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            lock.release()

    def _follow(self, seen: object, announce: Callable[[str], object]) -> object:
        """Bring the storage up to date if the rows or the storage changed, and return what was seen of both."""
        try:
            rows = self.store.digest()  # Before they are read: what comes meanwhile is seen the next time.
            if (rows, self._stamp()) == seen:
                return seen
            self.study = self.store.frozen().study
            self.sync()
            self._complaint = ""
            return rows, self._stamp()
        # A view must not end its server, whatever SQLite, the disk or a row in the making answers.
        except Exception as error:  # noqa: BLE001
            text = f"mirror {self.url or self.journal}: not up to date ({(str(error) or repr(error)).splitlines()[0]})"
            if text != self._complaint:
                announce(f"{text}; the rows are safe, and it is tried again")
            self._complaint = text
            return None

    def _stamp(self) -> object:
        """Return what changes when the journal does; databases are not looked at."""
        return self.journal.stat().st_mtime_ns if self.url is None and self.journal.exists() else None

    def sync(self) -> int:
        """Make the storage equal to the stored rows, and return how many trials had to be written.

        What is missing is added. A storage that is damaged, or says anything else than the rows, is made anew.
        """
        with quiet():
            if self.url is None and self._optuna is None:
                # One writer: a lock that is there was left by a killed process, and would hold up the next by 30 s.
                self.journal.with_name(f"{self.journal.name}.lock").unlink(missing_ok=True)
            wanted, found = self._wanted(), self._found()
            if found is None:
                return self.rebuild()
            study = self._opened()
            if any(self._differs(trial, wanted.get(key), study._storage) for key, trial in found.items()):
                return self.rebuild()
            for trial in found.values():
                self._mend(trial, study._storage)
            missing = [trial for key, trial in wanted.items() if key not in found]
            for trial in missing:
                self._add(study, trial)
            self.describe()
            return len(missing)

    def rebuild(self) -> int:
        """Delete what the storage holds of this study, write every stored row, and return how many there were."""
        import optuna

        with quiet():
            self._optuna, self._panels = None, {}
            self.remade += 1
            if self.url is None:
                self.journal.unlink(missing_ok=True)
            elif self.study.results_name in optuna.get_all_study_names(self.storage()):
                optuna.delete_study(study_name=self.study.results_name, storage=self.storage())
            shutil.rmtree(self.store.folder / "artifacts", ignore_errors=True)
            wanted, study = self._wanted(), self._opened()
            for trial in wanted.values():
                self._add(study, trial)
            self.describe()
            return len(wanted)

    def describe(self) -> None:
        """Write the verdicts: as an attribute, which titles the study, as its note, and as panels.

        Without the package optuna-dashboard nothing shows notes and panels, so none are written.
        """
        with quiet():
            study, verdicts = self._opened(), judge(self.study, self.store.tables(), self.store.plan())
            study.set_user_attr(VERDICT, verdict_in_short(verdicts))
            try:
                from optuna_dashboard import save_note, save_plotly_graph_object
            except ImportError:
                return
            save_note(study, note(verdicts))
            for name, figure in panels(verdicts).items():
                content = figure.to_json()
                if self._panels.get(name) != content:  # A journal keeps whatever was ever written.
                    save_plotly_graph_object(study, figure, graph_object_id=name)
                    self._panels[name] = content

    def storage(self) -> BaseStorage:
        """Open the storage; an empty journal is made where there is none."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        if self.url is None:
            return JournalStorage(JournalFileBackend(str(self.journal)))
        return optuna.storages.get_storage(self.url)

    def artifacts(self) -> FileSystemArtifactStore:
        """Return the store of the trials' sample grids, in the folder ``artifacts`` of the results."""
        from optuna.artifacts import FileSystemArtifactStore

        folder = self.store.folder / "artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        return FileSystemArtifactStore(folder)

    def _opened(self) -> optuna.Study:
        import optuna

        if self._optuna is None:
            metric = metric_named(self.study.measure.primary)
            self._optuna = optuna.create_study(
                study_name=self.study.results_name,
                storage=self.storage(),
                direction="minimize" if metric.better == "lower" else "maximize",
                load_if_exists=True,
            )
            described = {"question": self.study.question, "unit": metric.unit, "better": metric.better}
            if not described.items() <= self._optuna.user_attrs.items():
                self._optuna.set_metric_names([metric.name])
                for name, text in described.items():
                    self._optuna.set_user_attr(name, text)
        return self._optuna

    def _found(self) -> dict[str, FrozenTrial] | None:
        """Return the storage's trials by id; None where it is missing, damaged, or holds one twice."""
        if self.url is None and not _whole(self.journal):
            return None
        try:
            trials = self._opened().get_trials(deepcopy=False)
        except KeyError:
            return None  # Somebody deleted the study in the dashboard.
        except Exception:
            # Whatever a damaged journal raises, it is a view and is made anew; a URL is the user's to mend.
            if self.url is not None:
                raise
            return None
        found = {str(trial.user_attrs.get("trial_id")): trial for trial in trials}
        return found if len(found) == len(trials) else None

    def _wanted(self) -> dict[str, FrozenTrial]:
        measurements: dict[str, list[Row]] = {}
        for row in _rows(self.store.measurements()):
            measurements.setdefault(row["trial_id"], []).append(row)
        rows = _rows(self.store.tables().trials)
        return {row["trial_id"]: self._mirrored(row, measurements.get(row["trial_id"], ())) for row in rows}

    def _mirrored(self, row: Mapping[str, Any], measurements: Sequence[Mapping[str, Any]]) -> FrozenTrial:
        """Return a trial's rows as Optuna's trial: FAIL without a value, the levels as categorical parameters."""
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import TrialState, create_trial

        primary = self.study.measure.primary
        value = plain(row.get(primary)) if row["status"] in REACHED_HORIZON else None
        params = {axis: row[f"arm_{axis}"] for axis in self.study.axes}
        attrs = {name: plain(row.get(name)) for name in (*SHOWN, *self.study.measure.metrics)}
        course = {int(m["step"]): plain(m["value"]) for m in measurements if m["metric"] == primary}
        trial = create_trial(
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            value=value,
            params=params,
            distributions={axis: CategoricalDistribution(tuple(self.study.levels(axis))) for axis in params},
            user_attrs={name: attr for name, attr in attrs.items() if attr is not None},
            intermediate_values={step: found for step, found in course.items() if found is not None},
        )
        started, seconds = row.get("started_at"), plain(row.get("wall_seconds"))
        if started is not None and seconds is not None:
            # Optuna's times are local and without a zone.
            trial.datetime_start = datetime.fromtimestamp(started.timestamp())  # noqa: DTZ006
            trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
        return trial

    def _add(self, study: optuna.Study, trial: FrozenTrial) -> None:
        content = sample_grid(self.store, trial.user_attrs["trial_id"])
        if content is not None:
            trial.system_attrs.update(self._uploaded(trial.user_attrs["trial_id"], content))
        study.add_trial(trial)

    def _uploaded(self, trial_id: str, content: bytes) -> dict[str, Any]:
        """Keep a sample grid as an artifact and return the attributes by which its trial knows it.

        Optuna takes artifacts of unfinished trials only, and a trial that is added finished is written in one piece;
        so the upload is that of a trial in memory.
        """
        import optuna

        asked = optuna.create_study().ask()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{trial_id}.png"
            path.write_bytes(content)
            optuna.artifacts.upload_artifact(artifact_store=self.artifacts(), file_path=str(path), study_or_trial=asked)
        return dict(asked.study.get_trials(deepcopy=False)[0].system_attrs)

    def _mend(self, trial: FrozenTrial, storage: BaseStorage) -> None:
        """Write the file of a trial's artifact again where it is gone."""
        from optuna.artifacts import get_all_artifact_meta

        for meta in get_all_artifact_meta(trial, storage=storage):
            content = sample_grid(self.store, trial.user_attrs["trial_id"])
            if content is not None and not (self.store.folder / "artifacts" / meta.artifact_id).exists():
                self.artifacts().write(meta.artifact_id, io.BytesIO(content))

    def _differs(self, trial: FrozenTrial, wanted: FrozenTrial | None, storage: BaseStorage) -> bool:
        """Whether a mirrored trial says anything else than its rows, or lacks its picture."""
        from optuna.artifacts import get_all_artifact_meta

        if wanted is None:
            return True
        pictured = strip(self.store, wanted.user_attrs["trial_id"]) is not None
        return pictured != bool(get_all_artifact_meta(trial, storage=storage)) or any(
            getattr(trial, name) != getattr(wanted, name)
            for name in ("state", "values", "params", "user_attrs", "intermediate_values")
        )


def plain(value: Any) -> Any:
    """Return a cell of a row as JSON's own type; None for every kind of null, NaN and infinity."""
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def _whole(journal: Path) -> bool:
    """Whether the journal is there and its last line is complete; Optuna would append to half a line."""
    return journal.exists() and journal.read_bytes().endswith(b"\n")
