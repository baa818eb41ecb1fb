"""The same study under other seeds: whether its verdicts come again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.table import NONE, Column, Table, table
from harness.statistics import Contrast
from harness.statistics.number_format import change, span
from harness.verdicts.judge import StudyVerdicts


def replication_table(findings: StudyVerdicts) -> Table | None:
    """Return each arm's verdict here and in every replication whose results lie beside; None without any."""
    others = findings.tables.replications
    if not others:
        return None
    contrasts = {name: {c["arm"]: c for c in report["contrasts"] if "arm" in c} for name, report in others.items()}

    def verdict(name: str) -> Column[Contrast]:
        return Column(name, lambda c: _cell(contrasts[name].get(c.arm), findings), words=True)

    def agree(c: Contrast) -> str:
        verdicts = [by_arm[c.arm].get("verdict") for by_arm in contrasts.values() if c.arm in by_arm]
        return f"{sum(v == c.verdict.value for v in verdicts)} of {len(verdicts)}"

    columns: tuple[Column[Contrast], ...] = (
        Column("arm", lambda c: c.arm, words=True),
        Column("here", lambda c: _shown(c.verdict.value, c.estimate, c.ci.low, c.ci.high, findings), words=True),
        *map(verdict, others),
        Column("same verdict", agree),
    )
    metric = findings.study.measure.primary
    return table(
        "replications",
        "The same study under other seeds",
        "Each with weights, data order and noise of its own, on the same data and held-out items; judged by itself, by "
        f"{metric}: verdict, change and interval. Nothing is pooled.",
        columns,
        findings.contrasts,
    )


def _cell(contrast: Mapping[str, Any] | None, findings: StudyVerdicts) -> str:
    if contrast is None:
        return NONE
    ci = contrast.get("ci")
    ci = ci if isinstance(ci, dict) else {}
    return _shown(contrast.get("verdict"), contrast.get("estimate"), ci.get("low"), ci.get("high"), findings)


def _shown(verdict: Any, estimate: Any, low: Any, high: Any, findings: StudyVerdicts) -> str:
    if findings.primary is None or not all(isinstance(x, (int, float)) for x in (estimate, low, high)):
        return str(verdict)
    scale = findings.primary.scale
    return f"{verdict}: {change(estimate, scale)} ({span(low, high, scale)})"
