"""The cells of a factorial design by block, and what they say of each effect in every block."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from harness.statistics.paired_blocks import Bools, Floats, PairedBlocks, rounding_of
from harness.statistics.verdict_rule import Scale


@dataclass(frozen=True, slots=True)
class Cells:
    """Values of shape (blocks, cells), on the scale of the analysis."""

    keys: tuple[tuple[str, ...], ...]
    """The levels of each cell, in the order of the factors."""
    levels: Mapping[str, tuple[str, ...]]
    values: Floats
    """NaN where there is no value."""
    failed: Bools
    present: Bools
    scale: Scale

    @classmethod
    def of(
        cls, rows: pd.DataFrame, levels: Mapping[str, tuple[str, ...]], blocks: Sequence[Any], scale: Scale
    ) -> Cells:
        """Return the cells of rows with the factors' columns, `unit`, `value` and `failed`."""
        of_row = list(rows[list(levels)].itertuples(index=False, name=None))
        keys = tuple(dict.fromkeys(of_row))
        column = [keys.index(key) for key in of_row]
        row = pd.Index(blocks).get_indexer(pd.Index(rows["unit"]))
        values = np.full((len(blocks), len(keys)), np.nan)
        failed, present = np.zeros((2, *values.shape), dtype=bool)
        values[row, column] = np.log(rows["value"]) if scale == "log" else rows["value"]
        failed[row, column], present[row, column] = rows["failed"], True
        return cls(keys, levels, values, failed, present, scale)

    def effect(self, names: tuple[str, ...], level: str | None = None) -> PairedBlocks:
        """Return one effect as matched blocks: the mean of its + cells against the mean of its - cells.

        Cells that differ in the effect's factors only are a group, and a block's value comes from its complete groups.
        Where a design has no such groups, as a fraction has not, the whole block is one group. A block in which more
        trials failed on one side than on the other counts as a failure of that side.

        Args:
            names: The factors.
            level: For one factor, the level that is compared with its first; the second unless given.
        """
        where = [list(self.levels).index(name) for name in names]
        kept = [{self.levels[name][0], level or self.levels[name][1]} for name in names]
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        signs = np.zeros(len(self.keys))
        for i, key in enumerate(self.keys):
            own = [key[k] for k in where]
            if all(value in allowed for value, allowed in zip(own, kept, strict=True)):
                low = sum(value == self.levels[name][0] for value, name in zip(own, names, strict=True))
                signs[i] = -1 if low % 2 else 1
                groups[tuple(value for k, value in enumerate(key) if k not in where)].append(i)
        members = list(groups.values())
        if any(len(group) != 2 ** len(names) for group in members):
            members = [[i for group in members for i in group]]
        complete = np.array([np.isfinite(self.values[:, group]).all(axis=1) for group in members]).T
        none, there = ~complete.any(axis=1), self.present[:, signs != 0].any(axis=1)
        means, failures = [], []
        for sign in (1, -1):
            of_group = np.array([self.values[:, [i for i in g if signs[i] == sign]].mean(axis=1) for g in members]).T
            means.append(np.where(complete, of_group, 0.0).sum(axis=1) / np.maximum(complete.sum(axis=1), 1))
            failures.append((self.failed & (signs == sign)).sum(axis=1))
        more, both = np.subtract(*failures), none & (failures[0] > 0) & (failures[0] == failures[1])
        # Without a complete group there is no difference: the side that failed more has no value, the other one has
        # some, and that it has one is all that counts.
        plus, minus = (np.where(none & (side * more >= 0), np.nan, m) for m, side in zip(means, (1, -1), strict=True))
        return PairedBlocks(
            plus[there],
            minus[there],
            ((more > 0) | both)[there],
            ((more < 0) | both)[there],
            np.cumsum(~there, dtype=np.int64)[there],
            int((~there).sum()),
            rounding_of(self.values, self.scale),
        )

    def f_test(self, names: Sequence[str]) -> tuple[float, float]:
        """Return F and p of a term against its own variation over complete blocks; NaN where there is no such test.

        The effect is a vector in each block, in orthonormal contrasts; its mean is compared with its spread over
        blocks, as in an analysis of repeated measurements with equal variances and covariances of the contrasts.
        """
        whole = self.values[np.isfinite(self.values).all(axis=1)]
        basis = np.ones((len(self.keys), 1))
        for name in names:
            levels, k = self.levels[name], list(self.levels).index(name)
            against_mean = np.linalg.qr(np.column_stack([np.ones(len(levels)), np.eye(len(levels))[:, 1:]]))[0][:, 1:]
            part = against_mean[[levels.index(key[k]) for key in self.keys]]
            basis = (basis[:, :, None] * part[:, None, :]).reshape(len(basis), -1)
        columns = np.linalg.qr(basis)[0]
        df, blocks = columns.shape[1], len(whole)
        if blocks < 2:
            return math.nan, math.nan
        effects = whole @ columns
        spread = float(((effects - effects.mean(axis=0)) ** 2).sum()) / (df * (blocks - 1))
        if spread <= 0:
            return math.nan, math.nan
        f = blocks * float((effects.mean(axis=0) ** 2).sum()) / df / spread
        return f, float(scipy.stats.f.sf(f, df, df * (blocks - 1)))
