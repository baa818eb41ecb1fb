"""The card of each metric: what known damages to the study's own held-out images cost by it."""

from __future__ import annotations

from harness.metrics.catalogue import metric_named
from harness.metrics.ladder import Rung, card, of_others
from harness.report.table import NONE, Column, Table, short, table
from harness.statistics import Margin
from harness.study.study import BASELINE
from harness.verdicts.judge import StudyVerdicts


def card_table(findings: StudyVerdicts) -> Table | None:
    """Return the cards of the metrics that can have one; None where none was made."""
    rungs = findings.tables.ladder
    cards = card(rungs)

    def column(damage: str) -> Column[str]:
        return Column(damage, lambda metric: _cell(findings, rungs, cards[metric].get(damage)))

    damages = dict.fromkeys(rung.damage for rung in rungs)
    return table(
        "card",
        "What the metrics see",
        "Known damages to held-out images, and how much worse than undamaged they are by each metric: as a share of "
        "what other images altogether cost (all replaced), and in margins, percentages being of the baseline's mean. "
        "A metric by which grain that nobody sees costs as much as other images ranks arms by grain.",
        (Column("metric", lambda metric: metric, words=True), *map(column, damages)),
        cards,
        in_paper=False,
    )


def _cell(findings: StudyVerdicts, rungs: tuple[Rung, ...], rung: Rung | None) -> str:
    if rung is None or rung.cost is None:
        return NONE
    margin = _margin(findings, rung.metric)
    parts = [short(of_others(rungs, rung.metric, rung.damage), 2)]
    if margin:
        parts.append(f"({short(rung.cost / margin, 2)} margins)")
    return " ".join(parts)


def _margin(findings: StudyVerdicts, metric: str) -> float | None:
    """Return a metric's margin in its own unit; a percentage is of the baseline's mean."""
    margin = Margin.parse(findings.study.measure.margin_of(metric))
    if margin is None:
        return None
    baseline = next((arm.values.get(metric) for arm in findings.arms if arm.name == BASELINE), None)
    if not margin.relative:
        return margin.value if metric_named(metric).scale == "raw" else None
    return None if baseline is None else margin.value * abs(baseline.mean)
