"""How many trials matching and looks save on real rows: `python benchmarks/blocks_saved.py results/STUDY`.

Two ways of asking whether an arm differs from the baseline by the margin, at the same error rates: α = 0.05 two-sided,
and a power of 0.8. Unmatched practice compares two groups of trials of fixed size by Student's t test. This harness
compares matched pairs at looks, and stops when it has a verdict.

Trials are drawn with replacement from the study's own rows: values of each arm on their own, or both of one block
together. The difference of the means is moved to the margin (10 % where a
metric has none), or to 0. The rows must be of at least 8 blocks.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

sys.path[:0] = [str(Path(__file__).parents[1])]

import harness
from harness.metrics.catalogue import metric_named
from harness.results.store import Store
from harness.statistics.many_studies import at_looks, judged_studies
from harness.statistics.verdict_rule import Margin
from harness.study.design import arms
from harness.study.study import BASELINE

ALPHA, POWER = 0.05, 0.8
STUDIES = 4000
MOST = 400
LEAST = 8
LOOKS = 5


@dataclass(frozen=True)
class Contrast:
    """The values of two arms, by block, on the scale of the analysis."""

    name: str
    arm: np.ndarray
    base: np.ndarray
    margin: float

    @property
    def correlation(self) -> float:
        """Between the arms, over blocks."""
        return float(np.corrcoef(self.arm, self.base)[0, 1])


def contrasts(folder: Path) -> Iterator[Contrast]:
    """Yield each arm against the baseline, by each metric, at the horizon."""
    study = Store(folder).frozen().study
    rows = harness.load(folder).trials
    compared = [arm.name for arm in arms(study) if arm.control is None]
    rows = rows[(rows["status"] == "complete") & rows["arm"].isin(compared)]
    for metric in study.measure.metrics:
        scale = metric_named(metric).scale
        table = rows.pivot_table(index="block", columns="arm", values=metric, aggfunc="first").dropna()
        mean = float(table[BASELINE].mean())
        margin = Margin.parse(study.measure.margin_of(metric) or "10%").on(scale, mean)
        if len(table) < LEAST:
            sys.exit(f"{folder}: {len(table)} complete blocks; at least {LEAST} are needed (--set design.blocks=12)")
        values = np.log(table) if scale == "log" else table
        for arm in table.columns.drop(BASELINE):
            yield Contrast(f"{metric}, {arm}", values[arm].to_numpy(), values[BASELINE].to_numpy(), margin)


def smallest(reaches: Callable[[int], bool], low: int) -> int | None:
    """Return the smallest number that reaches something, which larger ones do too."""
    high = low
    while not reaches(high):
        low, high = high + 1, high * 2
        if low > MOST:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle + 1, high)
    return high


def centred(values: np.ndarray) -> np.ndarray:
    """Return values about 0 whose plain variance is the unbiased one, so that drawing from them spreads as they do."""
    n = len(values)
    return (values - values.mean()) * math.sqrt(n / (n - 1))


def unmatched(contrast: Contrast, n: int, difference: float, rng: np.random.Generator) -> float:
    """Return how often a t test of two groups of n finds the difference."""
    a, b = (rng.choice(centred(x), (STUDIES, n)) for x in (contrast.arm, contrast.base))
    with warnings.catch_warnings():
        # A few of thousands of small groups hold one row n times: no spread, and no finding.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float((stats.ttest_ind(a + difference, b, axis=1).pvalue < ALPHA).mean())


def schedule(most: int) -> tuple[int, ...]:
    """Return looks in even steps up to a number of blocks, the first at 4 or more."""
    return tuple(sorted({max(4, math.ceil(most * k / LOOKS)) for k in range(1, LOOKS + 1)}))


def matched(
    contrast: Contrast, looks: tuple[int, ...], difference: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return how often looks at matched pairs find a difference, and the mean number of blocks."""
    pairs = centred(contrast.arm - contrast.base)
    drawn = rng.choice(pairs, (STUDIES, 1, looks[-1])) + difference
    with np.errstate(divide="ignore", invalid="ignore"):
        # A few of thousands of small studies hold one pair n times: no spread.
        judged = judged_studies(*at_looks(drawn, looks), looks, contrast.margin, ALPHA)
    return float(judged.differs().mean()), float(judged.blocks.mean())


def row(contrast: Contrast, rng: np.random.Generator) -> list[str]:
    """Return one line of the table."""
    size = contrast.margin
    groups = smallest(lambda n: unmatched(contrast, n, size, rng) >= POWER, 3)
    most = smallest(lambda n: matched(contrast, schedule(n), size, rng)[0] >= POWER, 4)
    sd = [float(x.std(ddof=1)) for x in (contrast.base, contrast.arm - contrast.base)]
    head = [contrast.name, str(len(contrast.arm)), f"{contrast.correlation:.2f}", f"{sd[0]:.3g}", f"{sd[1]:.3g}"]
    if groups is None or most is None:
        return [*head, f"{groups or f'over {MOST}'}", f"{most or f'over {MOST}'}", "", "", "", ""]
    looks = schedule(most)
    power, blocks = matched(contrast, looks, size, rng)
    error, idle = matched(contrast, looks, 0.0, rng)
    errors = unmatched(contrast, groups, 0.0, rng), error
    return [
        *head,
        f"{2 * groups}",
        f"{2 * blocks:.1f} ({power:.2f})",
        f"{2 * idle:.1f}",
        f"{errors[0]:.3f} / {errors[1]:.3f}",
        f"{groups / blocks:.1f}",
        f"{groups / idle:.1f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="results of a study with 8 blocks or more")
    rng = np.random.default_rng(1)
    heads = [
        "metric, arm against baseline",
        "real blocks",
        "correlation",
        "sd of the baseline",
        "sd of differences",
        "trials unmatched",
        "trials matched at looks, true difference = margin (power)",
        "the same, true difference 0",
        "type I error, unmatched / matched",
        "times fewer at the margin",
        "times fewer at 0",
    ]
    print(f"α {ALPHA}, power {POWER}, {STUDIES:,} studies drawn from the rows for each figure\n")
    print(f"| {' | '.join(heads)} |\n| --- |{' ---: |' * (len(heads) - 1)}")
    for contrast in contrasts(parser.parse_args().folder):
        print(f"| {' | '.join(row(contrast, rng))} |", flush=True)


if __name__ == "__main__":
    main()
