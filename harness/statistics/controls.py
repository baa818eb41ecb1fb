"""Controls judged from values: arms whose answer is known, so that a broken pipeline shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.errors import DataError
from harness.statistics.analysis import Contrast, Interval, known, plain
from harness.statistics.contrasts import analyse
from harness.statistics.number_format import change, span
from harness.statistics.paired_blocks import Floats, blocks_of
from harness.statistics.verdict_rule import Better, Margin, Scale, Verdict

FALSE_ALARM = 0.01
"""How often a sound pipeline fails the A/A or the one-ulp control by chance."""
FORGOTTEN = 0.5
"""A matched trial has forgotten its match when its difference is this share of an unmatched one."""


Expectation = Literal["worse", "better", "differs"]
Outcome = Literal["told apart", "the other way", "not told apart", "no difference", "differs", "too few blocks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What one control found."""

    kind: Literal["positive", "negative", "a-a", "no-op", "one-ulp"]
    arm: str
    outcome: Outcome
    passed: bool | None
    """Whether it came out as it must; None when there were too few blocks to tell."""
    decided: bool
    """Whether no further block is needed: a positive control was told apart, or a negative one shown to be equal."""
    blocks: int
    """Complete pairs."""
    p_value: float | None
    """Over all looks, where there is a schedule."""
    estimate: float | None
    """Control minus baseline, on the scale of the analysis."""
    ci: Interval | None
    floor: float | None
    """Half-width of the interval of an A/A or one-ulp difference: what this study cannot see below."""
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
    outcome: Outcome = "too few blocks" if blocks == 0 else "differs" if differing else "no difference"
    text = {
        "too few blocks": f"'{arm}' has no block in common with '{baseline}'.",
        "differs": f"'{arm}' must equal '{baseline}' exactly and differs in {differing} of {blocks} blocks, by up to "
        f"{largest:.3g}: the pairs do not match.",
        "no difference": f"'{arm}' equals '{baseline}' to the last bit in all {blocks} blocks, as it must.",
    }[outcome]
    return Control(
        kind="no-op",
        arm=arm,
        outcome=outcome,
        passed=None if blocks == 0 else differing == 0,
        decided=blocks > 0,
        blocks=blocks,
        p_value=None,
        estimate=largest if blocks else None,
        ci=None,
        floor=None,
        sentence=text,
    )


def negative(
    table: pd.DataFrame,
    *,
    kind: Literal["negative", "a-a"],
    arm: str,
    baseline: str,
    better: Better,
    scale: Scale,
    margin: Margin | str | float | None = None,
    looks: Sequence[int] | None = None,
) -> Control:
    """Judge an arm that must make no difference, such as the baseline with streams of its own (A/A).

    It must not differ beyond chance, at p < 0.01 over all looks: a sound pipeline fails one study in a hundred. Half
    the width of the interval is the floor: differences that two trainings of the same arm show.
    """
    return _no_bias(table, kind, arm=arm, baseline=baseline, better=better, scale=scale, margin=margin, looks=looks)


def positive(
    table: pd.DataFrame,
    *,
    arm: str,
    baseline: str,
    better: Better,
    scale: Scale,
    margin: Margin | str | float | None,
    expect: Expectation = "worse",
    looks: Sequence[int] | None = None,
    alpha: float = 0.05,
    metric: str = "value",
    name: str | None = None,
) -> Control:
    """Judge an arm that is known to differ: by a test of its own at the level of the arms' family, over the same looks.

    It is told apart where its interval excludes 0 in the direction that was expected and the difference was not shown
    to be smaller than the margin: a margin that holds what is known to matter could not tell either (ICH E10, 1.5.1.1).
    Failures alone do not tell by this metric.

    Args:
        table: Long, as `analyse` takes it.
        arm: The control.
        baseline: The baseline.
        better: Which direction of the metric is better.
        scale: Scale of the analysis.
        margin: The smallest difference that matters.
        expect: How the control must differ.
        looks: Schedule of looks in blocks.
        alpha: Error rate.
        metric: What the values are called.
        name: What the control is called in the sentence.
    """
    judged = analyse(
        _only(table, (arm, baseline)),
        baseline=baseline,
        better=better,
        scale=scale,
        margin=margin,
        looks=looks,
        alpha=alpha,
        metric=metric,
    )
    c = judged.contrast(arm)
    seen = c.ci.low is not None and c.ci.high is not None and (c.ci.low > 0 or c.ci.high < 0)
    found = {Verdict.HELPS: "better", Verdict.HURTS: "worse"}.get(c.verdict) if seen else None
    outcome: Outcome = "not told apart"
    if c.n < 2 or c.look.rule == "before the first look":
        outcome = "too few blocks"
    elif found is not None:
        outcome = "told apart" if expect in ("differs", found) else "the other way"
    return Control(
        kind="positive",
        arm=arm,
        outcome=outcome,
        passed=None if outcome == "too few blocks" else outcome == "told apart",
        decided=c.decided,
        blocks=c.n,
        p_value=c.p_value if c.p_sequential is None else c.p_sequential,
        estimate=c.estimate,
        ci=c.ci,
        floor=None,
        sentence=_positive_sentence(c, outcome, expect, metric, scale, name or f"positive control '{arm}'"),
    )


def _positive_sentence(c: Contrast, outcome: Outcome, expect: Expectation, metric: str, scale: Scale, name: str) -> str:
    name = name[0].upper() + name[1:]
    if c.estimate is None or c.n == 0:
        return f"{name}: {outcome}: no block has a value of {metric} for both it and '{c.baseline}'."
    pairs = f"{c.n} pair" if c.n == 1 else f"{c.n} pairs"
    size = f"{metric} {change(c.estimate, scale)}"
    if c.ci.low is not None:
        size += f" ({c.ci.level * 100:.3g} % interval {span(c.ci.low, c.ci.high, scale)}, {pairs})"
    else:
        size += f" ({pairs})"
    if outcome == "too few blocks":
        return f"{name}: too few blocks to tell yet: {size}."
    quality = "better" if c.verdict is Verdict.HELPS else "worse"
    if outcome == "told apart":
        margin = c.equivalence.margin
        small = margin is not None and abs(c.estimate) < margin
        warning = (
            "; that is less than the margin, so as large a difference counts as none that matters" if small else ""
        )
        return f"{name}: told apart, {quality}{'' if expect == 'differs' else ' as expected'}: {size}{warning}."
    if outcome == "the other way":
        return f"{name}: told apart, but the other way: expected to be {expect}, it is {quality}: {size}."
    why = ""
    if c.verdict in (Verdict.NEGLIGIBLE, Verdict.EQUIVALENT):
        why = ", which was shown to be smaller than the margin"
    elif c.decided:
        why = ", and only its failures differ"
    return f"{name}: not told apart: {size}{why}."


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
    return replace(last, decided=last.passed is not None, sentence=text, curve=tuple(curve))


def _no_bias(
    table: pd.DataFrame,
    kind: Literal["negative", "a-a", "one-ulp"],
    *,
    arm: str,
    baseline: str,
    better: Better,
    scale: Scale,
    margin: Margin | str | float | None = None,
    looks: Sequence[int] | None = None,
) -> Control:
    c = analyse(
        _only(table, (arm, baseline)), baseline=baseline, better=better, scale=scale, margin=margin, looks=looks
    ).contrast(arm)
    p_value = c.p_value if c.p_sequential is None else c.p_sequential
    p_values = [p for p in (p_value, c.failures.p_mcnemar) if p is not None]
    equal = _blocks(table, (arm, baseline), scale).pairs(arm, baseline).identical
    early = c.n < 2 or c.look.rule == "before the first look"
    passed = None if early else equal or min(p_values) >= FALSE_ALARM
    if not early and not equal and p_value is None:
        passed = 2 * 0.5**c.n >= FALSE_ALARM
    floor = None if c.ci.low is None or c.ci.high is None else (c.ci.high - c.ci.low) / 2
    what = "which must make no difference," if kind == "negative" else "the same arm again,"
    said = {True: "does not differ from", False: "differs from", None: "has too few blocks to be compared with"}[passed]
    p = "" if p_value is None else f" (p = {p_value:.2g})"
    text = f"'{arm}', {what} {said} '{baseline}'{p}."
    if passed is False:
        text += (
            " The pairs do not match, or differences are declared too often: verdicts of this study cannot be trusted."
        )
    outcomes: dict[bool | None, Outcome] = {True: "no difference", False: "differs", None: "too few blocks"}
    return Control(
        kind=kind,
        arm=arm,
        outcome=outcomes[passed],
        passed=passed,
        decided=passed is False or c.verdict in (Verdict.EQUIVALENT, Verdict.NEGLIGIBLE),
        blocks=c.n,
        p_value=p_value,
        estimate=c.estimate,
        ci=c.ci,
        floor=floor,
        sentence=text,
    )


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
