"""Which stored rows are judged: whole blocks, values and failures by arm, and arms that equal the baseline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from harness.study.study import BASELINE, Study

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.tables import Tables


def failed_rows(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials count as failures: all that are not complete, a collapsed one too.

    A collapsed trial keeps its measured values in the tables, but no estimate takes them in.
    """
    return trials["status"] != "complete"


def values_of(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return unit, arm, value and failed of one metric from trial rows."""
    import pandas as pd

    failed = failed_rows(trials) & (metric != "failures")
    return pd.DataFrame(
        {
            "unit": trials["block"],
            "arm": trials["arm"],
            "value": trials[metric].where(~failed).astype("float64") if metric in trials else float("nan"),
            "failed": failed,
        }
    )


def values_by_step(tables: Tables, metric: str) -> dict[int, pd.DataFrame]:
    """Return unit, arm and value of one metric at each measured step."""
    measured = tables.measurements[tables.measurements["metric"] == metric]
    rows = measured.merge(tables.trials[["trial_id", "block", "arm"]], on="trial_id")
    renamed = rows.rename(columns={"block": "unit"})
    return {step: part[["unit", "arm", "value"]] for step, part in renamed.groupby("step")}  # type: ignore[misc]


def whole_blocks(study: Study, trials: pd.DataFrame, trained: Collection[str]) -> pd.DataFrame:
    """Return the rows of the blocks in which every arm that is still needed has its row.

    Up to the first look (or without looks) all arms are; after a look, those that have a row since. An interrupted
    study thus neither counts trials to come as lost nor lets the quicker arms lead.
    """
    kept = []
    start = 0
    for goal in study.design.goals:
        part = trials[(trials["block"] >= start) & (trials["block"] < goal)]
        needed = set(trained) if start == 0 else set(trials.loc[trials["block"] >= start, "arm"])
        present = part[part["arm"].isin(needed)].groupby("block")["arm"].nunique()
        kept += [block for block, count in present.items() if count == len(needed)]
        start = goal
    return trials[trials["block"].isin(kept)]


def identical_arms(tables: Tables, trials: pd.DataFrame, primary: str) -> frozenset[str]:
    """Return the arms of which everything that was measured equals the baseline's, bit for bit, in every block.

    That is the status, each metric at each step, and every logged signal, in two blocks or more. Tables of steps are
    read only for arms that are equal in status and primary metric.
    """
    final = ["status", *([primary] if primary in trials else [])]
    base = trials[trials["arm"] == BASELINE].set_index("block")
    equal = set()
    for arm, rows in trials.groupby("arm"):
        own = rows.set_index("block")
        blocks = own.index.intersection(base.index).sort_values()
        if arm == BASELINE or len(blocks) < 2 or not own.loc[blocks, final].equals(base.loc[blocks, final]):
            continue
        of_arm, of_base = (side.loc[blocks, "trial_id"].tolist() for side in (own, base))
        if all(_of(table, of_arm).equals(_of(table, of_base)) for table in (tables.measurements, tables.signals)):
            equal.add(str(arm))
    return frozenset(equal)


def _of(table: pd.DataFrame, trial_ids: Sequence[str]) -> pd.DataFrame:
    """Return the rows of some trials, in their order, with the trial's place among them instead of its name."""
    places = {trial_id: place for place, trial_id in enumerate(trial_ids)}
    own = table[table["trial_id"].isin(places)]
    keys = ["trial_id", "step", *(["metric"] if "metric" in table else [])]
    return own.assign(trial_id=own["trial_id"].map(places)).sort_values(keys).reset_index(drop=True)
