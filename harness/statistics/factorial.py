"""Main effects and interactions of factorial designs, with blocks as blocks and Lenth's method without them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.errors import DataError, did_you_mean
from harness.statistics.analysis import Interval, known
from harness.statistics.effect import ByBlock, Effect, Factorial, LevelEffect
from harness.statistics.model_matrix import Fit, Model
from harness.statistics.paired_blocks import Floats, flags, label, natural_key, numbers
from harness.statistics.paired_tests import Summary
from harness.statistics.stopping import holm
from harness.statistics.verdict_rule import Better, Margin, Scale, Verdict, classify

LOW_WORDS = frozenset({"-", "low", "off", "no", "none", "false", "without"})
"""Levels that are a factor's first (-) wherever the table has them."""


def lenth(effects: Floats, alpha: float = 0.05) -> tuple[float, float, float]:
    """Return pseudo standard error, margin of error and simultaneous margin of error of unreplicated effects.

    Lenth (Technometrics 31, 1989): s0 = 1.5 median |e|, PSE = 1.5 median of the |e| below 2.5 s0; ME is the t quantile
    with m / 3 degrees of freedom times PSE, SME the same at (1 + (1 - alpha)^(1/m)) / 2.
    """
    sizes = np.abs(np.asarray(effects, float))
    small = sizes[sizes < 2.5 * 1.5 * np.median(sizes)]
    pse = 1.5 * float(np.median(small)) if len(small) else 0.0
    m = len(sizes)
    reach = stats.t.ppf([1 - alpha / 2, (1 + (1 - alpha) ** (1 / m)) / 2], m / 3)
    return pse, float(reach[0]) * pse, float(reach[1]) * pse


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
    alpha: float = 0.05,
    metric: str | None = None,
    first: Mapping[str, str] | None = None,
    where: str = "table",
) -> Factorial:
    """Return main effects and interactions, their sums of squares, intervals and p values.

    With several blocks the residual of the model with all estimable terms and blocks is the error. Without a residual
    (one block, all terms) two-level designs are judged by Lenth's method; with more levels the interaction of highest
    order serves as the error.

    Args:
        table: One row per trial.
        factors: Columns that hold the levels.
        unit: Column of the blocks; None when rows are plain replicates.
        value: Column of the values.
        failed: Column that says which rows failed.
        scale: ``log`` for effects on ratios.
        better: Which direction is better; None for effects without verdicts.
        margin: The smallest difference that matters; a percentage on the raw scale is of the mean of all values.
        alpha: Error rate of each interval.
        metric: What the values are called in sentences; the column's name by default.
        first: The first level (-) of a factor. By default numbers go by size, words like ``-``, ``low``, ``off``,
            ``none`` come first, and other levels keep the order of the table.
        where: What the table is called in error messages.

    Raises:
        DataError: A column is unknown, a factor has one level, a cell comes twice in a block, or a value cannot be
            used.
    """
    data, lost = _rows(table, factors=factors, unit=unit, value=value, failed=failed, scale=scale, where=where)
    levels = {name: _ordered(data[name].unique().tolist(), (first or {}).get(name)) for name in factors}
    blocks = sorted(data["unit"].unique(), key=natural_key) if unit else []
    model = Model.of(data, levels, blocks)
    notes = list(model.notes)
    y = np.log(data["value"].to_numpy()) if scale == "log" else data["value"].to_numpy()
    fit = model.fit(y)
    if fit.residual_df == 0 and not model.two_level and len(model.terms) > 1:
        model = model.without_last()
        fit = model.fit(y)
        notes.append("There is no residual, so the interaction of highest order serves as the error.")
    pse = me = sme = math.nan
    estimates = (
        np.array([2 * fit.b[columns][0] for columns in model.columns.values()]) if model.two_level else np.empty(0)
    )
    if fit.residual_df == 0 and model.two_level and len(estimates) >= 3:
        if model.orthogonal:
            pse, me, sme = lenth(estimates, alpha)
            notes.append("There is no residual, so effects are judged by Lenth's method.")
        else:
            notes.append("There is no residual, and Lenth's method needs a design without missing cells: no p values.")
    m = Margin.parse(margin)
    asked = _Asked(scale, better, None if m is None else m.on(scale, float(data["value"].mean())), alpha, pse, me)
    told = [_effect(model, fit, term, y, asked) for term in model.terms]
    adjusted = holm([math.nan if e.p_value is None else e.p_value for e in told])
    return Factorial(
        metric=metric or value,
        scale=scale,
        alpha=alpha,
        margin=None if m is None else str(m),
        factors=levels,
        blocks=max(1, len(blocks)),
        rows=len(data),
        rows_lost=lost,
        mean=float(fit.b[0]),
        effects=tuple(replace(e, p_holm=known(p)) for e, p in zip(told, adjusted, strict=True)),
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
) -> tuple[pd.DataFrame, int]:
    wanted = [*factors, value, *([unit] if unit else []), *([failed] if failed else [])]
    for name in wanted:
        if name not in table.columns:
            raise DataError(f"{where}: no column '{name}'{did_you_mean(name, map(str, table.columns))}")
    if not factors or len(set(wanted)) != len(wanted):
        raise DataError(f"{where}: columns {', '.join(wanted)}; name each factor once, apart from unit and value")
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
    if failed:
        data.loc[flags(table[failed], failed, where), "value"] = np.nan
    kept = data.dropna(subset=["value"]).reset_index(drop=True)
    if scale == "log" and (kept["value"] <= 0).any():
        raise DataError(f"{where}: column '{value}' has values that have no logarithm; use the raw scale")
    for name in factors:
        if kept[name].nunique() < 2:
            raise DataError(f"{where}: factor '{name}' has one level only; two or more are needed")
    return kept, len(data) - len(kept)


def _ordered(levels: Sequence[str], first: str | None) -> tuple[str, ...]:
    if all(natural_key(level)[0] == 0 for level in levels):
        levels = sorted(levels, key=natural_key)
    low = {first} if first is not None else LOW_WORDS
    return tuple(sorted(levels, key=lambda level: level.lower() not in low and level not in low))


@dataclass(frozen=True, slots=True)
class _Asked:
    scale: Scale
    better: Better | None
    margin: float | None
    alpha: float
    pse: float
    me: float


def _effect(model: Model, fit: Fit, term: str, y: Floats, asked: _Asked) -> Effect:
    columns = model.columns[term]
    squares, df = fit.squares(columns), len(columns)
    f = p = estimate = math.nan
    outer = inner = (math.nan, math.nan)
    if fit.residual_df and fit.residual > 0:
        f = squares / df / (fit.residual / fit.residual_df)
        p = float(stats.f.sf(f, df, fit.residual_df))
    if all(len(model.levels[name]) == 2 for name in term.split(":")):
        estimate = 2 * float(fit.b[columns[0]])
        outer, inner = _intervals(fit, columns[0], estimate, asked)
        if asked.pse > 0:
            p = float(2 * stats.t.sf(abs(estimate) / asked.pse, len(model.columns) / 3))
    main = not math.isnan(estimate) and term in model.levels
    verdict = None
    if main and asked.better is not None:
        verdict = Verdict(classify(*outer, *inner, margin=asked.margin, better=asked.better).item())
    return Effect(
        term=term,
        estimate=known(estimate),
        ci=Interval(1 - asked.alpha, known(outer[0]), known(outer[1]), "t" if fit.residual_df else "lenth"),
        sum_of_squares=squares,
        df=df,
        f=known(f),
        p_value=known(p),
        p_holm=None,
        pse=known(asked.pse),
        margin_of_error=known(asked.me),
        fold_change=known(math.exp(estimate)) if asked.scale == "log" and not math.isnan(estimate) else None,
        aliases=model.aliases.get(term, ()),
        levels=_level_effects(model, fit, term, asked.alpha) if df > 1 and term in model.levels else (),
        by_block=None if math.isnan(estimate) else _by_block(model, term, y, asked.alpha),
        verdict=verdict,
    )


def _intervals(
    fit: Fit, column: int, estimate: float, asked: _Asked
) -> tuple[tuple[float, float], tuple[float, float]]:
    if not fit.residual_df:
        lenth_interval = (estimate - asked.me, estimate + asked.me)
        return lenth_interval, lenth_interval
    weights = np.zeros(len(fit.b))
    weights[column] = 2.0
    se = fit.se(weights)
    outer, inner = (float(stats.t.isf(tail, fit.residual_df)) * se for tail in (asked.alpha / 2, asked.alpha))
    return (estimate - outer, estimate + outer), (estimate - inner, estimate + inner)


def _plot(data: pd.DataFrame, groups: Sequence[tuple[str, ...]], scale: Scale) -> tuple[dict[str, Any], ...]:
    points = []
    for names in groups:
        for key, values in data.groupby(list(names), sort=False)["value"]:
            mean = float(np.exp(np.log(values).mean())) if scale == "log" else float(values.mean())
            points.append({"factors": names, "levels": tuple(key), "mean": mean, "n": len(values)})
    return tuple(sorted(points, key=lambda point: tuple(natural_key(level) for level in point["levels"])))


def _level_effects(model: Model, fit: Fit, term: str, alpha: float) -> tuple[LevelEffect, ...]:
    columns, names = model.columns[term], model.levels[term]
    coding = np.vstack([-np.ones(len(columns)), np.eye(len(columns))])
    told = []
    for row, name in zip(coding, names, strict=True):
        weights = np.zeros(len(fit.b))
        weights[columns] = row - coding[0]
        difference = float(weights @ fit.b)
        reach = float(stats.t.isf(alpha / 2, fit.residual_df)) * fit.se(weights) if fit.residual_df else math.nan
        ci = Interval(1 - alpha, known(difference - reach), known(difference + reach))
        told.append(LevelEffect(name, float(fit.b[0] + row @ fit.b[columns]), difference, ci))
    return tuple(told)


def _by_block(model: Model, term: str, y: Floats, alpha: float) -> ByBlock | None:
    sign = model.x[:, model.columns[term][0]]
    gaps = [
        float(y[here][sign[here] > 0].mean() - y[here][sign[here] < 0].mean())
        for block in np.unique(model.block_of_row)
        if (here := model.block_of_row == block).sum() == model.most_rows
    ]
    if len(gaps) < 2:
        return None
    summary = Summary(len(gaps), float(np.mean(gaps)), float(np.std(gaps, ddof=1)))
    low, high = summary.interval(alpha)
    return ByBlock(len(gaps), known(summary.t), known(summary.p), known(low), known(high))
