"""Verdicts that are not given, because trials were stopped for what they had reached."""

from __future__ import annotations

from dataclasses import replace

from harness.statistics.analysis import Analysis, Contrast
from harness.statistics.verdict_rule import Verdict
from harness.tables.states import PRUNED, SHORT
from harness.tables.trials import Trials

WAYS = {
    PRUNED: "were pruned: a pruner stops what ranks low so far, so the values that are left are no fair sample, and "
    "what is missing is no failure. Train without a pruner, compare a table of all steps at one that all reached (--at "
    "STEP), or say how they count: --ok {complete} (as failures), --ok {complete},{word} (by their last value)",
    SHORT: "ended before the last step that others reached, and nothing says why. Compare a table of all steps at one "
    "that all reached (--at STEP), or say how they count: --ok {complete} (as failures), --ok {complete},short (by "
    "their last value)",
}


def withheld(analysis: Analysis, trials: Trials) -> Analysis:
    """Return an analysis without verdict, interval and p values where trials of an arm or the baseline were stopped.

    Args:
        analysis: Of values in which these trials have none.
        trials: What was analysed.
    """
    contrasts = tuple(_withheld(c, trials) for c in analysis.contrasts)
    return replace(analysis, contrasts=contrasts)


def _withheld(c: Contrast, trials: Trials) -> Contrast:
    stopped = trials.stopped_of({c.arm, c.baseline})
    if not stopped:
        return c
    word = next(iter(stopped.values()))[0]
    way = WAYS[SHORT if word == SHORT else PRUNED].format(complete=trials.complete, word=word)
    counts = " and ".join(f"{len(words)} of '{arm}'" for arm, words in stopped.items())
    reason = f"trials ({counts}) {way}"
    no = Verdict.INCONCLUSIVE
    return replace(
        c,
        ci=replace(c.ci, low=None, high=None),
        equivalence=replace(c.equivalence, p_value=None, p_holm=None, low=None, high=None),
        fold_change=replace(c.fold_change, low=None, high=None),
        worst_rank=replace(c.worst_rank, p_value=None),
        stage_wise=None,
        t=None,
        p_value=None,
        p_sign_flip=None,
        p_sequential=None,
        p_holm=None,
        p_max_t=None,
        verdict=no,
        verdict_half_margin=no,
        verdict_double_margin=no,
        verdict_uncorrected=no,
        decided=False,
        reason=reason,
        sentence=f"No verdict on '{c.arm}': {reason}.",
    )
