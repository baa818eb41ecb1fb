"""A study's own, sound rows, as they are judged and shown."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.metrics.ladder import Rung
from harness.results import documents
from harness.results.derived import with_derived
from harness.results.frozen import FrozenStudy
from harness.results.row_check import LeftOut, check_rows
from harness.results.schema import References

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.store import Store


class Tables:
    """A study's own, sound rows as pandas frames, each read when it is first asked for: signals are many."""

    def __init__(self, store: Store, frozen: FrozenStudy) -> None:
        self._store, self.frozen = store, frozen

    @cached_property
    def _checked(self) -> tuple[pd.DataFrame, pd.DataFrame, tuple[LeftOut, ...]]:
        trials, measurements = self._store.trials(), self._store.measurements()
        sound, left_out = check_rows(trials, measurements, self.frozen)
        if left_out:
            trials = trials[sound].reset_index(drop=True)
            measurements = self._of_trials(measurements, trials)
        return trials, measurements, left_out

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The rows that are not this study's own, or not sound: they are in none of the tables."""
        return self._checked[2]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, with the measures that the study works out of the other tables."""
        metrics = self.frozen.study.measure.metrics
        return with_derived(self._checked[0], lambda: self.measurements, lambda: self.signals, metrics)

    @property
    def measurements(self) -> pd.DataFrame:
        """One row per trial, step and metric."""
        return self._checked[1]

    @cached_property
    def signals(self) -> pd.DataFrame:
        """One row per trial and logged step."""
        return self._of_trials(self._store.signals(), self._checked[0]) if self.left_out else self._store.signals()

    @staticmethod
    def _of_trials(table: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
        return table[table["trial_id"].isin(trials["trial_id"])].reset_index(drop=True)

    @cached_property
    def references(self) -> References | None:
        """What was measured without learning; None where that was not done."""
        return self._store.references()

    @cached_property
    def shared_draws(self) -> dict[str, dict[str, Any]]:
        """Of trials that are commands: by arm what it drew that the baseline drew too; nothing where that is unknown."""
        return documents.shared_draws(self._store.folder)

    @cached_property
    def ladder(self) -> tuple[Rung, ...]:
        """What known damages to the held-out images cost by each metric; nothing where that was not measured."""
        return documents.ladder(self._store.folder)

    @cached_property
    def replications(self) -> dict[str, dict[str, Any]]:
        """The stored verdicts of the same study under other seeds, by the name of their results."""
        return documents.replications(self._store.folder, self.frozen.study)

    @property
    def samples(self) -> Path:
        """The folder of sample strips: a picture per trial, and one of the sources and targets."""
        return self._store.samples
