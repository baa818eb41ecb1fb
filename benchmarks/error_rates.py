"""How often verdicts are wrong, over whole families of arms: `python benchmarks/error_rates.py`, under 10 minutes.

Studies are drawn from known truths and judged by the product's own rule. Beside it stand three habits, each for every
arm alone: the ordinary paired t test at every planned look, stopped at the first p < 0.05 (naive peeking); the same
looks at the boundary of one arm (uncorrected); and one paired t test at the last number of blocks. A habit drops the
pairs in which a trial failed. Seeds are fixed.

Differences and margins are in standard deviations of the paired differences; all arms of a block share its baseline.
How trials come about:

- *plain*: normal errors.
- *failures*: a trial fails where its own error is among the worst tenth, in every arm alike.
- *vary*: half of the variance is the arms' true effects, which vary over blocks around their mean, alike in all arms.
- *factorial*: so many factors at two levels, all combinations in each block. Main effects are judged, and vary over
  blocks as above.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

sys.path[:0] = [str(Path(__file__).parents[1])]

from harness.statistics.decisions import Decision, Rules, decide
from harness.statistics.factorial import factorial
from harness.statistics.group_sequential import boundaries
from harness.statistics.many_studies import DIFFERENT, Judged, at_looks, judged_studies, shared_baseline
from harness.statistics.paired_blocks import PairedBlocks

ALPHA, MARGIN, EFFECT = 0.05, 1.0, 1.0
LOOKS = (6, 9, 12, 16, 20)
EQUAL = ["equivalent", "negligible"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Family:
    """A family of contrasts, its schedule, and how its trials come about."""

    trials: str
    contrasts: int
    looks: tuple[int, ...]
    studies: int

    @property
    def rules(self) -> Rules:
        """What its studies are judged by."""
        return Rules("lower", self.looks if len(self.looks) > 1 else None, ALPHA)


@dataclass(frozen=True)
class Studies:
    """Many studies of one truth."""

    judged: Judged
    trials: Floats
    """Of each study, up to its stop."""
    truth: Floats
    """Of each contrast."""
    differences: Floats
    """By block, (studies, contrasts, blocks); NaN where a pair is lost."""

    def covered(self) -> Bools:
        """Where the interval for a difference holds the truth; False where there is no interval."""
        return np.asarray((self.judged.low <= self.truth) & (self.truth <= self.judged.high))

    def habits(self, looks: Sequence[int]) -> dict[str, Bools]:
        """Return where each habit declares a difference, (studies, contrasts)."""
        d, at = self.differences, np.array(looks) - 1
        n = np.isfinite(d).cumsum(axis=-1)[..., at]
        sums, squares = (np.nancumsum(x, axis=-1)[..., at] for x in (d, d**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = (squares - sums**2 / n) / (n - 1)
            p = 2 * stats.t.sf(np.abs(sums / n) / np.sqrt(variance / n), n - 1)
        return {
            "naive peeking": (p < ALPHA).any(axis=-1),
            "uncorrected": (p < boundaries(tuple(looks), ALPHA)).any(axis=-1),
            "paired t": p[..., -1] < ALPHA,
        }


def studies(family: Family, truth: Floats, seed: int) -> Studies:
    """Draw studies whose contrasts have the true differences `truth`, and judge them."""
    rng = np.random.default_rng([seed, family.contrasts, len(family.looks)])
    return (_factorial if family.trials == "factorial" else _one_factor)(family, truth, rng)


def _one_factor(family: Family, truth: Floats, rng: np.random.Generator) -> Studies:
    blocks = family.looks[-1]
    errors = rng.standard_normal((family.studies, family.contrasts + 1, blocks))
    if family.trials == "vary":
        errors *= math.sqrt(0.5)
        errors[:, 1:] += rng.standard_normal((family.studies, 1, blocks))
    failed = (errors > stats.norm.isf(0.1)) & (family.trials == "failures")
    errors[:, 1:] += math.sqrt(2) * truth[:, None]
    differences = shared_baseline(errors)
    if family.trials == "failures":
        judged = _one_by_one(family, np.where(failed, np.nan, errors / math.sqrt(2)), failed)
        differences = np.where(failed[:, 1:] | failed[:, :1], np.nan, differences)
    else:
        judged = judged_studies(*at_looks(differences, family.looks), family.looks, MARGIN, ALPHA)
    return Studies(judged, judged.trials.astype(float), truth, differences)


def _one_by_one(family: Family, values: Floats, failed: Bools) -> Judged:
    """Judge studies one after another, as `run` does: what fails is an outcome."""
    missing = np.zeros(family.looks[-1], dtype=np.int64)
    decisions = [
        decide([PairedBlocks(v[i], v[0], f[i], f[0], missing, 0) for i in range(1, len(v))], family.rules, MARGIN)
        for v, f in zip(values, failed, strict=True)
    ]
    return Judged(*(np.array(column) for column in zip(*(_columns(family, d) for d in decisions), strict=True)))


def _columns(family: Family, decisions: Sequence[Decision]) -> tuple[Any, ...]:
    last = len(family.looks) - 1
    return (
        [d.verdict.value for d in decisions],
        [family.looks[last if d.stopped is None else d.stopped] for d in decisions],
        [d.stage.summary.mean for d in decisions],
        [d.outer[0] for d in decisions],
        [d.outer[1] for d in decisions],
    )


def _factorial(family: Family, truth: Floats, rng: np.random.Generator) -> Studies:
    blocks, names = family.looks[-1], [f"f{i}" for i in range(family.contrasts)]
    signs = np.array(list(product((-1, 1), repeat=len(names))))
    table = pd.DataFrame(np.tile(signs, (blocks, 1)), columns=names)
    table["block"] = np.repeat(np.arange(blocks), len(signs))
    judged, differences = [], []
    for _ in range(family.studies):
        effects = truth + math.sqrt(0.5) * rng.standard_normal((blocks, len(names)))
        cells = effects @ signs.T / 2 + math.sqrt(len(signs) / 8) * rng.standard_normal((blocks, len(signs)))
        table["value"] = cells.ravel()
        result = factorial(
            table, factors=names, unit="block", better="lower", margin=MARGIN, looks=family.rules.looks, alpha=ALPHA
        )
        judged.append(result.main)
        differences.append((cells @ signs * 2 / len(signs)).T)
    stopped = [[c.look.blocks if c.look.next is None else blocks for c in study] for study in judged]
    each = Judged(
        np.array([[c.verdict.value for c in study] for study in judged]),
        np.array(stopped),
        *(
            np.array([[of(c) for c in study] for study in judged], float)
            for of in (attrgetter("estimate"), attrgetter("ci.low"), attrgetter("ci.high"))
        ),
    )
    return Studies(each, each.blocks.max(axis=1) * float(len(signs)), truth, np.array(differences))


def line(family: Family) -> dict[str, str]:
    """Return one line of the table."""
    none = studies(family, np.zeros(family.contrasts), 1)
    one = studies(family, np.r_[-EFFECT, np.zeros(family.contrasts - 1)], 2)
    all_at_margin = studies(family, MARGIN * np.resize([1.0, -1.0], family.contrasts), 3)
    cells = {
        "trials": family.trials,
        "contrasts": str(family.contrasts),
        "blocks": ", ".join(map(str, family.looks)),
        "false difference": share(np.isin(none.judged.verdicts, DIFFERENT).any(axis=1)),
        "false equivalent": share(np.isin(all_at_margin.judged.verdicts, EQUAL).any(axis=1)),
        "finds 1 sd": share(one.judged.verdicts[:, 0] == "helps"),
        "trials then": f"{one.trials.mean():.0f}",
        "covers": share(np.concatenate([none.covered(), one.covered()])[:, 0]),
    }
    return cells | {name: share(where.any(axis=1)) for name, where in none.habits(family.looks).items()}


def share(of: Bools) -> str:
    """Return a share with its standard error."""
    return f"{of.mean():.3f} ± {of.std() / math.sqrt(len(of)):.3f}"


def families(scale: float) -> list[Family]:
    """Return every family of the table; slow ones first, so that both processes end together."""
    schedules = (LOOKS, LOOKS[-1:])
    # A factorial is judged from its table, 0.1 s with 2 factors and 0.8 s with 4.
    slow = [
        *(Family("factorial", k, looks, round(n * scale)) for k, n in ((3, 100), (2, 300)) for looks in schedules),
        *(Family("failures", k, looks, round(6000 / (k + 4) * scale)) for k in (12, 6, 2, 1) for looks in schedules),
    ]
    quick = [
        Family(t, k, looks, round(10_000 * scale))
        for t in ("plain", "vary")
        for k in (1, 2, 6, 12)
        for looks in schedules
    ]
    return [*slow, *quick]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the studies drawn")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.time()
    with ProcessPoolExecutor(options.processes) as pool:
        lines = list(pool.map(line, families(options.scale)))
    order = {"plain": 0, "vary": 1, "failures": 2, "factorial": 3}
    lines.sort(key=lambda cells: (order[cells["trials"]], len(cells["blocks"]) < 4, int(cells["contrasts"])))
    print("| " + " | ".join(lines[0]) + " |\n|" + " --- |" * len(lines[0]))
    for cells in lines:
        print("| " + " | ".join(cells.values()) + " |")
    print(f"\n{time.time() - started:.0f} s with {options.processes} processes.")


if __name__ == "__main__":
    main()
