"""Merging shards: folders of one study's results become one, once it is shown that their rows belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from harness.errors import StoreError
from harness.results.frozen import Amendment, FrozenStudy
from harness.results.published import Bundle, rows_of
from harness.results.schema import DOCUMENTS, TABLES, comparable
from harness.results.store import Store
from harness.results.tables import Tables
from harness.study.changes import changes
from harness.study.study import Declarable

if TYPE_CHECKING:
    import pandas as pd

SAME = ("code_version", "packages", "device", "precision", "data_hash", "heldout_hash", "feature_id")
"""Columns of `trials` that must say the same of an arm's rows in all shards, as far as they say anything."""
BESIDE = ("printed", "errors")
"""Folders of texts that a trial may leave."""


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    trials: tuple[tuple[str, int, int], ...]
    """Of each shard: its name, the trials that were taken from it, and those that were there already, equal."""
    into: str
    total: int
    """Trials that have their row there now."""

    def __str__(self) -> str:
        lines = [
            f"{name}: {taken} trials taken" + (f", {there} there already and equal" if there else "")
            for name, taken, there in self.trials
        ]
        return "\n".join((*lines, f"{self.into}: {self.total} trials"))


def merge(shards: Sequence[Store], into: Store) -> Merged:
    """Copy what shards of a study hold into one folder; interrupted anywhere, it can be called again.

    Nothing is written before all shards were read and compared.

    Args:
        shards: Folders of results of the same study.
        into: A folder that holds nothing, or results of the same study.

    Raises:
        StoreError: The shards do not belong together, a file is damaged, or the folder is in use or cannot be written.
    """
    if into.folder.resolve() in {shard.folder.resolve() for shard in shards}:
        raise StoreError(f"{into.folder}: is one of the shards; merge into another folder")
    with into.held():
        parts = [shard.fetched() for shard in shards]
        every = [*parts, *([into] if into.exists else [])]
        tables = [part.tables() for part in every]
        frozen = _one_study(every, tables, len(parts))
        for store, own in zip(every, tables, strict=True):
            if own.left_out:
                raise StoreError(f"{store.folder}: {' '.join(map(str, own.left_out))} Mend that shard first.")
        _computed_alike(every, tables, frozen)
        _no_trial_twice_with_other_rows(every, tables)
        return _copied(parts, tables, into, frozen)


def _one_study(stores: Sequence[Store], tables: Sequence[Tables], shards: int) -> FrozenStudy:
    """Return the study that all folders hold, the first so many of them shards, as it was written down.

    Raises:
        StoreError: Their studies differ; each setting is named.
    """
    first, frozen = stores[0], [own.frozen for own in tables]
    for store, other in zip(stores, frozen, strict=True):
        for was, now in ((frozen[0].study, other.study), (frozen[0].planned, other.planned)):
            if difference := changes(was, now):
                lines = "\n  ".join(
                    f"{c.setting}: {json.dumps(c.was)} in {first.folder}, {json.dumps(c.now)} in {store.folder}"
                    for c in difference
                )
                raise StoreError(
                    f"{store.folder}: holds trials of another study than {first.folder}\n  {lines}\n  run every shard "
                    "with the same study file and the same --set"
                )
    histories = {tuple(a.changes for a in one.history) for one in frozen}
    if len(histories) > 1:
        raise StoreError(f"{first.folder}: its study was changed on another way than the other shards' were")
    history = tuple(_together(same, shards) for same in zip(*(one.history for one in frozen), strict=True))
    known = tuple(dict.fromkeys(digest for one in frozen for digest in one.hashes[:-1]))
    return replace(frozen[0], hashes=(*known, frozen[0].hashes[-1]), history=history)


def _together(same: Sequence[Amendment], shards: int) -> Amendment:
    """Return one change that was made in several shards: what was known then is the sum of what each knew.

    A folder that was merged into before counts what it knew of those shards already.
    """
    known = [*same[shards:], replace(same[0], trials=sum(a.trials for a in same[:shards]), blocks=sum(a.blocks for a in same[:shards]))]
    return replace(
        same[0], at=min(a.at for a in same), trials=max(a.trials for a in known), blocks=max(a.blocks for a in known)
    )


def _computed_alike(stores: Sequence[Store], tables: Sequence[Tables], frozen: FrozenStudy) -> None:
    """Raise StoreError where an arm's rows were computed by other code, elsewhere, on other data, or measured otherwise."""
    import pandas as pd

    rows = pd.concat([own.trials.assign(shard=str(s.folder)) for s, own in zip(stores, tables, strict=True)])
    for column in SAME:
        if column in frozen.study.harmless:
            continue
        for arm, part in rows[rows[column].notna()].groupby("arm"):
            counts = part.groupby([column, "shard"]).size().reset_index(name="n").to_dict("records")
            if part[column].nunique() > 1:
                declared = f"`harmless: [{column}]` in every shard's study"
                way = f"\n  where that moves no number: {declared}" if column in get_args(Declarable) else ""
                lines = "\n  ".join(f"{one[column]} in {one['n']} trials of {one['shard']}" for one in counts)
                raise StoreError(f"the rows do not belong together: {column} of arm '{arm}' differs\n  {lines}{way}")


def _no_trial_twice_with_other_rows(stores: Sequence[Store], tables: Sequence[Tables]) -> None:
    """Raise StoreError where two folders hold the same trial with different rows."""
    held: dict[str, int] = {}
    for place, own in enumerate(tables):
        for trial_id in map(str, own.trials["trial_id"]):
            first = held.setdefault(trial_id, place)
            if first == place:
                continue
            if difference := next(_differences(tables[first], own, trial_id), None):
                raise StoreError(
                    f"{trial_id} is in {stores[first].folder} and in {stores[place].folder} with different rows "
                    f"({difference}); delete the one that is wrong from its folder's trials/"
                )


def _differences(a: Tables, b: Tables, trial_id: str) -> Iterator[str]:
    """Yield where two folders' rows of one trial differ, times and attempts left out."""
    ours, theirs = (_records(own.trials, trial_id)[0] for own in (a, b))
    for name in comparable({**ours, **theirs}):
        if ours.get(name) != theirs.get(name):
            yield f"{name}: {ours.get(name)} and {theirs.get(name)}"
    if _records(a.measurements, trial_id) != _records(b.measurements, trial_id):
        yield "measurements"
    if _records(a.signals, trial_id) != _records(b.signals, trial_id):
        yield "signals"


def _records(table: pd.DataFrame, trial_id: str) -> list[dict[str, Any]]:
    """Return a trial's rows, in order, with None for what is not there."""
    own = table[table["trial_id"] == trial_id]
    own = own.sort_values([name for name in ("step", "metric") if name in own]).astype(object)
    return [
        {str(k): v for k, v in row.items() if v is not None and v == v}  # NaN is not equal to itself
        for row in own.to_dict("records")
    ]


def _copied(parts: Sequence[Store], tables: Sequence[Tables], into: Store, frozen: FrozenStudy) -> Merged:
    """Copy what is not there, each trial's own row last."""
    into.write_file("study.json", json.dumps(frozen.document(), indent=1, ensure_ascii=False).encode())
    for name in DOCUMENTS:
        source = next((part.folder / name for part in parts if (part.folder / name).is_file()), None)
        if source is not None and not (into.folder / name).exists():
            into.write_file(name, source.read_bytes())
    counts, done = [], into.done()
    for part, own in zip(parts, tables, strict=False):
        ids = list(map(str, own.trials["trial_id"]))
        new = [trial_id for trial_id in ids if trial_id not in done]
        published = {table: Bundle(part.folder, table).rows() for table in TABLES}
        for trial_id in new:
            for name in _beside(part.folder, trial_id):
                if trial_id in name or not (into.folder / name).exists():  # sources and targets are all trials'
                    into.write_file(name, (part.folder / name).read_bytes())
            for table, rows in published.items():
                name = f"{table}/{trial_id}.parquet"
                own_file = part.folder / name
                content = own_file.read_bytes() if own_file.is_file() or rows is None else rows_of(rows, trial_id)
                into.write_file(name, content)
        done |= set(new)
        counts.append((str(part.folder), len(new), len(ids) - len(new)))
        _checkpoints(part, into, done)
    into.fold()
    return Merged(tuple(counts), str(into.folder), len(done))


def _beside(folder: Path, trial_id: str) -> Iterator[str]:
    """Yield the names of a trial's files beside its rows."""
    texts = [f"{place}/{trial_id}.txt" for place in BESIDE]
    pictures = ["samples/source.png", "samples/target.png", f"samples/{trial_id}.png"]
    yield from (name for name in (*texts, *pictures) if (folder / name).is_file())


def _checkpoints(part: Store, into: Store, done: set[str]) -> None:
    """Copy the checkpoints of trials that no shard has finished: they are gone on from."""
    for path in sorted((part.folder / "checkpoints").glob("*.pt")):
        name = f"checkpoints/{path.name}"
        if path.stem not in done and not (into.folder / name).exists():
            into.write_file(name, path.read_bytes())
