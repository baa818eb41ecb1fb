"""Controls judged from values: arms whose answer is known, so that a broken pipeline shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.errors import DataError
from harness.statistics.analysis import known, plain
from harness.statistics.contrasts import analyse
from harness.statistics.paired_blocks import Floats, blocks_of
from harness.statistics.verdict_rule import Better, Margin, Scale, Verdict

FALSE_ALARM = 0.01
"""How often a sound pipeline fails the A/A or the one-ulp control by chance."""
FORGOTTEN = 0.5
"""A matched trial has forgotten its match when its difference is this share of an unmatched one."""


@dataclass(frozen=True, slots=True)
class Control:
    """What one control found."""

    kind: Literal["a-a", "no-op", "one-ulp", "planted harm"]
    arm: str
    passed: bool | None
    """None when there were too few blocks to tell."""
    p_value: float | None
    estimate: float | None
    floor: float | None
    """Half-width of the 95 % interval of the A/A or one-ulp difference: what this study cannot see below."""
    sentence: str
    curve: tuple[dict[str, Any], ...] = ()
    """One-ulp: root mean square difference at each step, and its share of an unmatched difference."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types."""
        document: dict[str, Any] = plain(self)
        return document


def no_op(table: pd.DataFrame, *, arm: str, baseline: str) -> Control:
    """Judge an arm that must change nothing: every value equals the baseline's to the last bit, failures included.

    Args:
        table: Long, with `unit`, `arm`, `value` and perhaps `failed`.
        arm: The arm that was proved to be the baseline in other words.
        baseline: The baseline.
    """
    pairs = _blocks(table, (arm, baseline), "raw").pairs(arm, baseline)
    differing = int((pairs.arm_failed != pairs.baseline_failed).sum() + np.count_nonzero(pairs.differences))
    blocks = len(pairs.arm)
    largest = float(np.max(np.abs(pairs.differences))) if len(pairs.differences) else 0.0
    if blocks == 0:
        return Control("no-op", arm, None, None, None, None, f"'{arm}' has no block in common with '{baseline}'.")
    if differing:
        where = f"{differing} of {blocks} blocks, by up to {largest:.3g}"
        text = f"'{arm}' must equal '{baseline}' exactly and differs in {where}: the pairs do not match."
    else:
        text = f"'{arm}' equals '{baseline}' to the last bit in all {blocks} blocks, as it must."
    return Control("no-op", arm, differing == 0, None, largest, None, text)


def a_a(table: pd.DataFrame, *, arm: str, baseline: str, better: Better, scale: Scale) -> Control:
    """Judge the baseline trained again with its own streams: it must not differ beyond chance, at p < 0.01.

    A sound pipeline fails one study in a hundred. Half the width of the interval is the floor: differences that two
    trainings of the same arm show.
    """
    return _no_bias(table, "a-a", arm=arm, baseline=baseline, better=better, scale=scale)


def planted_harm(
    table: pd.DataFrame,
    *,
    arm: str,
    baseline: str,
    better: Better,
    scale: Scale,
    margin: Margin | str | float | None = None,
) -> Control:
    """Judge an arm that was made worse on purpose: the verdict must be *hurts*."""
    c = analyse(_only(table, (arm, baseline)), baseline=baseline, better=better, scale=scale, margin=margin).contrasts[
        0
    ]
    passed = None if c.n < 2 and c.verdict is Verdict.INCONCLUSIVE else c.verdict is Verdict.HURTS
    outcome = {True: "was found", False: "was not found", None: "cannot be judged with so few blocks"}[passed]
    text = f"The harm planted in '{arm}' {outcome}: the verdict is '{c.verdict}'."
    return Control("planted harm", arm, passed, c.p_value, c.estimate, None, text)


def one_ulp(by_step: Mapping[int, pd.DataFrame], *, arm: str, baseline: str, better: Better, scale: Scale) -> Control:
    """Judge the baseline with one weight moved by one unit in the last place, and tell how fast it forgets its match.

    It must not differ on average beyond chance at the last step (p < 0.01). The curve gives the root mean square
    difference at each step, as a share of sqrt(2) times the baseline's spread over blocks, which is what two unmatched
    trainings would show.

    Args:
        by_step: At each step a long table as `analyse` takes it.
        arm: The moved arm.
        baseline: The baseline.
        better: Which direction is better.
        scale: Scale of the analysis.
    """
    if not by_step:
        raise DataError("one-ulp control: no steps; give a table for each step that was measured")
    curve = []
    for step, table in sorted(by_step.items()):
        pairs = _blocks(table, (arm, baseline), scale).pairs(arm, baseline)
        d, base = pairs.differences, pairs.baseline[pairs.complete]
        size = float(np.sqrt(np.mean(d**2))) if len(d) else math.nan
        unmatched = math.sqrt(2) * float(np.std(base, ddof=1)) if len(base) > 1 else math.nan
        share = size / unmatched if unmatched > 0 else math.nan
        curve.append({"step": step, "difference": known(size), "share_of_unmatched": known(share)})
    last = _no_bias(by_step[max(by_step)], "one-ulp", arm=arm, baseline=baseline, better=better, scale=scale)
    forgotten = next((c["step"] for c in curve if (c["share_of_unmatched"] or 0.0) >= FORGOTTEN), None)
    memory = "is still matched at the last step"
    if forgotten is not None:
        memory = f"has forgotten its match by step {forgotten}"
    text = f"{last.sentence} Moved by one unit in the last place, it {memory}."
    return Control("one-ulp", arm, last.passed, last.p_value, last.estimate, last.floor, text, tuple(curve))


def _no_bias(
    table: pd.DataFrame, kind: Literal["a-a", "one-ulp"], *, arm: str, baseline: str, better: Better, scale: Scale
) -> Control:
    c = analyse(_only(table, (arm, baseline)), baseline=baseline, better=better, scale=scale, margin=None).contrasts[0]
    p_failures = c.failures.p_mcnemar
    p_values = [p for p in (c.p_value, p_failures) if p is not None]
    equal = _blocks(table, (arm, baseline), scale).pairs(arm, baseline).identical
    passed = None if c.n < 2 else equal or min(p_values) >= FALSE_ALARM
    if c.n >= 2 and not equal and c.p_value is None:
        passed = 2 * 0.5**c.n >= FALSE_ALARM
    floor = None if c.ci.low is None or c.ci.high is None else (c.ci.high - c.ci.low) / 2
    said = {True: "does not differ from", False: "differs from", None: "has too few blocks to be compared with"}[passed]
    p = "" if c.p_value is None else f" (p = {c.p_value:.2g})"
    text = f"'{arm}', the same arm again, {said} '{baseline}'{p}."
    if passed is False:
        text += " A difference here means that verdicts of this study cannot be trusted."
    return Control(kind, arm, passed, c.p_value, c.estimate, floor, text)


def uniform(p_values: Sequence[float]) -> float:
    """Return the Kolmogorov-Smirnov p value that A/A p values of many studies are uniform, as they must be."""
    from scipy import stats

    kept: Floats = np.array([p for p in p_values if math.isfinite(p)])
    if len(kept) == 0:
        return math.nan
    return float(stats.kstest(kept, "uniform").pvalue)


def _only(table: pd.DataFrame, arms: tuple[str, str]) -> pd.DataFrame:
    return table[table["arm"].astype(str).isin(arms)]


def _blocks(table: pd.DataFrame, arms: tuple[str, str], scale: Scale) -> Any:
    blocks = blocks_of(_only(table, arms), scale=scale)
    for arm in arms:
        if arm not in blocks.arms:
            raise DataError(f"control: no rows of arm '{arm}'; a control needs the arm and its baseline")
    return blocks
