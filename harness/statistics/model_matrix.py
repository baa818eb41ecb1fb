"""The model matrix of a factorial table: blocks, estimable terms, aliases, least squares."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.statistics.paired_blocks import Floats

TINY = 1e-9
"""Columns that differ by no more than this are the same term."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Least squares of one model."""

    b: Floats
    """Coefficients."""
    inverse: Floats
    """(X'X)^-1."""
    residual: float
    """Residual sum of squares."""
    residual_df: int

    def squares(self, columns: list[int]) -> float:
        """Sum of squares of a set of columns after all others."""
        b = self.b[columns]
        return float(b @ np.linalg.solve(self.inverse[np.ix_(columns, columns)], b))

    def se(self, weights: Floats) -> float:
        """Standard error of a weighted sum of coefficients; NaN without a residual."""
        if self.residual_df == 0:
            return math.nan
        return math.sqrt(self.residual / self.residual_df * float(weights @ self.inverse @ weights))


@dataclass(frozen=True, slots=True)
class Model:
    """Model matrix in effect coding: mean, blocks, then the estimable terms from low to high order."""

    x: Floats
    columns: dict[str, list[int]]
    """Where each estimable term is, low order first."""
    block_columns: list[int]
    aliases: dict[str, tuple[str, ...]]
    levels: dict[str, tuple[str, ...]]
    block_of_row: Floats
    notes: tuple[str, ...]

    @property
    def most_rows(self) -> int:
        """Rows of the fullest block."""
        return int(np.unique(self.block_of_row, return_counts=True)[1].max())

    @property
    def terms(self) -> tuple[str, ...]:
        """Estimable terms, low order first."""
        return tuple(self.columns)

    @property
    def two_level(self) -> bool:
        """Whether every factor has two levels."""
        return all(len(levels) == 2 for levels in self.levels.values())

    @property
    def orthogonal(self) -> bool:
        """Whether all terms are estimated independently, with equal precision for two levels."""
        gram = self.x.T @ self.x
        return bool(np.allclose(gram, np.diag(np.diag(gram)), atol=1e-9 * len(self.x)))

    @classmethod
    def of(cls, data: pd.DataFrame, levels: dict[str, tuple[str, ...]], blocks: Sequence[Any]) -> Model:
        """Return the matrix of all terms that the rows can tell apart."""
        mean = np.ones((len(data), 1))
        block_of_row = (
            pd.Index(blocks).get_indexer(pd.Index(data["unit"])).astype(float) if blocks else np.zeros(len(data))
        )
        block_part = coded(block_of_row.astype(int), len(blocks)) if len(blocks) > 1 else mean[:, :0]
        main = {name: coded(pd.Index(ls).get_indexer(pd.Index(data[name])), len(ls)) for name, ls in levels.items()}
        x = np.hstack([mean, block_part])
        columns: dict[str, list[int]] = {}
        aliases: dict[str, list[str]] = {}
        lost: list[str] = []
        for order in range(1, len(levels) + 1):
            for names in itertools.combinations(levels, order):
                term, new = ":".join(names), _products([main[name] for name in names])
                if _adds(x, new):
                    columns[term] = list(range(x.shape[1], x.shape[1] + new.shape[1]))
                    x = np.hstack([x, new])
                    continue
                partner = _partner(x, columns, new)
                if partner is None:
                    lost.append(term)
                else:
                    aliases.setdefault(partner[0], []).append(partner[1] + term)
        notes = [f"These rows cannot estimate {', '.join(lost)}."] if lost else []
        told = {term: tuple(names) for term, names in aliases.items()}
        return cls(x, columns, list(range(1, 1 + block_part.shape[1])), told, levels, block_of_row, tuple(notes))

    def without_last(self) -> Model:
        """Return the model without its last term."""
        *kept, last = self.columns
        end = self.columns[last][0]
        columns = {term: self.columns[term] for term in kept}
        return Model(
            self.x[:, :end], columns, self.block_columns, self.aliases, self.levels, self.block_of_row, self.notes
        )

    def fit(self, y: Floats) -> Fit:
        """Return least squares."""
        inverse = np.linalg.pinv(self.x)
        b, df = inverse @ y, len(y) - self.x.shape[1]
        return Fit(b, inverse @ inverse.T, float(((y - self.x @ b) ** 2).sum()) if df else 0.0, df)


def coded(codes: Any, count: int) -> Floats:
    """Effect coding, shape (rows, levels - 1): -1 for the first level, so that + is the second of two."""
    coding = np.vstack([-np.ones(count - 1), np.eye(count - 1)])
    return np.asarray(coding[codes])


def _products(parts: list[Floats]) -> Floats:
    product = parts[0]
    for part in parts[1:]:
        product = (product[:, :, None] * part[:, None, :]).reshape(len(product), -1)
    return product


def _adds(x: Floats, new: Floats) -> bool:
    return x.shape[1] + new.shape[1] <= len(x) and bool(
        np.linalg.matrix_rank(np.hstack([x, new]), tol=1e-8 * math.sqrt(len(x))) == x.shape[1] + new.shape[1]
    )


def _partner(x: Floats, columns: dict[str, list[int]], new: Floats) -> tuple[str, str] | None:
    if new.shape[1] != 1:
        return None
    for term, where in columns.items():
        for sign, text in ((1, ""), (-1, "-")):
            if len(where) == 1 and np.allclose(x[:, where], sign * new, atol=TINY):
                return term, text
    return None
