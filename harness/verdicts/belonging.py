"""Whether rows belong together: computed by the same code on the same data, and measured by the same features.

Within a block a difference gates the verdict, as what is compared would not be the arms alone. Between blocks it is
named: both arms of a block share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.provenance import OWN
from harness.results.tables import Tables
from harness.statistics import Analysis, Factorial
from harness.statistics.sentences import sentence
from harness.study.design import Arm, own_parts
from harness.study.study import BASELINE, Study
from harness.verdicts.health import invalid, invalid_effects

if TYPE_CHECKING:
    import pandas as pd

SAME = ("code_version", "packages", "device", "precision", "data_hash", "heldout_hash", "environment")
"""Columns of `trials` that must say the same of rows that are compared, as far as they say anything: null is unknown,
for instance of a version that did not write the column."""
BY_SETTING = {"data_hash": "data", "precision": "training"}
"""Columns that follow from a group of settings, and may differ between arms of which these differ."""
FEATURES = "feature_id"
UnlikePairs = Mapping[int, tuple[str, str]]
"""By block, what the arm's row says and what the baseline's does."""
MIXED = "mixed"
"""What `run --retry` calls the blocks of which rows do not belong together."""


def with_features(trials: pd.DataFrame, tables: Tables, metric: str) -> pd.DataFrame:
    """Return the rows with the identity of the features of one metric."""
    derivation = metric_named(metric).derivation
    source = metric if derivation is None else derivation.of_metric
    measured = tables.measurements
    of_metric = measured[(measured["metric"] == source) & measured[FEATURES].notna()]
    ids = of_metric.drop_duplicates("trial_id").set_index("trial_id")[FEATURES]
    known = trials["trial_id"].map(ids)
    own = trials[FEATURES] if source == tables.frozen.study.measure.primary else known
    return trials.assign(**{FEATURES: known.where(known.notna(), own)})


def unlike_pairs(trials: pd.DataFrame, every: Sequence[Arm]) -> dict[str, dict[str, UnlikePairs]]:
    """Return by arm and column the blocks in which an arm's row and the baseline's say different things.

    Args:
        trials: Rows of `trials`, with the features of a metric.
        every: All arms, the baseline first.
    """
    texts = _texts(trials)
    by_arm: dict[str, dict[int, int]] = {}
    for position, (arm, block) in enumerate(zip(trials["arm"], trials["block"], strict=True)):
        by_arm.setdefault(str(arm), {})[int(block)] = position
    baseline = by_arm.get(BASELINE, {})
    unlike: dict[str, dict[str, UnlikePairs]] = {}
    for arm in every[1:]:
        own = by_arm.get(arm.name, {})
        shared = [(block, own[block], baseline[block]) for block in sorted(own.keys() & baseline.keys())]
        for column in _compared(arm, every[0]):
            said = [(block, texts[column][a], texts[column][b]) for block, a, b in shared]
            pairs = {block: (a, b) for block, a, b in said if a is not None and b is not None}
            if column == "code_version" and own_parts(arm) != own_parts(every[0]):
                # Other modules of a user's own are what the arm is about; the rest of the code must be the same.
                pairs = {block: (a.partition(OWN)[0], b.partition(OWN)[0]) for block, (a, b) in pairs.items()}
            if differing := {block: (a, b) for block, (a, b) in pairs.items() if a != b}:
                unlike.setdefault(arm.name, {})[column] = differing
    return unlike


def _texts(trials: pd.DataFrame) -> dict[str, list[str | None]]:
    """Return what each row says in the columns that are compared; None where it says nothing."""
    columns = {name: trials[name] for name in (*SAME, FEATURES)}
    return {
        name: [str(value) if known else None for value, known in zip(column, column.notna(), strict=True)]
        for name, column in columns.items()
    }


def _compared(arm: Arm, baseline: Arm) -> Iterator[str]:
    for column in (*SAME, FEATURES):
        group = BY_SETTING.get(column)
        if group is None or getattr(arm.settings, group) == getattr(baseline.settings, group):
            yield column


def gates(study: Study, trials: pd.DataFrame, every: Sequence[Arm]) -> dict[str, str]:
    """Return by arm why it is not judged against the baseline; arms whose pairs are alike are left out.

    Args:
        study: As it was frozen.
        trials: Rows of `trials`, with the features of a metric.
        every: All arms, the baseline first.
    """
    reasons = {}
    for arm, columns in unlike_pairs(trials, every).items():
        blocks = int(trials.loc[trials["arm"] == arm, "block"].nunique())
        said = [
            f"{column} differs in {len(unlike)} of {blocks} blocks ({_shown(unlike)})"
            for column, unlike in columns.items()
            if column not in study.harmless
        ]
        if said:
            way = "`run --retry mixed` computes these blocks again"
            reasons[arm] = f"its rows and the baseline's do not belong together: {'; '.join(said)}; {way}"
    if not trials[["commit", "patch"]].notna().any(axis=None):
        return reasons
    return {
        arm.name: reason for arm in every[1:] if (reason := _of_several_sources(trials, (BASELINE, arm.name)))
    } | reasons


def _of_several_sources(trials: pd.DataFrame, names: Sequence[str]) -> str | None:
    """Return that trials of an arm that is a command were run at different commits, or with different patches."""
    for name in names:
        sources = trials.loc[trials["arm"] == name, ["commit", "patch"]].drop_duplicates()
        if len(sources) > 1:
            listed = " and ".join(str(commit)[:12] for commit in sources["commit"])
            return f"trials of '{name}' ran different code ({listed}); run all of them at one commit"
    return None


def gated_by_provenance(analysis: Analysis, reasons: Mapping[str, str]) -> Analysis:
    """Return an analysis in which no arm is judged whose rows and the baseline's do not belong together."""
    contrasts = [invalid(c, reasons[c.arm]) if c.arm in reasons else c for c in analysis.contrasts]
    return replace(analysis, contrasts=tuple(replace(c, sentence=sentence(c, analysis)) for c in contrasts))


def gated_effects_by_provenance(effects: Factorial, reasons: Mapping[str, str], compared: Collection[str]) -> Factorial:
    """Return effects of which none is judged where rows of arms that they average over do not belong together."""
    mixed = [reason for arm, reason in reasons.items() if arm in compared]
    if not mixed:
        return effects
    return invalid_effects(effects, mixed[0])


def notes(study: Study, trials: pd.DataFrame, every: Sequence[Arm]) -> tuple[str, ...]:
    """Return a sentence on each difference between blocks, and on each within blocks that was declared harmless."""
    said = [
        f"{arm}: {column} differs from the baseline's in {len(unlike)} blocks ({_shown(unlike)}), which the "
        "study declares harmless."
        for arm, columns in unlike_pairs(trials, every).items()
        for column, unlike in columns.items()
        if column in study.harmless
    ]
    for column, texts in _texts(trials).items():
        group = BY_SETTING.get(column)
        parts = {arm.name: own_parts(arm) if column == "code_version" else () for arm in every}
        alike = {arm.name: f"{parts[arm.name]}{getattr(arm.settings, group) if group else ''}" for arm in every}
        counts: dict[str, Counter[str]] = {}
        for arm, text in zip(trials["arm"], texts, strict=True):
            if arm in alike and text is not None:
                counts.setdefault(alike[arm], Counter())[text] += 1
        for _, of_alike in sorted(counts.items()):
            if len(of_alike) > 1:
                listed = ", ".join(f"'{text[:80]}' in {count}" for text, count in sorted(of_alike.items()))
                said.append(f"Trials differ in {column}: {listed}. Blocks that differ are compared with care.")
    return tuple(said)


def mixed_blocks(study: Study, tables: Tables, every: Sequence[Arm]) -> list[str]:
    """Return the ids of all trials of the blocks in which rows do not belong together."""
    blocks = set[int]()
    for metric in study.measure.metrics:
        rows = with_features(tables.trials, tables, metric)
        for columns in unlike_pairs(rows, every).values():
            blocks |= {block for column, pairs in columns.items() if column not in study.harmless for block in pairs}
    return sorted(tables.trials.loc[tables.trials["block"].isin(blocks), "trial_id"])


def _shown(pairs: UnlikePairs) -> str:
    """Return what the two rows of the first block say, from where they part."""
    arm, baseline = pairs[min(pairs)]
    start = next((i for i, (a, b) in enumerate(zip(arm, baseline, strict=False)) if a != b), 0)
    start = 0 if max(len(arm), len(baseline)) <= 40 else max(0, start - 20)
    return " / ".join(("…" if start else "") + text[start : start + 40] for text in (arm, baseline))
