"""The words that reports and the terminal use, each in one line."""

from __future__ import annotations

from collections.abc import Mapping

from harness.statistics.verdict_rule import Verdict
from harness.verdicts.health import FLOOR_SHARE, Health

VERDICTS: tuple[tuple[Verdict, str], ...] = (
    (Verdict.HELPS, "better: a difference was shown, and not that it is smaller than the margin"),
    (Verdict.HURTS, "worse: a difference was shown, and not that it is smaller than the margin"),
    (Verdict.EQUIVALENT, "the difference was shown to be smaller than the margin: it does not matter"),
    (Verdict.NEGLIGIBLE, "there is a difference, and it was shown to be smaller than the margin"),
    (
        Verdict.NOT_SENSITIVE,
        "no difference that matters was seen, but this experiment was not shown to tell: its positive control, an arm "
        "known to differ, was not told apart as expected, or it has none",
    ),
    (Verdict.INCONCLUSIVE, "too few blocks to tell; this is not evidence that there is no difference"),
    (Verdict.NO_OP, "changes nothing at all: proved, or everything that was measured is equal to the last bit"),
    (
        Verdict.INVALID,
        "cannot be built, or the baseline failed or learned nothing in most blocks: nothing to compare with",
    ),
)
"""Every verdict, in the order in which tables list them."""

HEALTH: tuple[tuple[Health, str], ...] = (
    (Health.LEARNED, "at the step at which arms are compared none of the below applies"),
    (
        Health.LEARNED_ONCE,
        "none of them either, but no step was measured before: it may be still learning",
    ),
    (Health.STILL_LEARNING, "better by more than the margin than at the measured step before: train longer"),
    (
        Health.FEW_IMAGES,
        f"real images against other real images make up more than {FLOOR_SHARE * 100:.0f} % of the value: measure more",
    ),
    (Health.MEAN_IMAGE, "not better, by more than the margin, than the mean training image of each style"),
    (Health.UNTRAINED, "not better, by more than the margin, than the same networks before any training"),
    (Health.COLLAPSED, "samples vary by less than failures.diversity_floor of the real images' variety"),
    (Health.FAILED, "the trial did not reach the horizon: diverged, failed, timeout or oom"),
)
"""What a trial can come to, the best first; the last four, of the baseline in most blocks, leave nothing to judge."""

OTHERS: Mapping[str, str] = {
    "positive control": "an arm that is known to differ from the baseline; until it is told apart as expected, nothing "
    "is called equivalent",
    "negative control": "an arm that is known to make no difference; told apart, it says that the pairs or the error "
    "rate cannot be trusted",
    "sensitivity": "whether the positive control was told apart: whether the experiment could have told",
    "health": f"whether networks learned at all: {', '.join(health.value for health, _ in HEALTH)}",
    "block": "the matched set of trials in which every arm is trained once, with the same random streams",
    "horizon": "the step at which arms are compared, fixed in the study; never the best checkpoint",
    "margin": "the smallest difference that matters, fixed in the study",
    "look": "an analysis after some number of blocks, on a schedule fixed in the study",
    "floor": "a metric of real images against other real images at the same count: the best there is to reach",
}

WORDS: Mapping[str, str] = {
    **{verdict.value: meaning for verdict, meaning in VERDICTS},
    **{health.value: meaning for health, meaning in HEALTH},
    **OTHERS,
}
"""Every word by itself; `explain` prints them."""
