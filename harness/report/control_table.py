"""Tables of controls and of claims: what was known before, and what was stated."""

from __future__ import annotations

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Column, Table, joined, p_cell, share, short, table
from harness.statistics.controls import Control
from harness.statistics.number_format import change, span
from harness.statistics.verdict_rule import Scale
from harness.verdicts.claims import SettledClaim
from harness.verdicts.judge import StudyVerdicts


def claim_table(findings: StudyVerdicts) -> Table | None:
    """Return what became of each claim; None where the study has none."""
    columns: tuple[Column[SettledClaim], ...] = (
        Column("id", lambda s: s.claim.id, words=True),
        Column("statement", lambda s: s.claim.quote, words=True),
        Column("about", lambda s: s.claim.subject, words=True),
        Column("metric", lambda s: s.metric, words=True),
        Column("expects", lambda s: s.claim.expect or "this order", words=True),
        Column("verdict", lambda s: s.verdict or NONE, words=True, marked=True),
        Column("outcome", lambda s: s.outcome, words=True, marked=True),
        Column("evidence", lambda s: s.evidence or NONE, words=True),
    )
    return table(
        "claims",
        "Statements that were put to the test",
        "A verdict supports a statement, contradicts it, or leaves it not settled; inconclusive settles nothing. "
        "Untested: the experiment was not shown to tell.",
        columns,
        findings.claims,
    )


def control_table(findings: StudyVerdicts) -> Table | None:
    """Return what each control found; None where the study has none."""
    columns: tuple[Column[Control], ...] = (
        Column("control", lambda c: c.kind, words=True),
        Column("arm", lambda c: c.arm, words=True),
        Column("outcome", lambda c: c.outcome, words=True, marked=True),
        Column("change", lambda c: NONE if c.ci is None else change(c.estimate, _scale(findings))),
        Column("interval", lambda c: NONE if c.ci is None else span(c.ci.low, c.ci.high, _scale(findings))),
        Column("pairs", lambda c: f"{c.blocks}"),
        Column("p", lambda c: p_cell(c.p_value), optional=True),
        Column("floor", lambda c: short(c.floor), optional=True),
        Column("forgotten", _forgotten, words=True, optional=True),
        Column("what was found", lambda c: c.sentence, words=True, optional=True),
    )
    return table(
        "controls",
        "Controls: arms whose answer is known",
        f"By {findings.study.measure.primary}, each by a test of its own over the same looks; no part of the contrasts "
        "below. A positive control must be told apart, else nothing is called equivalent. A negative one must not. "
        "Floor: half-width of the interval of a difference that must be none, on the scale of the analysis; what this "
        "study cannot see below. Forgotten: difference as a share of that of two unmatched trainings, by step.",
        columns,
        findings.controls,
    )


def _scale(findings: StudyVerdicts) -> Scale:
    return metric_named(findings.study.measure.primary).scale


def _forgotten(control: Control) -> str:
    return joined([f"step {point['step']}: {share(point['share_of_unmatched'])}" for point in control.curve])
