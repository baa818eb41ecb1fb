"""Error rates of the product's own rules, by simulation: the figures behind ``python -m harness simulate``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.statistics import group_sequential as looking
from harness.statistics.analysis import plain
from harness.statistics.number_format import aligned
from harness.statistics.paired_blocks import Floats
from harness.statistics.power import power_of_equivalence, unmatched_blocks
from harness.statistics.verdict_rule import Verdict, classify

LOOKS = (6, 9, 12, 16, 20)
EFFECTS = (0.0, 0.5, 1.0, 1.5, 2.0)
SHAPES = ("normal", "t3", "lognormal")
NAIVE_FROM = 4
"""Blocks at which naive peeking, a plain 5 % test after every block, starts."""
BEYOND = 3
"""Blocks beyond the schedule are simulated up to this multiple of the last look."""
SHOWN = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT, Verdict.NEGLIGIBLE, Verdict.INCONCLUSIVE)


def draw(shape: str, draws: int, blocks: int, rng: np.random.Generator) -> Floats:
    """Return errors of mean 0 and standard deviation 1, shape (draws, blocks).

    ``t3`` has heavy tails (t with 3 degrees of freedom), ``lognormal`` is skewed (sigma 0.5: skewness 1.75).
    """
    if shape == "normal":
        return rng.standard_normal((draws, blocks))
    if shape == "t3":
        return np.asarray(rng.standard_t(3, (draws, blocks)) / math.sqrt(3))
    sigma = 0.5
    mean, sd = math.exp(sigma**2 / 2), math.sqrt(math.expm1(sigma**2)) * math.exp(sigma**2 / 2)
    return np.asarray((rng.lognormal(0.0, sigma, (draws, blocks)) - mean) / sd)


def running(differences: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation after each block, each of the shape of `differences`; NaN after the first."""
    n = np.arange(1, differences.shape[1] + 1)
    mean = np.cumsum(differences, axis=1) / n
    squares = np.cumsum(differences**2, axis=1) - n * mean**2
    sd = np.full_like(mean, np.nan)
    sd[:, 1:] = np.sqrt(np.maximum(squares[:, 1:], 0.0) / (n[1:] - 1))
    return mean, sd


def scheduled(
    mean: Floats, sd: Floats, looks: tuple[int, ...], margin: float | None, alpha: float
) -> tuple[NDArray[Any], NDArray[np.int64], Floats, Floats]:
    """Return verdict, look (from 0), and the interval at the look that decides, for many studies at once.

    Args:
        mean: Means at the looks, shape (studies, looks).
        sd: Standard deviations at the looks, the same shape.
        looks: The schedule.
        margin: Half-width of the margin.
        alpha: Error rate over all looks.
    """
    n, nominal = np.array(looks), np.array(looking.boundaries(looks, alpha))
    reach = stats.t.isf(nominal / 2, n - 1) * sd / np.sqrt(n)
    low, high = mean - reach, mean + reach
    verdicts = classify(low, high, low, high, margin=margin, better="lower")
    decided = verdicts != Verdict.INCONCLUSIVE.value
    at = np.where(decided.any(axis=1), decided.argmax(axis=1), len(looks) - 1)
    rows = np.arange(len(mean))
    return verdicts[rows, at], at, low[rows, at], high[rows, at]


def _shares(verdicts: NDArray[Any]) -> dict[str, float]:
    return {verdict.value: float((verdicts == verdict.value).mean()) for verdict in SHOWN}


@dataclass(frozen=True, slots=True)
class _Setting:
    looks: tuple[int, ...]
    margin: float
    correlation: float
    alpha: float
    draws: int
    rng: np.random.Generator


def _operating(effect: float, asked: _Setting) -> dict[str, Any]:
    """Effects are negative, so that they help where lower is better."""
    looks, margin, alpha = asked.looks, asked.margin, asked.alpha
    mean, sd = looking.draw_statistics(looks, asked.draws, -effect, asked.rng)
    verdicts, at, low, high = scheduled(mean, sd, looks, margin, alpha)
    last = looks[-1]
    se = sd[:, -1] / math.sqrt(last)
    wide, narrow = (float(stats.t.isf(tail, last - 1)) * se for tail in (alpha / 2, alpha))
    end = mean[:, -1]
    fixed = classify(end - wide, end + wide, end - narrow, end + narrow, margin=margin, better="lower")
    shares = _shares(verdicts)
    found = shares["helps"] + shares["negligible"]
    unmatched = None
    if effect > 0 and alpha < found < 0.9995:
        unmatched = unmatched_blocks(effect, 1.0, asked.correlation, alpha, found)
    blocks = float(np.array(looks)[at].mean())
    return {
        "effect": effect,
        "scheduled": shares,
        "mean_blocks": blocks,
        "coverage": float(((low <= -effect) & (-effect <= high)).mean()),
        "mean_estimate_last_look": float(-end.mean()),
        "fixed": _shares(fixed),
        "fixed_blocks": last,
        "unmatched_blocks": unmatched,
        "unmatched_ratio": None if unmatched is None else unmatched / blocks,
    }


def _type_one(shape: str, asked: _Setting) -> dict[str, Any]:
    looks, alpha = asked.looks, asked.alpha
    errors = draw(shape, asked.draws, BEYOND * looks[-1], asked.rng)
    mean, sd = running(errors)
    n = np.arange(1, errors.shape[1] + 1)
    t = np.abs(mean[:, 1:] / sd[:, 1:] * np.sqrt(n[1:]))
    p = 2 * stats.t.sf(t, n[1:] - 1)
    at_looks = np.array(looks) - 1
    p_looks = p[:, at_looks - 1]
    verdicts, _, _, _ = scheduled(mean[:, at_looks], sd[:, at_looks], looks, asked.margin, alpha)
    any_look = (p_looks <= np.array(looking.boundaries(looks, alpha))).any(axis=1)
    x = t**2 / (n[1:] - 1)
    log_e = -0.5 * np.log1p(n[1:]) + n[1:] / 2 * (np.log1p(x) - np.log1p(x / (1 + n[1:])))
    evidence = log_e >= -math.log(alpha)
    differs = np.isin(verdicts, [Verdict.HELPS.value, Verdict.HURTS.value, Verdict.NEGLIGIBLE.value])
    last = looks[-1]
    return {
        "errors": shape,
        "scheduled_verdicts": float(differs.mean()),
        "scheduled_any_look": float(any_look.mean()),
        "fixed": float((p[:, last - 2] <= alpha).mean()),
        "naive_at_looks": float((p_looks <= alpha).any(axis=1).mean()),
        "naive_every_block": float((p[:, NAIVE_FROM - 2 : last - 1] <= alpha).any(axis=1).mean()),
        "anytime": float(evidence.any(axis=1).mean()),
        "scheduled_then_anytime": float((any_look | evidence[:, last - 1 :].any(axis=1)).mean()),
        "blocks_anytime": int(n[-1]),
    }


def _coverage(n: int, shape: str, alpha: float, rng: np.random.Generator, draws: int) -> dict[str, Any]:
    errors = draw(shape, draws, n, rng)
    reach = stats.t.isf(alpha / 2, n - 1) * errors.std(axis=1, ddof=1) / math.sqrt(n)
    return {"errors": shape, "blocks": n, "coverage": float((np.abs(errors.mean(axis=1)) <= reach).mean())}


def _equivalence(n: int, margin: float, alpha: float, rng: np.random.Generator, draws: int) -> dict[str, Any]:
    mean, sd = looking.draw_statistics((n,), draws, 0.0, rng)
    reach = stats.t.isf(alpha, n - 1) * sd[:, 0] / math.sqrt(n)
    found = float(((mean[:, 0] - reach > -margin) & (mean[:, 0] + reach < margin)).mean())
    return {"blocks": n, "margin": margin, "simulated": found, "predicted": power_of_equivalence(n, margin, 1.0, alpha)}


def simulate(
    *,
    looks: Sequence[int] = LOOKS,
    margin: float = 1.0,
    effects: Sequence[float] = EFFECTS,
    correlation: float = 0.5,
    alpha: float = 0.05,
    repeats: int = 20_000,
    seed: int = 1,
) -> dict[str, Any]:
    """Return error rates, coverage and expected numbers of blocks of the scheduled rule, naive peeking beside.

    All effects and margins are in standard deviations of the paired differences, so that the figures hold for any
    metric. The standard error of a share is at most 0.5 / sqrt(repeats).

    Args:
        looks: Schedule of looks in blocks.
        margin: Half-width of the margin.
        effects: True effects, each helpful, 0 or more.
        correlation: Between arm and baseline over blocks, for the count of blocks that an unmatched study of fixed size
            would need for the same probability of finding the effect.
        alpha: Error rate over all looks.
        repeats: Simulated studies for each figure.
        seed: Of the simulation.

    Returns:
        JSON's own types: `settings`, `operating` (one entry an effect), `type_one` (one a shape of errors), `coverage`
        of fixed-size t intervals, `equivalence_power`.
    """
    schedule = looking.check_looks(looks)
    rng = np.random.default_rng(seed)
    asked = _Setting(schedule, margin, correlation, alpha, repeats, rng)
    document: dict[str, Any] = plain(
        {
            "settings": {
                "looks": schedule,
                "nominal_p": looking.boundaries(schedule, alpha),
                "margin": margin,
                "correlation": correlation,
                "alpha": alpha,
                "repeats": repeats,
                "seed": seed,
            },
            "operating": [_operating(e, asked) for e in effects],
            "type_one": [_type_one(shape, asked) for shape in SHAPES],
            "coverage": [_coverage(n, shape, alpha, rng, repeats) for shape in SHAPES for n in (3, 5, 10)],
            "equivalence_power": [_equivalence(n, margin, alpha, rng, repeats) for n in (5, 8, 11, 15, 20)],
        }
    )
    return document


def render_simulation(document: Mapping[str, Any]) -> str:
    """Return the people's text of `simulate`."""
    asked = document["settings"]
    nominal = ", ".join(f"{p:.4f}" for p in asked["nominal_p"])
    head = [
        f"{asked['repeats']:,} simulated studies for each figure.",
        "Differences and margins are in standard deviations of the paired differences.",
        f"Looks at {', '.join(map(str, asked['looks']))} blocks with nominal two-sided p {nominal}; "
        f"margin {asked['margin']:g}.",
    ]
    reach = document["type_one"][0]["blocks_anytime"]
    coverage = [("errors", "blocks", "coverage of the t interval")]
    coverage += [(r["errors"], str(r["blocks"]), f"{r['coverage']:.3f}") for r in document["coverage"]]
    found = ((r["blocks"], r["simulated"], r["predicted"]) for r in document["equivalence_power"])
    power = [("blocks", "equivalence found", "predicted"), *((str(n), f"{a:.3f}", f"{b:.3f}") for n, a, b in found)]
    parts = [
        "\n".join(head),
        "What the scheduled rule decides\n" + aligned(_operating_rows(document)),
        "unmatched: blocks of fixed number that an unpaired t test needs to find the effect as often, "
        f"at a correlation of {asked['correlation']:g}.",
        f"How often a difference is declared when there is none (anytime-valid: all numbers up to {reach} blocks)\n"
        + aligned(_type_one_rows(document)),
        "Fixed numbers of blocks\n" + aligned(coverage),
        f"Equivalence within {asked['margin']:g} at a true difference of 0\n" + aligned(power),
    ]
    return "\n\n".join(parts)


def _operating_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    last = document["settings"]["looks"][-1]
    verdicts = tuple(verdict.value for verdict in SHOWN)
    rows: list[tuple[str, ...]] = [
        ("true effect", *verdicts, "mean blocks", "covers", f"fixed {last}: helps", "equivalent", "unmatched")
    ]
    for row in document["operating"]:
        unmatched = "-"
        if row["unmatched_blocks"] is not None:
            unmatched = f"{row['unmatched_blocks']} blocks, {row['unmatched_ratio']:.1f} times"
        shares = [*(row["scheduled"][v] for v in verdicts)]
        fixed = [row["fixed"]["helps"], row["fixed"]["equivalent"]]
        cells = [f"{share:.3f}" for share in (*shares, row["coverage"], *fixed)]
        cells.insert(len(shares), f"{row['mean_blocks']:.1f}")
        rows.append((f"{row['effect']:g}", *cells, unmatched))
    return rows


def _type_one_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    heads = {
        "errors": "errors",
        "scheduled_verdicts": "looks, by verdict",
        "scheduled_any_look": "looks, any",
        "fixed": f"fixed {document['settings']['looks'][-1]}",
        "naive_at_looks": "naive at the looks",
        "naive_every_block": f"naive, every block from {NAIVE_FROM}",
        "anytime": "anytime-valid",
        "scheduled_then_anytime": "looks, then anytime-valid",
    }
    rows = [tuple(row[key] if key == "errors" else f"{row[key]:.3f}" for key in heads) for row in document["type_one"]]
    return [tuple(heads.values()), *rows]
