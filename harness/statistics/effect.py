"""One effect of a factorial design, and how it is judged without blocks: by the residual, or by Lenth's method."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from harness.statistics.analysis import Contrast, Interval, known
from harness.statistics.contrasts import Terms
from harness.statistics.decisions import FEWEST_EQUIVALENT
from harness.statistics.family import holm, levels
from harness.statistics.model_matrix import Fit, Model
from harness.statistics.paired_blocks import Floats
from harness.statistics.student_t import t_isf, t_sf
from harness.statistics.verdict_rule import Verdict, classify


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One term of the model of a factorial design."""

    term: str
    """Factor names joined by ``:``."""
    estimate: float | None
    """Two-level terms: mean at + minus mean at -, + being the second level in `Factorial.factors` (for interactions:
    where the product of signs is +). Null for terms with more than two levels, which have `contrasts`."""
    ci: Interval
    sum_of_squares: float | None
    """Of this term after all others (type III), of the rows that have a value; null where these cannot tell."""
    df: int
    f: float | None
    p_value: float | None
    """Of this term alone: with blocks, of the effect's variation over blocks; else against the residual or, where there
    is none, by Lenth's method (t with m / 3 degrees of freedom, Lenth 1989)."""
    p_holm: float | None
    """Over all main effects, or over all interactions, and over all looks."""
    pse: float | None
    """Lenth's pseudo standard error, where there is no residual."""
    margin_of_error: float | None
    fold_change: float | None
    """exp(estimate) on the log scale."""
    aliases: tuple[str, ...]
    """Terms that this design cannot tell from this one, with the sign."""
    contrasts: tuple[Contrast, ...]
    """With two or more blocks: of a main effect each level against the first; of an interaction of two-level factors +
    against -."""
    verdict: Verdict | None
    """Of a main effect of two levels where a direction is better; holds over all main effects and all looks."""


def lenth(effects: Floats, alpha: float = 0.05) -> tuple[float, float, float]:
    """Return pseudo standard error, margin of error and simultaneous margin of error of unreplicated effects.

    Lenth (Technometrics 31, 1989): s0 = 1.5 median |e|, PSE = 1.5 median of the |e| below 2.5 s0; ME is the t quantile
    with m / 3 degrees of freedom times PSE, SME the same at (1 + (1 - alpha)^(1/m)) / 2.
    """
    sizes = np.abs(np.asarray(effects, float))
    small = sizes[sizes < 2.5 * 1.5 * np.median(sizes)]
    pse = 1.5 * float(np.median(small)) if len(small) else 0.0
    m = len(sizes)
    reach = scipy.stats.t.ppf([1 - alpha / 2, (1 + (1 - alpha) ** (1 / m)) / 2], m / 3)
    return pse, float(reach[0]) * pse, float(reach[1]) * pse


def unblocked_effects(model: Model, fit: Fit, terms: Terms, pse: float, me: float) -> list[Effect]:
    """Return the effects against the residual of plain replicates, or by Lenth's method."""
    alpha, width = terms.rules.alpha, terms.width()
    two_level = {t: all(len(model.levels[name]) == 2 for name in t.split(":")) for t in model.terms}
    estimates = {t: 2 * float(fit.b[model.columns[t][0]]) if two_level[t] else math.nan for t in model.terms}
    p_values, p_equal, errors = {}, {}, {}
    df = fit.residual_df or len(model.columns) / 3
    enough = fit.residual_df > 0 and len(model.x) >= 2 * FEWEST_EQUIVALENT
    for term, columns in model.columns.items():
        p_values[term] = p_equal[term] = math.nan
        errors[term] = pse
        if fit.residual_df and fit.residual > 0:
            ratio = fit.squares(columns) / len(columns) / (fit.residual / fit.residual_df)
            p_values[term] = float(scipy.stats.f.sf(ratio, len(columns), fit.residual_df))
            weights = np.zeros(len(fit.b))
            weights[columns[0]] = 2.0
            errors[term] = fit.se(weights)
        elif pse > 0:
            p_values[term] = float(2 * t_sf(abs(estimates[term]) / pse, df))
        if width is not None and enough and errors[term] > 0:
            p_equal[term] = float(t_sf((width - abs(estimates[term])) / errors[term], df))
    effects = {}
    main = [term for term in model.terms if term in model.levels]
    for family in (main, [term for term in model.terms if term not in model.levels]):
        p, equal = (np.array([values[term] for term in family], float) for values in (p_values, p_equal))
        if not family:
            continue
        shown = zip(family, holm(p), holm(equal), levels(p, alpha), strict=True)
        for term, p_holm, p_equal_holm, level in shown:
            reach = float(t_isf(level / 2, df)) * errors[term]
            estimate, columns = estimates[term], model.columns[term]
            is_better = (estimate < 0) == (terms.rules.better == "lower")
            judged_here = term in model.levels and two_level[term]
            picked = classify(p_holm <= alpha, p_equal_holm <= alpha, is_better).item()
            f = fit.squares(columns) / len(columns) / (fit.residual / fit.residual_df) if fit.residual > 0 else math.nan
            effects[term] = Effect(
                term=term,
                estimate=known(estimate),
                ci=Interval(
                    1 - level, known(estimate - reach), known(estimate + reach), "t" if fit.residual_df else "lenth"
                ),
                sum_of_squares=fit.squares(columns),
                df=len(columns),
                f=known(f),
                p_value=known(p_values[term]),
                p_holm=known(float(p_holm)),
                pse=known(pse),
                margin_of_error=known(me),
                fold_change=known(math.exp(estimate)) if terms.scale == "log" and not math.isnan(estimate) else None,
                aliases=model.aliases.get(term, ()),
                contrasts=(),
                verdict=Verdict(picked) if judged_here else None,
            )
    return [effects[term] for term in model.terms]
