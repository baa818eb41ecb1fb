"""The plan of a study: proofs, times, sizes and references, made once and written down."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.driver.happenings import Watch
from harness.errors import MissingExtraError, StoreError
from harness.executors.base import Executor
from harness.executors.in_process import InProcess
from harness.metrics.catalogue import metric_named, missing_extra
from harness.preflight.stage import stage
from harness.provenance import environment, package_versions, sources_digest
from harness.results.schema import ArmPlan, is_trained
from harness.results.store import Store
from harness.study.data_settings import DataSettings
from harness.study.design import Arm
from harness.study.study import Study

if TYPE_CHECKING:
    from harness.scripts.sources import Sources


@dataclass(frozen=True)
class Plan:
    """What is known before training."""

    document: Mapping[str, Any]
    """As `plan.json` holds it."""
    arms: Mapping[str, ArmPlan]
    """By name."""


@dataclass(frozen=True)
class Planning:
    """Makes the plan of a study, or takes over the one that is there."""

    study: Study
    arms: tuple[Arm, ...]
    store: Store
    cache: Path
    executor: Executor
    watch: Watch

    def before(self) -> Plan | None:
        """Return the plan of a run before; None where the study or the code was another.

        Proofs and times take seconds and torch, which a study that is finished does without.
        """
        try:
            document, plans = self.store.plan_document(), self.store.plan()
        except StoreError:
            return None
        return Plan(document, plans) if document.get("of") == self._of() else None

    def is_timed_here(self, plan: Plan) -> bool:
        """Whether a plan's times were taken on this machine, as it is now."""
        return bool(plan.document["timed_on"] == self._timed_on())

    def prove(self) -> Plan:
        """Load the data, prove what can be proved, measure what was not learned, and write it down."""
        from harness.data import load
        from harness.preflight.preflight import preflight
        from harness.preflight.refusal import refuse_if_nothing_can_be_compared

        self._refuse_missing_extras()
        found = preflight(
            self.study,
            self.arms,
            cache=self.cache,
            workers=self.executor.workers or 1,
            alone=isinstance(self.executor, InProcess),
            announce=self.watch,
        )
        refuse_if_nothing_can_be_compared(self.study, found.arms)
        notes = [note for settings in _distinct_data(self.arms) for note in load(settings, self.cache).notes]
        self._measure_references()
        return self._written({**found.document(), "notes": list(dict.fromkeys(notes))}, found.arms)

    def lay_out(self, sources: Sources) -> Plan:
        """Say what commands will be run, lay out what they run, and write it down."""
        self._refuse_missing_extras()
        plans = {plan.arm: plan for plan in sources.plans()}
        sources.lay_out(tuple(arm for arm in self.arms if is_trained(self.study, arm, plans.get(arm.name))))
        return self._written({**sources.document(), "notes": list(sources.notes())}, plans.values())

    def _written(self, document: Mapping[str, Any], plans: Iterable[ArmPlan]) -> Plan:
        whole = {**document, "of": self._of(), "timed_on": self._timed_on()}
        self.store.write_file("plan.json", json.dumps(whole, indent=1, ensure_ascii=False).encode())
        return Plan(whole, {plan.arm: plan for plan in plans})

    def _of(self) -> dict[str, Any]:
        """Return what a plan is of: settings and code, but for the user's own."""
        text = self.study.model_dump_json(exclude={"question", "claims", "runner"})
        settings = hashlib.sha256(text.encode()).hexdigest()
        return {"settings": settings, "sources": sources_digest(), "packages": package_versions()}

    def _timed_on(self) -> dict[str, Any]:
        """Return what the times of a plan depend on beside what it is of."""
        return {**environment(), "host": platform.node(), "workers": self.executor.workers}

    def _refuse_missing_extras(self) -> None:
        for name in self.study.measure.metrics:
            if missing := missing_extra(metric_named(name)):
                raise MissingExtraError(missing)

    def _measure_references(self) -> None:
        """Measure once for a study what networks that learned nothing give, and write it down."""
        from harness.trial.references import references

        if self.store.references() is None:
            baseline = self.arms[0]
            with stage("references", self.watch) as say:
                measured = references(
                    baseline.settings, self.study.measure, streams=baseline.streams(0), cache=self.cache
                )
                say("" if measured is None else f"{measured.metric} of networks that learned nothing is known")
            document = None if measured is None else dataclasses.asdict(measured)
            self.store.write_file("references.json", json.dumps(document, indent=1).encode())


def _distinct_data(chosen: Iterable[Arm]) -> list[DataSettings]:
    """Return the settings of each data set that the arms use, once."""
    return list({arm.settings.data.model_dump_json(): arm.settings.data for arm in chosen}.values())
