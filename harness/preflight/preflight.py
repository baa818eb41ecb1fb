"""What can be known before any training: which arms differ at all, what they cost, how long a study will take."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness import plugins
from harness.data import Dataset, load
from harness.errors import HarnessError
from harness.metrics.ladder import Rung
from harness.metrics.sensitivity import ladder
from harness.models import matches, own_networks
from harness.models.cost import NetworkCost
from harness.plugins import in_words, place_of
from harness.preflight.arm_findings import ArmFindings, plan_of, trained
from harness.preflight.busy_cores import busy_cores
from harness.preflight.busy_processes import BusyProcesses
from harness.preflight.duration import estimate, first_blocks
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.facts.topics import facts
from harness.preflight.function_class import same_function_class
from harness.preflight.function_probe import course, probe_inputs
from harness.preflight.matching import little_matched
from harness.preflight.no_op import Likeness, ProbedArm, likeness
from harness.preflight.own_networks import breach, too_large_to_try
from harness.preflight.settings_read import changed_settings, own_parts, trained_by_own_code
from harness.preflight.small_networks import Networks, Shape, shrinking, shrunk
from harness.preflight.stage import Announce, stage
from harness.preflight.stage_findings import NO_GPU, arms_found, busy_found, data_found, pace_found, proofs_found
from harness.results.schema import ArmPlan
from harness.study.design import Arm, own_code
from harness.study.study import Study
from harness.trial.device import timed_device
from harness.trial.measured_items import evaluation_of, measured_items

__all__ = ["Fact", "Preflight", "preflight"]


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
    training_items: int
    """That the baseline is trained on."""
    ladder: tuple[Rung, ...] = ()
    """What known damages to the study's own held-out images cost by each of its metrics."""

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return dataclasses.asdict(self)


def preflight(
    study: Study,
    arms: Sequence[Arm],
    *,
    cache: Path | None,
    workers: int = 1,
    alone: bool = False,
    measure_speed: bool = True,
    announce: Announce = lambda _: None,
) -> Preflight:
    """Build every arm, compare it with the baseline, and work out what the study costs.

    Nothing is written but the data's cache, and torch's global random stream and threads are left as they were.

    Args:
        study: The study.
        arms: Its arms, the baseline first.
        cache: Folder of rendered data, by content.
        workers: Trials that are computed at the same time.
        alone: This process will compute them itself, so that there is no other whose start takes time.
        measure_speed: Time training steps and evaluations, and damage held-out images; otherwise nothing is said of
            time, nor of what the metrics see.
        announce: Called as each stage begins, and as it ends with what it found.

    Raises:
        HarnessError: The data or a user's own code is missing or broken, or a metric cannot be computed on it.
    """
    for door in own_code(study, arms):
        plugins.load(door)
    busy_before = busy_cores() if measure_speed else None
    busy = BusyProcesses(workers) if measure_speed and not alone else None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            with stage("data", announce) as say:
                every = [
                    ArmFindings(arm, Shape(len(data.styles), data.sourced, data.train.aligned), data)
                    for arm, data in _with_data(arms, cache)
                ]
                say(data_found(every[0].data))
            with stage("arms", announce) as say:
                _inspect(study, every)
                say(arms_found(every))
            with stage("proofs", announce) as say:
                _compare(every)
                known = _facts(every)
                say(proofs_found(every))
            rungs: tuple[Rung, ...] = ()
            seconds = None
            if measure_speed:
                with stage("metrics", announce) as say:
                    rungs = _ladder(study, every[0], cache)
                    damages = len({rung.damage for rung in rungs})
                    say(f"{len(study.measure.metrics)} metrics; {damages} known damages to held-out images measured")
                with stage("pace", announce) as say:
                    device = timed_device(study.runner.gpus)
                    if device is not None:
                        seconds = estimate(study, every, workers, busy, device)
                    say(pace_found(every) if device is not None else NO_GPU)
                    say(others := busy_found(busy_before), warning=bool(others))
    finally:
        if busy is not None:
            busy.leave()
        torch.set_num_threads(threads)
    count = sum(trained(study, findings) for findings in every)
    return Preflight(
        study=study.study,
        arms=tuple(plan_of(study, findings) for findings in every),
        trials=count * first_blocks(study),
        trials_at_most=count * study.design.most_blocks,
        estimated_seconds=seconds,
        facts=known,
        training_items=len(every[0].data.train),
        ladder=rungs,
    )


CARD_IMAGES = 128
"""Held-out images that are damaged, at most: a card is read for its order, not for its digits."""


def _ladder(study: Study, baseline: ArmFindings, cache: Path | None) -> tuple[Rung, ...]:
    plan = study.measure.model_copy(update={"images": min(study.measure.images, CARD_IMAGES), "generated": None})
    items = measured_items(baseline.data, plan, None)
    return ladder(plan.measured, evaluation_of(items.real, items, baseline.data, cache))


def _with_data(arms: Sequence[Arm], cache: Path | None) -> list[tuple[Arm, Dataset]]:
    """Return each arm with its data set; arms with equal settings share one."""
    loaded: dict[str, Dataset] = {}
    pairs = []
    for arm in arms:
        key = arm.settings.data.model_dump_json()
        if key not in loaded:
            loaded[key] = load(arm.settings.data, cache)
            if not loaded[key].same_heldout(loaded[arms[0].settings.data.model_dump_json()]):
                raise HarnessError(
                    f"arm {arm.name}: its data holds out other images than the baseline's, and arms can only be "
                    "compared on the same ones; hold the same items out whatever the options"
                )
        pairs.append((arm, loaded[key]))
    return pairs


def _inspect(study: Study, arms: Sequence[ArmFindings]) -> None:
    """Build every arm at its real size: shapes, costs, matched weights, and what is confounded."""
    networks = Networks()
    baseline = arms[0]
    for findings in arms:
        s = findings.arm.settings
        try:
            pair = networks.pair(s, findings.shape, findings.arm.streams(0), baseline.pair)
            if own_networks(s):
                findings.invalid, findings.notes = breach(pair, s, findings.shape)
                if findings.invalid is not None:
                    continue
            findings.size = networks.cost(pair, s, findings.shape)
        except (ValueError, RuntimeError, HarnessError) as error:
            findings.invalid = _first_line(error)
            continue
        findings.pair = pair
        if baseline.pair is not None:
            findings.matches = matches(pair.networks(), baseline.pair.networks(), own=own_networks(s))
            if findings.arm.control != "a/a":
                findings.notes += little_matched(findings.matches)
        if baseline.size is not None:
            findings.confounded = _confounding(findings.size, baseline.size, study.confounded_above)


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


def _compare(arms: Sequence[ArmFindings]) -> None:
    """Look for arms that compute the same as the baseline, or as another arm."""
    baseline = arms[0]
    if baseline.size is None or baseline.pair is None:
        return
    width = shrinking(baseline.size)
    reference = _probed(baseline, width)
    seen: dict[str, tuple[str, ProbedArm]] = {}
    for findings in arms:
        if findings.pair is None or findings.arm.control in ("a/a", "one-ulp"):
            continue
        sizes = ((x.arm.settings, x.size) for x in (baseline, findings) if x.size is not None)
        if large := next(filter(None, itertools.starmap(too_large_to_try, sizes)), None):
            findings.notes += (large,)
            continue
        probed = reference if findings is baseline else _probed(findings, width)
        try:
            if findings is baseline:
                _ = reference.course
                seen[reference.digest] = "baseline", reference
                continue
            alike = likeness(probed, reference, "the baseline")
            if alike == Likeness():
                probed.first_step()
        except Exception as error:
            if not isinstance(error, EXPECTED) and not trained_by_own_code(findings.arm.settings):
                raise
            findings.invalid = _failure(findings)
            if findings.invalid is None:
                findings.notes += (f"not compared, because it does not work in float64: {_first_line(error)}",)
            continue
        findings.no_op = alike.proof
        if alike.note is not None:
            findings.notes += (alike.note,)
        if alike.proof is None:
            findings.same_class = _same_class(findings, baseline)
            name, twin = seen.setdefault(probed.digest, (findings.arm.name, probed))
            comparable = twin not in (probed, reference) and not trained_by_own_code(findings.arm.settings)
            if comparable and likeness(probed, twin, name).bitwise:
                findings.notes += (f"the same as arm {name}, bit for bit",)


def _probed(findings: ArmFindings, width: int) -> ProbedArm:
    assert findings.pair is not None
    settings = findings.arm.settings
    return ProbedArm(settings, shrunk(settings, width), findings.shape, findings.pair, width=width)


def _same_class(findings: ArmFindings, baseline: ArmFindings) -> str | None:
    """Return why two discriminators can compute the same functions; nothing is said of code of a user's own."""
    settings = findings.arm.settings
    assert findings.pair is not None
    assert baseline.pair is not None
    if own_parts(settings) & {"discriminator"}:
        return None
    conditions, images = probe_inputs(settings, findings.shape, torch.float32)
    changed = changed_settings(settings, baseline.arm.settings)
    return same_function_class(changed, findings.pair, baseline.pair, images, conditions)


def _failure(findings: ArmFindings) -> str | None:
    """Return why an arm cannot take its first step as it is, in float32, or None: users' networks may know no other."""
    try:
        course(findings.arm.settings, findings.shape, set(), [0], torch.float32)
    except Exception as error:
        if isinstance(error, EXPECTED):
            return _first_line(error)
        if trained_by_own_code(findings.arm.settings):
            return f"the first training step raised {in_words(error)}"
        raise
    return None


EXPECTED = (ValueError, RuntimeError, HarnessError)
"""What settings that do not go together raise; users' own code may raise anything."""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0] + place_of(error)


def _facts(arms: Sequence[ArmFindings]) -> tuple[Fact, ...]:
    """Return what can be said of settings; nothing of arms that a loop of a user's own trains."""
    told = [x for x in arms if x.invalid is None and "training" not in own_parts(x.arm.settings)]
    inspected = [(x, x.pair, x.size) for x in told if x.pair is not None and x.size is not None]
    if not inspected or inspected[0][0] is not arms[0]:
        return ()
    width = shrinking(inspected[0][2])
    return facts(
        [
            Inspected(x.arm.name, x.arm.settings, shrunk(x.arm.settings, width), x.shape, pair, size, x.data)
            for x, pair, size in inspected
        ]
    )
