"""A study as it was written down: what was planned before its first row, what it is now, and each change between."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from harness.errors import StoreError
from harness.study.changes import Change, after_the_fact, changes, refused
from harness.study.controls import of_names
from harness.study.problems import shown
from harness.study.settings import TrialSettings
from harness.study.study import Study


@dataclass(frozen=True)
class Amendment:
    """A change of a study after its first row, with what was known then."""

    at: datetime
    """UTC."""
    trials: int
    """Trials that had their row."""
    blocks: int
    """Blocks that had rows."""
    changes: tuple[Change, ...]
    """The settings that changed: dotted path, what it was, what it is."""
    after_the_fact: bool
    """Whether the primary metric's error rate is no longer what was planned: arms, blocks or looks were changed, and
    not along the schedule that was fixed before. Otherwise the change costs nothing."""


@dataclass(frozen=True)
class FrozenStudy:
    """What `study.json` holds."""

    study: Study
    """As it is now."""
    planned: Study
    """As it was before its first row."""
    hashes: tuple[str, ...]
    """Under which rows of this study were written, the present one last."""
    history: tuple[Amendment, ...] = ()
    """Each change since, the first one first."""

    @staticmethod
    def of(study: Study) -> FrozenStudy:
        """Freeze a study that has no rows."""
        return FrozenStudy(study, study, (study.hash,))

    def amended(self, study: Study, *, trials: int, blocks: int, at: datetime) -> FrozenStudy:
        """Return what a changed study makes of this one.

        Args:
            study: The study as it is from now on.
            trials: Trials that have their row.
            blocks: Blocks that have rows.
            at: Now.

        Raises:
            StoreError: The rows would not be rows of the changed study.
        """
        if difference := refused(self.study, study):
            lines = "\n  ".join(map(str, difference))
            raise StoreError(
                "holds trials of another study; only blocks, looks, metrics, controls and arms can be added\n"
                f"  {lines}\n  give the changed study another name (`study:`), or another --results"
            )
        history = self.history
        if changed := changes(self.study, study):
            history += (Amendment(at, trials, blocks, changed, after_the_fact(self.study, study)),)
        hashes = (*(known for known in self.hashes if known != study.hash), study.hash)
        return FrozenStudy(study, self.planned, hashes, history)

    def document(self) -> dict[str, Any]:
        """Return it as JSON's own types; `read` takes it back."""
        return {
            "format": FORMAT,
            "study": self.study.model_dump(mode="json"),
            "planned": self.planned.model_dump(mode="json"),
            "hashes": list(self.hashes),
            "history": [{**dataclasses.asdict(change), "at": change.at.isoformat()} for change in self.history],
        }

    @staticmethod
    def read(document: Any) -> FrozenStudy:
        """Return what a document of this format, or of an earlier one, says; settings it lacks have their defaults.

        Raises:
            StoreError: It is of a later format, or is no such document.
        """
        try:
            written = document.get("format", 0)
            if not written <= FORMAT:
                raise StoreError(f"was written by a later version (format {written}, known up to {FORMAT}); upgrade")
            for migrate in MIGRATIONS[written:]:
                document = migrate(document)
            return FrozenStudy(
                study=Study.model_validate(document["study"]),
                planned=Study.model_validate(document["planned"]),
                hashes=tuple(map(str, document["hashes"])),
                history=tuple(_amendment(entry) for entry in document["history"]),
            )
        except ValidationError as error:
            raise StoreError(f"is no study of this version: {first_problem(error)}") from None
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise StoreError(f"is no study ({type(error).__name__}: {error})") from None


def first_problem(error: ValidationError) -> str:
    """Return where and what the first thing is that is wrong with a document."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the document"
    if first["type"] == "value_error":
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    return f"{where}: {shown(first['input'])} cannot stand there"


def _amendment(entry: Mapping[str, Any]) -> Amendment:
    return Amendment(
        at=datetime.fromisoformat(entry["at"]).astimezone(UTC),
        trials=int(entry["trials"]),
        blocks=int(entry["blocks"]),
        changes=tuple(Change(**change) for change in entry["changes"]),
        after_the_fact=bool(entry["after_the_fact"]),
    )


def _from_format_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """The study alone, and rows under a digest over all its settings, defaults included."""
    rested_on = {*TrialSettings.model_fields, "study", "axes", "baseline"}
    digested = {name: value for name, value in document.items() if name in rested_on}
    digested["measure"] = {k: v for k, v in document["measure"].items() if k not in ("also", "margin")}
    digest = hashlib.sha256(json.dumps(digested, sort_keys=True).encode()).hexdigest()[:16]
    return {"study": document, "planned": document, "hashes": [digest], "history": []}


def _from_format_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Controls were names in `design.controls`."""

    def renamed(study: Mapping[str, Any]) -> dict[str, Any]:
        design = dict(study.get("design", {}))
        names = design.pop("controls", None)
        return {**study, "design": design, **({} if names is None else {"controls": of_names(names)})}

    def change(entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if entry["setting"] != "design.controls":
            return entry
        return {"setting": "controls", **{side: of_names(entry[side]) for side in ("was", "now")}}

    history = [{**entry, "changes": [change(c) for c in entry["changes"]]} for entry in document["history"]]
    studies = {name: renamed(document[name]) for name in ("study", "planned")}
    return {**document, **studies, "history": history}


MIGRATIONS: tuple[Callable[[Mapping[str, Any]], dict[str, Any]], ...] = (_from_format_0, _from_format_1)
"""From each earlier format to the next."""
FORMAT = len(MIGRATIONS)
"""Of `study.json`; raised, with a migration, whenever what is written could not be read as it stands."""
