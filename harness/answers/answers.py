"""Join statements with what stored studies say of them: verdicts from their rows, findings from their plans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.answers.statements import Statement, Statements
from harness.errors import StoreError
from harness.metrics.catalogue import metric_named
from harness.results.store import Store
from harness.statistics import Analysis, Contrast, Verdict
from harness.statistics.number_format import change, span
from harness.verdicts.claims import SettledClaim
from harness.verdicts.judge import StudyVerdicts, judge_stored

AGAIN = re.compile(r"(?P<study>.+)\+seed\d+")
"""The folder of a study's results under another seed."""


@dataclass(frozen=True)
class StoredStudy:
    """One folder of results, judged."""

    name: str
    store: Store
    findings: StudyVerdicts
    plan: Mapping[str, Any]
    """The stored plan as a document; empty where there is none."""

    @property
    def control(self) -> str:
        """Whether the positive control was told apart, in two or three words."""
        outcomes = [c.outcome for c in self.findings.controls if c.kind == "positive"]
        return f"control {outcomes[0]}" if outcomes else "no positive control"

    @property
    def health(self) -> str:
        """How well the baseline learned, over its blocks."""
        health = self.findings.health
        if health is None:
            return "health not known"
        return ", ".join(
            f"{name} in {n} of {health.arms[0].blocks} blocks" for name, n in health.arms[0].counts.items()
        )


@dataclass(frozen=True)
class Evidence:
    """What settles a statement, or a part of it."""

    kind: str
    """`proof`, `test`, `study` or `text`."""
    source: str
    """A study's name, or a test's."""
    finding: str
    outcome: str = ""
    """Of a study: supported, contradicted, untested or not settled."""
    says: str = ""
    """The claim in the study's words, where it is a part of the statement."""
    again: str = ""
    """In how many replications the outcome came again."""


@dataclass(frozen=True)
class Answer:
    """A statement and everything that is known of it."""

    statement: Statement
    evidence: tuple[Evidence, ...] = field(default=())

    @property
    def outcome(self) -> str:
        """The answer in a few words."""
        outcomes = list(dict.fromkeys(e.outcome for e in self.evidence if e.kind == "study"))
        asked = ", ".join(outcomes) if len(outcomes) < 2 else "in parts: " + ", ".join(outcomes)
        parts = [part for part in (self.statement.answer, asked) if part]
        if parts:
            return "; ".join(parts)
        return "known" if any(e.kind in ("proof", "test") for e in self.evidence) else "open"

    @property
    def settled(self) -> bool:
        """Whether shapes or text answer it, or verdicts on each of its parts that a study asks."""
        asked = [e.outcome in ("supported", "contradicted") for e in self.evidence if e.kind == "study"]
        return bool(self.statement.answer) or (bool(asked) and all(asked))


def stored_studies(results: Path) -> dict[str, StoredStudy]:
    """Judge every folder of results below a folder, by name.

    Raises:
        StoreError: There is none, or one cannot be read.
    """
    folders = sorted(path.parent for path in results.glob("*/study.json"))
    if not folders:
        raise StoreError(f"{results}: holds no folder of results (none with a study.json)")
    return {folder.name: _judged(folder) for folder in folders}


def answers(statements: Statements, studies: Mapping[str, StoredStudy]) -> tuple[Answer, ...]:
    """Answer every statement, as far as it can be.

    Args:
        statements: What was said.
        studies: Results, replications among them.

    Raises:
        StoreError: A plan says nothing of what a statement points to: the words have changed, or the study.
    """
    return tuple(Answer(s, tuple(_evidence(s, studies))) for s in statements.statements)


def _judged(folder: Path) -> StoredStudy:
    store, findings = judge_stored(Store(folder))
    has_plan = (folder / "plan.json").is_file()
    return StoredStudy(folder.name, store, findings, store.plan_document() if has_plan else {})


def _evidence(statement: Statement, studies: Mapping[str, StoredStudy]) -> Iterator[Evidence]:
    for pointer in statement.evidence:
        of_plan, words = pointer.place
        if pointer.test is not None:
            yield Evidence("test", pointer.test, "a test that runs with the others")
        elif of_plan in studies:
            yield Evidence("proof", of_plan, _quoted(statement, of_plan, words, studies[of_plan].plan))
    if statement.text:
        yield Evidence("text", "the post", "read")
    for name, study in studies.items():
        if AGAIN.fullmatch(name):
            continue
        others = [s for n, s in studies.items() if (m := AGAIN.fullmatch(n)) and m["study"] == name]
        for settled in study.findings.claims:
            if statement.is_asked_by(settled.claim.id):
                yield Evidence(
                    "study",
                    name,
                    _finding(study, settled),
                    settled.outcome,
                    settled.claim.quote,
                    _again(settled, others),
                )


def _quoted(statement: Statement, study: str, words: str, plan: Mapping[str, Any]) -> str:
    """Return the finding of a plan that a statement points to."""
    arms = [f"{a['arm']}: {a['proof']}: {a['reason']}" for a in plan.get("arms", ()) if a.get("proof")]
    facts = [f"{f['subject']}: {f['finding']}" for f in plan.get("facts", ())]
    for finding in (*arms, *facts):
        if words in finding:
            return finding
    raise StoreError(f"{statement.id}: the plan of {study} says nothing of '{words}'")


def _finding(study: StoredStudy, settled: SettledClaim) -> str:
    """Return one line: arm, metric, change and interval, verdict, count, family, control, health, cost."""
    findings, claim = study.findings, settled.claim
    if settled.evidence:
        return f"{claim.subject}, by {settled.metric}: {settled.evidence} {study.control}; {study.health}"
    analyses = [a for a in (findings.primary, *findings.others) if a is not None and a.metric == settled.metric]
    contrast = next((c for a in analyses for c in a.contrasts if c.arm == claim.arm), None)
    if contrast is None:
        return f"{claim.subject}: no row yet"
    if contrast.n == 0 or contrast.estimate is None:
        return f"{contrast.arm}: {contrast.verdict}{f' ({contrast.reason})' if contrast.reason else ''}"
    scale, unit = analyses[0].scale, metric_named(settled.metric).unit
    family = f"corrected for {len(analyses[0].contrasts)} arms" if analyses[0].family == "primary" else "exploratory"
    low, high, level = contrast.ci.low, contrast.ci.high, contrast.ci.level
    if contrast.verdict is Verdict.EQUIVALENT:  # what was shown is that this one lies inside the margin
        low, high, level = contrast.equivalence.low, contrast.equivalence.high, contrast.equivalence.level
    parts = [
        f"{contrast.arm}, {settled.metric}{f' ({unit})' if unit else ''}: {contrast.verdict}, "
        f"{change(contrast.estimate, scale)} ({span(low, high, scale)}; "
        f"{100 * level:.3g} % interval, {contrast.n} pairs, {family})",
        _control(study, analyses[0]),
        study.health,
        *_cost(contrast),
    ]
    return "; ".join(parts)


def _control(study: StoredStudy, analysis: Analysis) -> str:
    """Return whether this metric told the positive control apart, in a few words."""
    if analysis.sensitivity is None or not any(c.kind == "positive" for c in study.findings.controls):
        return "no positive control"
    return "control told apart" if analysis.sensitivity.shown else f"control not told apart by {analysis.metric}"


def _cost(contrast: Contrast) -> list[str]:
    for cost in contrast.costs:
        if cost.name == "time per step" and cost.ratio is not None:
            return [f"a step takes {cost.ratio:.2f} times the baseline's"]
    return []


def _again(settled: SettledClaim, others: Sequence[StoredStudy]) -> str:
    outcomes = [s.outcome for o in others for s in o.findings.claims if s.claim.id == settled.claim.id]
    return f"{sum(o == settled.outcome for o in outcomes)} of {len(outcomes)}" if outcomes else ""
