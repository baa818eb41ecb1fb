"""Error rates of the product's own rules, by simulation: the figures behind ``python -m harness simulate``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.statistics.analysis import plain
from harness.statistics.family import holm
from harness.statistics.group_sequential import boundaries, check_looks, draw_statistics, log_e, sequential_p
from harness.statistics.many_studies import at_looks, draw, judged_studies, running, shared_baseline
from harness.statistics.number_format import aligned
from harness.statistics.power import power_of_equivalence, unmatched_blocks
from harness.statistics.student_t import t_isf, t_sf
from harness.statistics.verdict_rule import Verdict

LOOKS = (6, 9, 12, 16, 20)
EFFECTS = (0.0, 0.5, 1.0, 1.5, 2.0)
SHAPES = ("normal", "t3", "lognormal")
NAIVE_FROM = 4
"""Blocks at which naive peeking, a plain 5 % test after every block, starts."""
BEYOND = 3
"""Blocks beyond the schedule are simulated up to this multiple of the last look."""
MOST_NUMBERS = 2_000_000
"""Errors drawn at a time: 16 MB."""
SHOWN = (Verdict.HELPS, Verdict.HURTS, Verdict.EQUIVALENT, Verdict.NEGLIGIBLE, Verdict.INCONCLUSIVE)


def _shares(verdicts: NDArray[Any]) -> dict[str, float]:
    return {verdict.value: float((verdicts == verdict.value).mean()) for verdict in SHOWN}


@dataclass(frozen=True, slots=True)
class _Setting:
    looks: tuple[int, ...]
    contrasts: int
    margin: float
    correlation: float
    alpha: float
    draws: int
    rng: np.random.Generator

    def chunks(self) -> list[int]:
        """Studies drawn at a time, so that memory stays bounded whatever the number of arms."""
        step = max(1, MOST_NUMBERS // ((self.contrasts + 1) * self.looks[-1]))
        return [min(step, self.draws - start) for start in range(0, self.draws, step)]


def _operating(effect: float, setting: _Setting) -> dict[str, Any]:
    """One arm has the effect, the others none; effects are negative, so that they help where lower is better."""
    looks, alpha, margin = setting.looks, setting.alpha, setting.margin
    arm, fixed, false, trials = [], [], [], []
    for count in setting.chunks():
        errors = draw("normal", (count, setting.contrasts + 1, looks[-1]), setting.rng)
        differences = shared_baseline(errors)
        differences[:, 0] -= effect
        judged = judged_studies(*at_looks(differences, looks), looks, margin, alpha)
        arm.append((judged.verdicts[:, 0], judged.blocks[:, 0], judged.low[:, 0], judged.high[:, 0]))
        fixed.append(judged_studies(*at_looks(differences, looks[-1:]), looks[-1:], margin, alpha).verdicts[:, 0])
        false.append(judged.differs()[:, 1 if effect else 0 :].any(axis=1))
        trials.append(judged.trials)
    verdicts, blocks, low, high = (np.concatenate(part) for part in zip(*arm, strict=True))
    shares = _shares(verdicts)
    found = shares["helps"] + shares["negligible"]
    unmatched = None
    if effect > 0 and alpha < found < 0.9995:
        unmatched = unmatched_blocks(effect, 1.0, setting.correlation, alpha / setting.contrasts, found)
    mean_blocks = float(blocks.mean())
    return {
        "effect": effect,
        "scheduled": shares,
        "mean_blocks": mean_blocks,
        "mean_trials": float(np.concatenate(trials).mean()),
        "coverage": float(((low <= -effect) & (-effect <= high)).mean()),
        "false_difference": float(np.concatenate(false).mean()),
        "fixed": _shares(np.concatenate(fixed)),
        "fixed_blocks": looks[-1],
        "unmatched_blocks": unmatched,
        "unmatched_ratio": None if unmatched is None else unmatched / mean_blocks,
    }


def _type_one(shape: str, setting: _Setting) -> dict[str, Any]:
    looks, alpha, blocks = setting.looks, setting.alpha, BEYOND * setting.looks[-1]
    wrong: dict[str, list[NDArray[np.bool_]]] = {}
    last, n = looks[-1], np.arange(2, blocks + 1)
    step = max(1, MOST_NUMBERS // ((setting.contrasts + 1) * blocks))
    for start in range(0, setting.draws, step):
        size = (min(step, setting.draws - start), setting.contrasts + 1, blocks)
        errors = draw(shape, size, setting.rng)
        differences = errors[:, 1:] if setting.contrasts == 1 else shared_baseline(errors)
        mean, sd = (x[..., 1:] for x in running(differences))
        t = mean / sd * np.sqrt(n)
        p = 2 * t_sf(np.abs(t), n - 1)
        at = np.array(looks) - 2
        any_look = holm(sequential_p(looks, p[..., at])[..., -1]) <= alpha
        evidence = log_e(t, n) >= -math.log(alpha / setting.contrasts)
        found = {
            "scheduled_verdicts": judged_studies(mean[..., at], sd[..., at], looks, setting.margin, alpha).differs(),
            "scheduled_any_look": any_look,
            "fixed": holm(p[..., last - 2]) <= alpha,
            "fixed_uncorrected": p[..., last - 2] <= alpha,
            "naive_at_looks": (p[..., at] <= alpha).any(axis=-1),
            "naive_every_block": (p[..., NAIVE_FROM - 2 : last - 1] <= alpha).any(axis=-1),
            "anytime": evidence.any(axis=-1),
            "scheduled_then_anytime": any_look | evidence[..., last - 1 :].any(axis=-1),
        }
        for name, each in found.items():
            wrong.setdefault(name, []).append(each.any(axis=1))
    return {"errors": shape, "blocks_anytime": blocks} | {k: float(np.concatenate(v).mean()) for k, v in wrong.items()}


def _coverage(n: int, shape: str, alpha: float, rng: np.random.Generator, draws: int) -> dict[str, Any]:
    errors = draw(shape, (draws, n), rng)
    reach = t_isf(alpha / 2, n - 1) * errors.std(axis=1, ddof=1) / math.sqrt(n)
    return {"errors": shape, "blocks": n, "coverage": float((np.abs(errors.mean(axis=1)) <= reach).mean())}


def _equivalence(n: int, margin: float, alpha: float, rng: np.random.Generator, draws: int) -> dict[str, Any]:
    mean, sd = draw_statistics((n,), draws, 0.0, rng)
    reach = t_isf(alpha, n - 1) * sd[:, 0] / math.sqrt(n)
    found = float(((mean[:, 0] - reach > -margin) & (mean[:, 0] + reach < margin)).mean())
    return {"blocks": n, "margin": margin, "simulated": found, "predicted": power_of_equivalence(n, margin, 1.0, alpha)}


def simulate(
    *,
    looks: Sequence[int] = LOOKS,
    contrasts: int = 1,
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
        contrasts: Arms that are compared with the baseline, all sharing its error; one of them has the true effect.
        margin: Half-width of the margin.
        effects: True effects of that arm, each helpful, 0 or more.
        correlation: Between arm and baseline over blocks, for the count of blocks that an unmatched study of fixed size
            would need for the same probability of finding the effect.
        alpha: Error rate over all looks and contrasts.
        repeats: Simulated studies for each figure.
        seed: Of the simulation.

    Returns:
        JSON's own types: `settings`, `operating` (one entry an effect), `type_one` (one a shape of errors), `coverage`
        of fixed-size t intervals, `equivalence_power`.
    """
    schedule = check_looks(looks)
    rng = np.random.default_rng(seed)
    if contrasts < 1:
        raise DataError(f"contrasts: {contrasts} found; one or more are needed")
    setting = _Setting(schedule, contrasts, margin, correlation, alpha, repeats, rng)
    document: dict[str, Any] = plain(
        {
            "settings": {
                "looks": schedule,
                "nominal_p": boundaries(schedule, alpha),
                "contrasts": contrasts,
                "margin": margin,
                "correlation": correlation,
                "alpha": alpha,
                "repeats": repeats,
                "seed": seed,
            },
            "operating": [_operating(e, setting) for e in effects],
            "type_one": [_type_one(shape, setting) for shape in SHAPES],
            "coverage": [_coverage(n, shape, alpha, rng, repeats) for shape in SHAPES for n in (3, 5, 10)],
            "equivalence_power": [_equivalence(n, margin, alpha, rng, repeats) for n in (5, 8, 11, 15, 20)],
        }
    )
    return document


def render_simulation(document: Mapping[str, Any]) -> str:
    """Return the people's text of `simulate`."""
    settings = document["settings"]
    nominal = ", ".join(f"{p:.4f}" for p in settings["nominal_p"])
    arms = "one arm" if settings["contrasts"] == 1 else f"{settings['contrasts']} arms, one of which has the effect"
    head = [
        f"{settings['repeats']:,} simulated studies for each figure.",
        "Differences and margins are in standard deviations of the paired differences.",
        f"Looks at {', '.join(map(str, settings['looks']))} blocks with nominal two-sided p {nominal}; "
        f"margin {settings['margin']:g}; {arms}.",
    ]
    reach = document["type_one"][0]["blocks_anytime"]
    coverage = [("errors", "blocks", "coverage of the t interval")]
    coverage += [(r["errors"], str(r["blocks"]), f"{r['coverage']:.3f}") for r in document["coverage"]]
    shown = ((r["blocks"], r["simulated"], r["predicted"]) for r in document["equivalence_power"])
    power = [("blocks", "equivalence found", "predicted"), *((str(n), f"{a:.3f}", f"{b:.3f}") for n, a, b in shown)]
    parts = [
        "\n".join(head),
        "What the scheduled rule decides\n" + aligned(_operating_rows(document)),
        "unmatched: blocks of fixed number that an unpaired t test needs to find the effect as often, "
        f"at a correlation of {settings['correlation']:g}.",
        f"How often a difference is declared when there is none (anytime-valid: all numbers up to {reach} blocks)\n"
        + aligned(_type_one_rows(document)),
        "Fixed numbers of blocks\n" + aligned(coverage),
        f"Equivalence within {settings['margin']:g} at a true difference of 0\n" + aligned(power),
    ]
    return "\n\n".join(parts)


def _operating_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    last = document["settings"]["looks"][-1]
    verdicts = tuple(verdict.value for verdict in SHOWN)
    rows: list[tuple[str, ...]] = [
        (
            *("true effect", *verdicts, "mean blocks", "trials", "covers", "false difference"),
            *(f"fixed {last}: helps", "equivalent", "unmatched"),
        )
    ]
    for row in document["operating"]:
        unmatched = "-"
        if row["unmatched_blocks"] is not None:
            unmatched = f"{row['unmatched_blocks']} blocks, {row['unmatched_ratio']:.1f} times"
        shares = [*(row["scheduled"][v] for v in verdicts)]
        fixed = [row["fixed"]["helps"], row["fixed"]["equivalent"]]
        cells = [f"{share:.3f}" for share in shares]
        cells += [f"{row['mean_blocks']:.1f}", f"{row['mean_trials']:.1f}"]
        cells += [f"{share:.3f}" for share in (row["coverage"], row["false_difference"], *fixed)]
        rows.append((f"{row['effect']:g}", *cells, unmatched))
    return rows


def _type_one_rows(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    heads = {
        "errors": "errors",
        "scheduled_verdicts": "looks, by verdict",
        "scheduled_any_look": "looks, any",
        "fixed": f"fixed {document['settings']['looks'][-1]}",
        "fixed_uncorrected": "each arm alone",
        "naive_at_looks": "naive at the looks",
        "naive_every_block": f"naive, every block from {NAIVE_FROM}",
        "anytime": "anytime-valid",
        "scheduled_then_anytime": "looks, then anytime-valid",
    }
    rows = [tuple(row[key] if key == "errors" else f"{row[key]:.3f}" for key in heads) for row in document["type_one"]]
    return [tuple(heads.values()), *rows]
