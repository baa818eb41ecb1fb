"""The table of health: whether the networks of each arm learned at all."""

from __future__ import annotations

from harness.metrics.catalogue import metric_named
from harness.report.table import NONE, Column, Table, share, short, table, times
from harness.statistics.number_format import percent
from harness.verdicts.health import FLOOR_SHARE, ArmHealth
from harness.verdicts.judge import StudyVerdicts


def health_table(findings: StudyVerdicts) -> Table | None:
    """Return how each arm came out of its training, controls among them; None before the baseline has a row."""
    health = findings.health
    if health is None:
        return None
    metric, margin = metric_named(health.metric), findings.study.measure.margin_of(health.metric)

    def of_untrained(arm: ArmHealth) -> str:
        if arm.value is None or not health.untrained or metric.scale != "log":
            return NONE
        return share(arm.value / health.untrained)

    of_real = "of its floor" if metric.better == "lower" else "of real images"
    columns: tuple[Column[ArmHealth], ...] = (
        Column("arm", lambda arm: arm.arm, words=True),
        Column("health", lambda arm: arm.words, words=True),
        Column(health.metric, lambda arm: short(arm.value, 4), optional=True),
        Column(of_real, lambda arm: times(arm.of_floor), optional=True),
        Column("of untrained", of_untrained, optional=True),
        Column("since the step before", _change, optional=True),
    )
    known = {"untrained networks": health.untrained, "the mean training image of each style": health.mean_image}
    references = "; ".join(f"{what}: {short(value, 4)}" for what, value in known.items() if value is not None)
    epochs = "" if health.epochs is None else f", {health.epochs:.3g} epochs"
    return table(
        "health",
        "Whether anything was learned",
        f"By {health.metric} ({metric.unit}, {metric.better} is better) at step {health.step}{epochs}; medians over "
        f"blocks. {f'Without learning: {references}.' if references else 'Untrained networks were not measured.'} "
        f"Still learning: better by more than the margin{f' of {margin}' if margin else ''} than at the measured step "
        f"before{f' ({health.before})' if health.before else ''}. Too few images: real against other real images (the "
        f"floor) make up more than {FLOOR_SHARE * 100:.0f} % of the value. Where the baseline learned nothing in "
        "most blocks, no arm is judged.",
        columns,
        health.arms,
        in_paper=False,
    )


def _change(arm: ArmHealth) -> str:
    if arm.change is None:
        return NONE
    return f"{percent(arm.change)} {'lower' if arm.change < 0 else 'higher'}"
