"""What became of each statement that a study puts to the test: one arm's, a ranking's, an interaction's, a spread's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics.catalogue import metric_named
from harness.statistics import Analysis, Contrast, Factorial, Verdict, analyse
from harness.statistics.analysis import Sensitivity
from harness.statistics.claims import settle
from harness.statistics.joint_claims import spreads, trend
from harness.statistics.sensitivity import gated
from harness.study.claims import Claim
from harness.study.design import short_names
from harness.study.study import Study
from harness.verdicts.rows import values_of

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
"""Error rate of each joint statement by itself: it was written down in advance."""


@dataclass(frozen=True)
class SettledClaim:
    """A claim and what became of it."""

    claim: Claim
    metric: str
    verdict: str | None
    """None where there is none yet, and of a ranking, which is supported or not."""
    outcome: str
    """supported, contradicted, untested or not settled."""
    evidence: str = ""
    """Of a joint claim: the test and its numbers, in a sentence."""


def settle_claim(
    study: Study,
    claim: Claim,
    rows: pd.DataFrame,
    analyses: Mapping[str, Analysis],
    effects: Callable[[str], Factorial | None],
    sensitivities: Mapping[str, Sensitivity],
) -> SettledClaim:
    """Say what became of a claim.

    Args:
        study: As it was frozen.
        claim: One of its claims.
        rows: The trials that are judged: whole blocks, controls left out.
        analyses: Of each metric, the contrasts with the baseline.
        effects: Returns the effects of a factorial design on a metric.
        sensitivities: Of each metric, whether the positive control was told apart.
    """
    metric = claim.metric or study.measure.primary
    if claim.arm is None:
        return _joint(study, claim, rows, analyses, effects, sensitivities)
    contrasts = analyses[metric].contrasts if metric in analyses else ()
    contrast = next((c for c in contrasts if c.arm == claim.arm), None)
    if contrast is None:
        return SettledClaim(claim, metric, None, "not settled")
    # An arm whose trials all failed, as the baseline's did, was built: that settles nothing about it.
    dead = contrast.verdict is Verdict.INVALID and contrast.look.rule != "given"
    outcome = "not settled" if dead else settle(str(claim.expect), contrast.verdict)
    return SettledClaim(claim, metric, contrast.verdict, outcome)


def _joint(
    study: Study,
    claim: Claim,
    rows: pd.DataFrame,
    analyses: Mapping[str, Analysis],
    effects: Callable[[str], Factorial | None],
    sensitivities: Mapping[str, Sensitivity],
) -> SettledClaim:
    """Settle a claim about several arms, as far as these are judged at all."""
    metric = claim.metric or study.measure.primary
    if claim.order:
        judged = analyses[metric].contrasts if metric in analyses else ()
        invalid = next((c for c in judged if c.arm in claim.order and c.verdict is Verdict.INVALID), None)
        if invalid is not None:
            return SettledClaim(claim, metric, None, "not settled", f"'{invalid.arm}' is invalid: {invalid.reason}.")
        return _ranking(study, claim, rows, metric)
    of_metric = effects(metric)
    if claim.interaction:
        name = ":".join(short_names(study.axes)[axis] for axis in claim.interaction)
        return _of_contrast(claim, metric, _interaction(of_metric, name))
    if of_metric is not None and any(c.verdict is Verdict.INVALID for c in of_metric.main):
        return SettledClaim(claim, metric, None, "not settled", "No effect of this study is judged.")
    return _of_contrast(claim, metric, _spread(study, claim, rows, metric, sensitivities[metric]))


def _of_contrast(claim: Claim, metric: str, contrast: Contrast | None) -> SettledClaim:
    if contrast is None:
        return SettledClaim(claim, metric, None, "not settled")
    return SettledClaim(claim, metric, contrast.verdict, settle(str(claim.expect), contrast.verdict), contrast.sentence)


def _ranking(study: Study, claim: Claim, rows: pd.DataFrame, metric: str) -> SettledClaim:
    """Judge the blocks up to the first look: later ones leave out arms, and which depends on their values."""
    first = rows[rows["block"] < study.design.goals[0]]
    result = trend(values_of(first, metric), claim.order, metric_named(metric).better)
    if result.p_value is None:
        return SettledClaim(claim, metric, None, "not settled")
    evidence = (
        f"Page's L {result.statistic:g} over {result.blocks} blocks, one-sided p {result.p_value:.2g} "
        f"in the claimed order, {result.p_reversed:.2g} in the reverse."
    )
    return SettledClaim(claim, metric, None, result.outcome(ALPHA), evidence)


def _interaction(effects: Factorial | None, term: str) -> Contrast | None:
    """Return the contrast of an interaction of two-level axes, whichever of the two is named first."""
    names = set(term.split(":"))
    for effect in () if effects is None else effects.effects:
        if set(effect.term.split(":")) == names and effect.contrasts:
            return effect.contrasts[0]
    return None


def _spread(study: Study, claim: Claim, rows: pd.DataFrame, metric: str, shown: Sensitivity) -> Contrast | None:
    """Compare how far the values spread over one axis, at a level of another and at the baseline's."""
    assert claim.spread is not None
    if rows.empty:  # then the table has no columns of arms either
        return None
    of, over = (f"arm_{axis}" for axis in (claim.spread.of, claim.spread.over))
    first, *others = study.levels(claim.spread.of)
    level = claim.spread.level or others[0]
    values = values_of(rows, metric)
    table = values.assign(of=rows[of].to_numpy(), over=rows[over].to_numpy())
    table = spreads(table[table["of"].isin([first, level])], "of", "over", metric_named(metric).scale)
    table = table[table["value"] != 0]  # all values of a block are the same number: no ratio of spreads exists
    if table["arm"].nunique() < 2:
        return None
    analysis = analyse(
        table,
        baseline=first,
        better="lower",
        scale="log",
        margin=claim.spread.margin,
        looks=study.design.looks,
        metric=f"spread of {metric} over {short_names(study.axes)[claim.spread.over]}",
        family="exploratory",
        where=f"study {study.study}",
    )
    return gated(analysis, shown).contrasts[0]
