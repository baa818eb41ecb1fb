"""Which stored rows are a study's own and sound; every other one is named with its reason, and judged nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.results.frozen import FrozenStudy
from harness.results.schema import STATUSES
from harness.study.design import arms, slug

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Marks = npt.NDArray[np.bool_]

ROUNDING = 1e-5
"""How far beyond the bounds of its metric a value may lie, of the bound or of 1, whichever is larger."""
LARGEST = 1e150
"""Beyond it squares are no longer finite, and nothing can be worked out of a value."""
NAMED = 3
"""Trials that a reason names; the others are counted."""


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not judged."""

    reason: str
    trial_ids: tuple[str, ...]
    """As the rows give them: text that nobody vouches for."""
    foreign: bool = False
    """They are another study's: nothing is wrong with them but their place."""

    def __str__(self) -> str:
        named = ", ".join(f"'{name[:60]}'" for name in self.trial_ids[:NAMED])
        more = f" and {len(self.trial_ids) - NAMED} more" if len(self.trial_ids) > NAMED else ""
        return f"{len(self.trial_ids)} {'trials' if self.trial_ids[1:] else 'trial'} not judged, {self.reason}: {named}{more}."


def check_rows(
    trials: pd.DataFrame, measurements: pd.DataFrame, frozen: FrozenStudy
) -> tuple[Marks, tuple[LeftOut, ...]]:
    """Return which trials are the study's own and sound, and the others by reason; a trial has the first that applies.

    Args:
        trials: All rows of that table.
        measurements: The same.
        frozen: The study as it was written down.
    """
    import numpy as np

    left, reasons = np.zeros(len(trials), bool), list[LeftOut]()
    names = trials["trial_id"].astype(str).to_numpy()
    for reason, foreign, marks in _reasons(trials, measurements, frozen):
        new = marks & ~left
        left |= new
        if new.any():
            reasons.append(LeftOut(reason, tuple(sorted(names[new])), foreign))
    return ~left, tuple(reasons)


def _reasons(trials: pd.DataFrame, measurements: pd.DataFrame, frozen: FrozenStudy) -> Iterator[tuple[str, bool, Marks]]:
    """Yield each reason to leave rows out, whether they are another study's then, and which rows it applies to."""
    import numpy as np

    digests = trials["study_hash"].astype(str)
    others = (~trials["study_hash"].isin(frozen.hashes) | (trials["study"] != frozen.study.study)).to_numpy()
    for digest in sorted(set(digests[others])):
        yield (
            f"computed under other settings (digest {digest[:40]}; run every shard with the same study file and "
            "the same --set)",
            True,
            others & (digests == digest).to_numpy(),
        )
    slugs = {arm.name: slug(arm.name) for arm in arms(frozen.study)}
    yield "as the study has no such arm", False, (~trials["arm"].isin(list(slugs))).to_numpy()
    yield "as there is no such status", False, (~trials["status"].isin(STATUSES)).to_numpy()
    proper = np.array(
        [
            block >= 0 and trial_id == f"b{int(block):03d}-{slugs.get(arm)}"
            for trial_id, arm, block in zip(trials["trial_id"], trials["arm"], trials["block"], strict=True)
        ],
        bool,
    )
    yield "as their id is not that of their arm and block", False, ~proper
    twice = proper & trials["trial_id"].where(proper).duplicated(keep=False).to_numpy()
    yield "as they are there more than once", False, twice
    ranges = {name: metric_named(name).range for name in frozen.study.measure.measured}
    for metric, bounds in ranges.items():
        beyond = _beyond(trials, metric, bounds)
        of_metric = measurements[(measurements["metric"] == metric).to_numpy()]
        elsewhere = of_metric.loc[_beyond(of_metric, "value", bounds), "trial_id"]
        low, high = bounds
        yield (
            f"as a value of {metric} is none that it can have ({low:g} to {high:g})",
            False,
            beyond | trials["trial_id"].isin(elsewhere).to_numpy(),
        )


def _beyond(table: pd.DataFrame, column: str, bounds: tuple[float, float]) -> Marks:
    """Return where a column has a value that its metric cannot have; a missing one is none."""
    import numpy as np

    if column not in table:
        return np.zeros(len(table), bool)
    values = table[column].to_numpy(np.float64, na_value=np.nan)
    low, high = (bound + sign * ROUNDING * max(1.0, abs(bound)) for bound, sign in zip(bounds, (-1, 1), strict=True))
    beyond: Marks = (values < low) | (values > high) | (np.abs(values) > LARGEST)
    return beyond
