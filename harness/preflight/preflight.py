"""What can be known before any training: which arms differ at all, what they cost, how long a study will take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.data import Dataset, load
from harness.errors import HarnessError
from harness.models import matched_fraction
from harness.models.cost import NetworkCost
from harness.preflight.arm_findings import ArmFindings, plan_of, trained
from harness.preflight.busy_processes import BusyProcesses
from harness.preflight.duration import estimate, first_blocks
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.facts.facts import facts
from harness.preflight.function_class import same_function_class
from harness.preflight.function_probe import (
    EXACT,
    EXACT_AFTER_STEPS,
    Tensors,
    agreement,
    answers,
    course,
    digest,
    probe_inputs,
    same_shapes,
    sample_steps,
)
from harness.preflight.settings_read import changed_settings
from harness.preflight.small_networks import Networks, Shape, shrinking, shrunk
from harness.results.schema import ArmPlan
from harness.study.design import Arm
from harness.study.settings import TrialSettings
from harness.study.study import Study

__all__ = ["Fact", "Preflight", "preflight"]

NOT_COMPARED = ("failures.", "training.steps", "training.batch_size", "training.precision", "data.")
"""Settings that an identity of functions says nothing about; `data.augment` alone is part of the training."""


@dataclass(frozen=True)
class Preflight:
    """What is known of a study before any training."""

    study: str
    arms: tuple[ArmPlan, ...]
    trials: int
    """To be trained up to the first look, or in all blocks."""
    trials_at_most: int
    """Up to the last look."""
    estimated_seconds: float | None
    """Of those up to the first look, on this machine with this many workers; None where nothing was timed."""

    facts: tuple[Fact, ...]

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return dataclasses.asdict(self)


def preflight(
    study: Study,
    arms: Sequence[Arm],
    *,
    cache: Path | None,
    workers: int = 1,
    measure_speed: bool = True,
    device: str = "cpu",
) -> Preflight:
    """Build every arm, compare it with the baseline, and work out what the study costs.

    Nothing is written but the data's cache, and torch's global random stream and threads are left as they were.

    Args:
        study: The study.
        arms: Its arms, the baseline first.
        cache: Folder of rendered data, by content.
        workers: Trials that are computed at the same time.
        measure_speed: Time training steps and evaluations; otherwise nothing is said of time.
        device: The device whose pace is measured.

    Raises:
        HarnessError: The data is missing or broken, or a metric cannot be computed on it.
    """
    company = BusyProcesses(workers) if measure_speed else None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            found = [_built(arm, data) for arm, data in _with_data(arms, cache)]
            _inspect(study, found)
            _compare(study, found)
            known = _facts(found)
            seconds = estimate(study, found, workers, company, device) if company is not None else None
    finally:
        if company is not None:
            company.leave()
        torch.set_num_threads(threads)
    count = sum(trained(study, one) for one in found)
    return Preflight(
        study=study.study,
        arms=tuple(plan_of(study, one) for one in found),
        trials=count * first_blocks(study),
        trials_at_most=count * study.design.most_blocks,
        estimated_seconds=seconds,
        facts=known,
    )


def _with_data(arms: Sequence[Arm], cache: Path | None) -> list[tuple[Arm, Dataset]]:
    """Return each arm with its data set; arms with equal settings share one."""
    loaded: dict[str, Dataset] = {}
    pairs = []
    for arm in arms:
        key = arm.settings.data.model_dump_json()
        if key not in loaded:
            loaded[key] = load(arm.settings.data, cache)
        pairs.append((arm, loaded[key]))
    return pairs


def _built(arm: Arm, data: Dataset) -> ArmFindings:
    return ArmFindings(arm, Shape(len(data.styles), data.paired), data)


def _inspect(study: Study, found: Sequence[ArmFindings]) -> None:
    """Build every arm at its real size: shapes, costs, matched weights, and what is confounded."""
    networks = Networks()
    baseline = found[0]
    for one in found:
        s = one.arm.settings
        try:
            pair = networks.pair(s, one.shape, one.arm.streams(0))
            one.size = networks.cost(pair, s, one.shape)
        except (ValueError, RuntimeError, HarnessError) as error:
            one.invalid = str(error).splitlines()[0]
            continue
        one.pair = pair
        if baseline.pair is not None:
            one.matched = matched_fraction(pair.networks(), baseline.pair.networks())
        if baseline.size is not None and one.size is not None:
            one.confounded = _confounding(one.size, baseline.size, study.confounded_above)


def _confounding(arm: NetworkCost, baseline: NetworkCost, above: float) -> str | None:
    """Return which figures differ by more than a share of the baseline's, or None."""
    words = {
        "parameters_g": "parameters of the generator",
        "parameters_d": "parameters of the discriminator",
        "macs_g": "multiply-adds of the generator",
        "macs_d": "multiply-adds of the discriminator",
    }
    parts = []
    for name, what in words.items():
        a, b = getattr(arm, name), getattr(baseline, name)
        if abs(a - b) > above * b:
            parts.append(f"{what} {b:,} -> {a:,} ({(a - b) / b:+.0%})")
    return "; ".join(parts) or None


def _compare(study: Study, found: Sequence[ArmFindings]) -> None:
    """Look for arms that compute the same as the baseline, or as another arm."""
    baseline = found[0]
    if baseline.size is None or baseline.pair is None:
        return
    factor = shrinking(baseline.size)
    read: set[str] = set()
    small = shrunk(baseline.arm.settings, factor)
    steps = sample_steps(study.training.steps)
    base_answers: Tensors = {}
    base_course: Tensors = {}
    seen: dict[str, ArmFindings] = {}
    for one in found:
        if one.pair is None or one.arm.control in ("a/a", "one-ulp"):
            continue
        s = one.arm.settings
        is_baseline = one is baseline
        changed = changed_settings(s, baseline.arm.settings)
        comparable = not is_baseline and not any(path.startswith(NOT_COMPARED) for path in changed - {"data.augment"})
        mine: set[str] = set()
        try:
            answered = answers(shrunk(s, factor), one.shape, mine)
            if is_baseline:
                base_answers, read = answered, mine
            alike = (
                comparable and agreement(answered, base_answers).worst <= EXACT and same_shapes(one.pair, baseline.pair)
            )
            trained = course(shrunk(s, factor), one.shape, mine, steps if alike or is_baseline else steps[:1])
            if is_baseline:
                base_course = trained
        except (ValueError, RuntimeError, HarnessError) as error:
            one.invalid = _failure(s, one.shape)
            if one.invalid is None:
                one.notes += (f"not compared, because it does not work in float64: {str(error).splitlines()[0]}",)
            continue
        if is_baseline:
            seen[digest(answered)] = one
            continue
        if alike and agreement(trained, base_course).worst <= EXACT_AFTER_STEPS:
            gaps = agreement(answered, base_answers).worst, agreement(trained, base_course).worst
            one.no_op = _identity_in_words(changed, read | mine, gaps, len(steps), factor)
            if changed & (read | mine):
                one.no_op += _rounding_in_words(shrunk(s, factor), small, one.shape)
        else:
            conditions, images = probe_inputs(s, one.shape, torch.float32)
            one.same_class = same_function_class(changed, one.pair, baseline.pair, images, conditions)
            twin = seen.setdefault(digest(answered), one)
            if twin is not one and twin is not baseline and _same_course(one, twin, factor, steps):
                one.notes += (f"the same as arm {twin.arm.name}, bit for bit",)


def _failure(settings: TrialSettings, shape: Shape) -> str | None:
    """Return why an arm cannot take its first step as it is, in float32, or None: users' networks may know no other."""
    try:
        course(settings, shape, set(), [0], torch.float32)
    except (ValueError, RuntimeError, HarnessError) as error:
        return str(error).splitlines()[0]
    return None


def _same_course(one: ArmFindings, twin: ArmFindings, factor: int, steps: Sequence[int]) -> bool:
    """Return whether two arms with equal answers are trained alike too."""
    changed = changed_settings(one.arm.settings, twin.arm.settings)
    if any(path.startswith(NOT_COMPARED) for path in changed - {"data.augment"}):
        return False
    a, b = (course(shrunk(found.arm.settings, factor), found.shape, set(), steps) for found in (one, twin))
    return agreement(a, b).bitwise


def _identity_in_words(
    changed: frozenset[str], read: set[str], gaps: tuple[float, float], steps: int, factor: int
) -> str:
    names = ", ".join(sorted(changed)) or "nothing"
    if not changed & read:
        return f"{names}: never read in this arm, so it changes nothing"
    answered, trained = gaps
    width = f" (networks at 1/{factor} of the width)" if factor > 1 else ""
    figures = (
        "are equal bit for bit in float64"
        if max(gaps) == 0
        else f"are equal in float64: within {answered:.1g} of their size before and {trained:.1g} after training "
        f"(tolerance {EXACT:g} and {EXACT_AFTER_STEPS:g})"
    )
    return f"outputs and gradients of both networks, and all weights after {steps} training steps, {figures}{width}"


def _rounding_in_words(arm: TrialSettings, baseline: TrialSettings, shape: Shape) -> str:
    """Return what is left of an exact identity in the float32 of the training."""
    alone = torch.float32
    a, b = (
        answers(small, shape, set(), alone) | course(small, shape, set(), [0, 1], alone) for small in (arm, baseline)
    )
    gap = agreement(a, b).worst
    return "; in float32 too" if gap == 0 else f"; in float32 rounding leaves differences of up to {gap:.1g}"


def _facts(found: Sequence[ArmFindings]) -> tuple[Fact, ...]:
    baseline = found[0]
    if baseline.size is None:
        return ()
    factor = shrinking(baseline.size)
    return facts(
        [
            Inspected(one.arm.name, s, shrunk(s, factor), one.shape, one.pair, one.size)
            for one in found
            if one.invalid is None and one.pair is not None and one.size is not None
            for s in (one.arm.settings,)
        ]
    )
