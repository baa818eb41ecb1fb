"""Main effects and interactions of factorial designs: by block where there are blocks, Lenth's method without."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.statistics.analysis import Contrast, Interval, known, plain
from harness.statistics.cells import Cells
from harness.statistics.contrasts import Terms, judged
from harness.statistics.decisions import Rules
from harness.statistics.effect import Effect, lenth, unblocked_effects
from harness.statistics.family import holm
from harness.statistics.group_sequential import check_looks
from harness.statistics.model_matrix import Fit, Model
from harness.statistics.paired_blocks import flags, label, natural_key, numbers
from harness.statistics.verdict_rule import Better, Margin, Scale

LOW_WORDS = frozenset({"-", "low", "off", "no", "none", "false", "without"})
"""Levels that are a factor's first (-) wherever the table has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorial:
    """The analysis of one factorial table."""

    metric: str
    scale: Scale
    better: Better | None
    alpha: float
    margin: str | None
    factors: dict[str, tuple[str, ...]]
    """Levels of each factor; the first is -."""
    blocks: int
    looks: tuple[int, ...] | None
    family_size: int
    """Main-effect contrasts over which the verdicts hold together."""
    rows: int
    rows_lost: int
    """Rows that failed or have no value."""
    mean: float
    effects: tuple[Effect, ...]
    block_sum_of_squares: float | None
    block_df: int
    residual_sum_of_squares: float
    residual_df: int
    pse: float | None
    margin_of_error: float | None
    simultaneous_margin_of_error: float | None
    main_effects_plot: tuple[dict[str, Any], ...]
    """Mean and count per level of each factor, on the scale of the table (geometric means on the log scale)."""
    interaction_plot: tuple[dict[str, Any], ...]
    """Mean and count per pair of levels of each two factors."""
    notes: tuple[str, ...] = field(default=())

    @property
    def main(self) -> tuple[Contrast, ...]:
        """The contrasts of all main effects, which are one family; none with fewer than two blocks."""
        return tuple(c for e in self.effects if e.term in self.factors for c in e.contrasts)

    @property
    def decided(self) -> bool:
        """Whether every main effect has its verdict."""
        return bool(self.main) and all(c.decided for c in self.main)

    @property
    def next_look(self) -> int | None:
        """Number of blocks at the next look; None when every main effect is decided or the schedule is at its end."""
        return min((c.look.next for c in self.main if not c.decided and c.look.next is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types, null in place of NaN and infinity."""
        document: dict[str, Any] = plain(self)
        return document


def effects(table: pd.DataFrame, *, factors: Sequence[str], **options: Any) -> tuple[Effect, ...]:
    """Return main effects and interactions of a factorial table; the options are those of `factorial`."""
    return factorial(table, factors=factors, **options).effects


def factorial(
    table: pd.DataFrame,
    *,
    factors: Sequence[str],
    unit: str | None = None,
    value: str = "value",
    failed: str | None = None,
    scale: Scale = "raw",
    better: Better | None = None,
    margin: Margin | str | float | None = None,
    looks: Sequence[int] | None = None,
    alpha: float = 0.05,
    metric: str | None = None,
    first: Mapping[str, str] | None = None,
    where: str = "table",
) -> Factorial:
    """Return all main effects and interactions that the table can tell apart.

    With two blocks or more each effect is computed in every block and tested over blocks, like any contrast: failed
    trials, looks and the family of all main effects count as in `analyse`. With fewer, the residual or Lenth's method
    is the error.

    Args:
        table: One row per cell, or per cell and block.
        factors: Columns of the factors.
        unit: Column of the blocks; without it rows of one cell are plain replicates.
        value: Column of the values; null values are failures.
        failed: Column that says which trials failed.
        scale: ``log`` for ratios of positive values, ``raw`` for differences.
        better: Which direction is better; without it no verdicts.
        margin: The smallest difference that matters; a percentage on the raw scale is of the mean of all values.
        looks: Schedule of looks in blocks; needs `unit`.
        alpha: Error rate over all main effects together.
        metric: What the values are called.
        first: The first level (-) of factors, where it is not the first by size, word or order.
        where: What the table is called in messages.

    Raises:
        DataError: A column is missing, a factor has one level only, a cell comes twice in a block, or a value cannot be
            used.
    """
    rows = _rows(table, factors=factors, unit=unit, value=value, failed=failed, scale=scale, where=where)
    data = rows.dropna(subset=["value"]).reset_index(drop=True)
    if data.empty:
        raise DataError(f"{where}: no row has a value in column '{value}'")
    for name in factors:
        if rows[name].nunique() < 2:
            raise DataError(f"{where}: factor '{name}' has one level only; two or more are needed")
    ordered = {name: _ordered(rows[name].unique().tolist(), (first or {}).get(name)) for name in factors}
    blocks = sorted(rows["unit"].unique(), key=natural_key) if unit else []
    model = Model.of(data, ordered, sorted(data["unit"].unique(), key=natural_key) if unit else [])
    notes = list(model.notes)
    y = np.log(data["value"].to_numpy()) if scale == "log" else data["value"].to_numpy()
    fit = model.fit(y)
    if fit.residual_df == 0 and not model.two_level and len(model.terms) > 1:
        model = model.without_last()
        fit = model.fit(y)
        notes.append("There is no residual, so the interaction of highest order serves as the error.")
    pse = me = sme = math.nan
    if fit.residual_df == 0 and model.two_level and len(model.terms) >= 3:
        if model.orthogonal:
            pse, me, sme = lenth(np.array([2 * fit.b[columns][0] for columns in model.columns.values()]), alpha)
            notes.append("There is no residual, so effects are judged by Lenth's method.")
        else:
            notes.append("There is no residual, and Lenth's method needs a design without missing cells: no p values.")
    m = Margin.parse(margin)
    rules = Rules(better or "lower", None if looks is None else check_looks(looks), alpha)
    terms = Terms(scale, m, float(data["value"].mean()), rules)
    if len(blocks) > 1:
        found = _over_blocks(model, fit, Cells.of(rows, ordered, blocks, scale), terms)
    else:
        found = unblocked_effects(model, fit, terms, pse, me)
    if better is None:
        found = [replace(e, verdict=None) for e in found]
    return Factorial(
        metric=metric or value,
        scale=scale,
        better=better,
        alpha=alpha,
        margin=None if m is None else str(m),
        factors=ordered,
        blocks=max(1, len(blocks)),
        looks=rules.looks,
        family_size=sum(len(names) - 1 for names in ordered.values()),
        rows=len(data),
        rows_lost=len(rows) - len(data),
        mean=float(fit.b[0]),
        effects=tuple(found),
        block_sum_of_squares=fit.squares(model.block_columns) if model.block_columns else None,
        block_df=len(model.block_columns),
        residual_sum_of_squares=fit.residual,
        residual_df=fit.residual_df,
        pse=known(pse),
        margin_of_error=known(me),
        simultaneous_margin_of_error=known(sme),
        main_effects_plot=_plot(data, [(name,) for name in factors], scale),
        interaction_plot=_plot(data, list(itertools.combinations(factors, 2)), scale),
        notes=tuple(notes),
    )


def _rows(
    table: pd.DataFrame,
    *,
    factors: Sequence[str],
    unit: str | None,
    value: str,
    failed: str | None,
    scale: Scale,
    where: str,
) -> pd.DataFrame:
    """Return the columns that are needed, checked; failed rows have no value and say so."""
    needed = [*factors, value, *([unit] if unit else []), *([failed] if failed else [])]
    for name in needed:
        if name not in table.columns:
            raise DataError(f"{where}: no column '{name}'{did_you_mean(name, map(str, table.columns))}")
    if not factors or len(set(needed)) != len(needed):
        raise DataError(f"{where}: columns {', '.join(needed)}; name each factor once, apart from unit and value")
    data = pd.DataFrame({name: table[name].map(label).to_numpy() for name in factors})
    if table[[*factors, *([unit] if unit else [])]].isna().to_numpy().any():
        raise DataError(f"{where}: an empty cell among factors or units; every row needs its levels and its unit")
    data["unit"] = table[unit].to_numpy() if unit else 0
    data["value"] = numbers(table[value], value, where)
    if np.isinf(data["value"]).any():
        raise DataError(f"{where}: infinite values in column '{value}'; leave the cell empty or mark the row as failed")
    if unit and data.duplicated([*factors, "unit"]).any():
        twice = data.loc[data.duplicated([*factors, "unit"]), [*factors, "unit"]].iloc[0]
        raise DataError(
            f"{where}: more than one row for the cell {dict(twice)}; leave out the unit for plain replicates"
        )
    data["failed"] = flags(table[failed], failed, where) if failed else data["value"].isna().to_numpy()
    data["value"] = data["value"].where(~data["failed"])
    if scale == "log" and (data["value"] <= 0).any():
        raise DataError(f"{where}: column '{value}' has values that have no logarithm; use the raw scale")
    return data


def _ordered(names: Sequence[str], first: str | None) -> tuple[str, ...]:
    if all(natural_key(level)[0] == 0 for level in names):
        names = sorted(names, key=natural_key)
    low = {first} if first is not None else LOW_WORDS
    return tuple(sorted(names, key=lambda level: level.lower() not in low and level not in low))


def _over_blocks(model: Model, fit: Fit, cells: Cells, terms: Terms) -> list[Effect]:
    """Return the effects as contrasts: main effects are one family, and interactions another."""
    order = model.levels
    main = {(name, level): cells.effect((name,), level) for name in order for level in order[name][1:]}
    named = {(f"{name}={level}", f"{name}={order[name][0]}"): pairs for (name, level), pairs in main.items()}
    by_factor: dict[str, list[Contrast]] = {name: [] for name in order}
    for (name, _), contrast in zip(main, judged(named, terms), strict=True):
        by_factor[name].append(contrast)
    alone = replace(terms, margin=None)
    found = []
    for term in [*order, *(term for term in model.terms if ":" in term)]:
        names = term.split(":")
        two_level = all(len(order[name]) == 2 for name in names)
        if len(names) == 1:
            contrasts = tuple(by_factor[term])
        elif two_level:
            contrasts = tuple(judged({(f"{term} +", f"{term} -"): cells.effect(tuple(names))}, alone))
        else:
            contrasts = ()
        found.append(_of_contrasts(model, fit, term, contrasts, cells, terms, two_level=two_level))
    interactions = [i for i, e in enumerate(found) if ":" in e.term]
    p = np.array([math.nan if found[i].p_value is None else found[i].p_value for i in interactions], float)
    for i, adjusted in zip(interactions, holm(p) if len(p) else (), strict=True):
        found[i] = replace(found[i], p_holm=known(float(adjusted)))
    return found


def _of_contrasts(
    model: Model, fit: Fit, term: str, contrasts: tuple[Contrast, ...], cells: Cells, terms: Terms, *, two_level: bool
) -> Effect:
    one = contrasts[0] if two_level else None
    f, p = cells.f_test(term.split(":"))
    if one is not None:
        f = one.t**2 if one.t is not None else math.nan
        alone = one.p_sequential if terms.rules.looks is not None else one.p_value
        p = math.nan if alone is None else alone
    adjusted = [c.p_holm for c in contrasts if c.p_holm is not None]
    return Effect(
        term=term,
        estimate=None if one is None else one.estimate,
        ci=Interval(1 - terms.rules.alpha, None, None) if one is None else one.ci,
        sum_of_squares=fit.squares(model.columns[term]) if term in model.columns else None,
        df=math.prod(len(model.levels[name]) - 1 for name in term.split(":")),
        f=known(f),
        p_value=known(p),
        p_holm=min(adjusted, default=None),
        pse=None,
        margin_of_error=None,
        fold_change=None if one is None else one.fold_change.ratio if terms.scale == "log" else None,
        aliases=model.aliases.get(term, ()),
        contrasts=contrasts,
        verdict=one.verdict if one is not None and ":" not in term else None,
    )


def _plot(data: pd.DataFrame, groups: Sequence[tuple[str, ...]], scale: Scale) -> tuple[dict[str, Any], ...]:
    points = []
    for names in groups:
        for key, values in data.groupby(list(names), sort=False)["value"]:
            mean = float(np.exp(np.log(values).mean())) if scale == "log" else float(values.mean())
            points.append({"factors": names, "levels": tuple(key), "mean": mean, "n": len(values)})
    return tuple(sorted(points, key=lambda point: tuple(natural_key(level) for level in point["levels"])))
