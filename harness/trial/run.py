"""One trial: settings and block in, rows out; the only place where data, networks, training and metrics meet."""

from __future__ import annotations

import io
import json
import math
import statistics
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from harness.data import Dataset, load
from harness.metrics import measure, to_unit_range
from harness.models import NetworkPair, build_pair, matched_fraction, matches, own_networks, place
from harness.models.cost import cost
from harness.provenance import code_version, package_versions
from harness.results.schema import Row, TrialRows
from harness.study.settings import TrialSettings
from harness.trial import checkpoints
from harness.trial.diagnostics import diversity, layer_norms, oscillation, overfitting
from harness.trial.evaluated_networks import generate, trained_networks
from harness.trial.measured_items import MeasuredItems, evaluation_of, measured_items
from harness.trial.peak_memory import Peak
from harness.trial.task import TrialProgress, TrialTask
from harness.trial.trainer import Progress, Trainer
from harness.trial.training import train

SHOWN = 12
"""Held-out items in the strips of samples."""
PROGRESS_EVERY = 0.2
"""Seconds between signs of progress, if steps are shorter."""


class Diverged(Exception):  # noqa: N818 - an outcome, not an error
    """A loss or an image is no longer finite, or beyond the study's limit."""

    def __init__(self, step: int, what: str) -> None:
        self.step = step
        super().__init__(what)


def run_trial(
    task: TrialTask,
    *,
    cache: Path,
    checkpoint: Path | None = None,
    checkpoint_every: float = 60.0,
    device: str = "cpu",
) -> Generator[TrialProgress, None, TrialRows]:
    """Compute one trial, yielding its progress a few times a second at the most; closed early, it leaves a checkpoint.

    Args:
        task: The trial; equal tasks give equal rows, but for the columns that depend on the machine's pace.
        cache: Folder of rendered data and real statistics, by content.
        checkpoint: File to go on from, and to leave the state in; None keeps none.
        checkpoint_every: Seconds of training between checkpoints.
        device: A torch device.

    Returns:
        The trial's rows.
    """
    started, clock, peak = datetime.now(UTC), time.perf_counter(), Peak(device)
    s = task.settings
    data = load(s.data, cache)
    items = measured_items(data, task.measure, s.latent)
    pair, matched = _matched_pair(task, len(data.styles))
    if task.control == "one-ulp":
        _move_one_ulp(pair)
    size = cost(pair, items.conditions.map(lambda x: x[:1]))
    trainer = Trainer(_placed(pair, s, device), s, data.train, block=task.streams)
    course = _Course(task, items, data, cache)
    if checkpoint is not None and (saved := checkpoints.load(checkpoint, course.key, device)) is not None:
        course.resume(saved, trainer)
    status, error, failed_at = "complete", None, None
    try:
        yield from course.follow(trainer, checkpoint, checkpoint_every)
        status, error, failed_at = course.collapse()
    except Diverged as outcome:
        status, error, failed_at = "diverged", str(outcome), outcome.step
    except torch.OutOfMemoryError as outcome:
        status, error, failed_at = "oom", str(outcome).splitlines()[0], trainer.step + 1
    finals = {} if status in ("diverged", "oom") else course.finals()
    row: Row = {
        **task.row(),
        "status": status,
        "error": error,
        "failed_at_step": failed_at,
        **finals,
        "epochs": s.training.steps * s.training.discriminator_steps * s.training.batch_size / len(data.train),
        "oscillation_d": oscillation([signal["loss_d"] for signal in course.signals]),
        "oscillation_g": oscillation([signal["loss_g"] for signal in course.signals]),
        "parameters_g": size.parameters_g,
        "parameters_d": size.parameters_d,
        "macs_g": size.macs_g,
        "macs_d": size.macs_d,
        **matched,
        "seconds_per_step": statistics.median(course.step_seconds) if course.step_seconds else None,
        "wall_seconds": time.perf_counter() - clock,
        "peak_bytes": peak.bytes(),
        "started_at": started,
        "code_version": code_version(task.doors),
        "packages": json.dumps(package_versions()),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "threads": torch.get_num_threads(),
        "data_hash": data.hash,
        "heldout_hash": data.heldout_hash,
        "feature_id": course.feature_id(),
    }
    return TrialRows(row, course.measurements(), tuple(course.signals), course.pictures(trainer.measured))


class _Course:
    """What a trial collects on its way: measurements, signals, times."""

    def __init__(self, task: TrialTask, items: MeasuredItems, data: Dataset, cache: Path) -> None:
        self.task, self.items, self.data, self.cache = task, items, data, cache
        self.key = f"{task.study_hash}/{task.trial_id}/{data.hash}/{code_version(task.doors)}"
        self.at = task.measure.steps(task.settings.training.steps)
        self.rows: list[Row] = []
        self.signals: list[Row] = []
        self.step_seconds: list[float] = []

    def resume(self, saved: dict[str, Any], trainer: Trainer) -> None:
        """Go on from a checkpoint."""
        trainer.load_state(saved["trainer"])
        self.rows, self.signals = json.loads(saved["rows"]), json.loads(saved["signals"])

    def state(self, trainer: Trainer) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"trainer": trainer.state(), "rows": json.dumps(self.rows), "signals": json.dumps(self.signals)}

    def follow(self, trainer: Trainer, checkpoint: Path | None, every: float) -> Iterator[TrialProgress]:
        """Train to the horizon, measuring on the way, and yield where it is, now and then.

        Raises:
            Diverged: A loss beyond the study's limit, or images that are not finite.
        """
        s = self.task.settings
        log_every = max(1, s.training.steps // self.task.measure.signals)
        clock = saved = yielded = time.perf_counter()
        unread: list[Progress] = []
        for progress in train(trainer, log_every=log_every):
            unread.append(progress)
            now = time.perf_counter()
            save = checkpoint is not None and now - saved > every
            say = now - yielded > PROGRESS_EVERY or progress.step == s.training.steps
            if trainer.asynchronous and not (progress.signals or progress.step in self.at or save or say):
                continue
            losses = [(each.step, float(each.loss_d), float(each.loss_g)) for each in unread]
            unread.clear()
            now = time.perf_counter()
            self.step_seconds += [(now - clock) / len(losses)] * len(losses)
            self._check(losses)
            _, loss_d, loss_g = losses[-1]
            if progress.signals:
                self.signals.append({"step": progress.step, "loss_d": loss_d, "loss_g": loss_g, **progress.signals})
            if progress.step in self.at:
                self._measure(trainer, progress.step)
            if save and checkpoint is not None:
                checkpoints.save(checkpoint, self.key, self.state(trainer))
                saved = time.perf_counter()
            if say:
                yielded = now
                try:
                    yield TrialProgress(self.task.trial_id, progress.step, s.training.steps, loss_d, loss_g)
                except GeneratorExit:
                    if checkpoint is not None:
                        checkpoints.save(checkpoint, self.key, self.state(trainer))
                    raise
            clock = time.perf_counter()

    def _check(self, losses: Sequence[tuple[int, float, float]]) -> None:
        """Look at the losses of some steps.

        Raises:
            Diverged: One is beyond the study's limit.
        """
        for step, loss_d, loss_g in losses:
            if not all(abs(loss) <= self.task.settings.failures.loss_limit for loss in (loss_d, loss_g)):
                raise Diverged(step, f"losses {loss_d:.4g} and {loss_g:.4g} at step {step}")

    def _measure(self, trainer: Trainer, step: int) -> None:
        """Measure the generator on the held-out items, leaving the training as it was."""
        images = generate(trainer.measured, self.items.conditions, trainer.device)
        if not images.isfinite().all():
            raise Diverged(step, f"images that are not finite at step {step}")
        networks = trained_networks(
            trainer.measured, trainer.pair.discriminator, self.items.conditions, self.items.of_real, trainer.device
        )
        evaluation = evaluation_of(images, self.items, self.data, self.cache, networks, trainer.device)
        for measured in measure(self.task.measure.measured, evaluation):
            self.rows.append(
                {"trial_id": self.task.trial_id, "step": step, "metric": measured.metric, **measured.columns()}
            )
        seen = trainer.batch(0, "signals")
        to_device = self.items.conditions.map(lambda x: x.to(trainer.device))
        heldout = (to_device, self.items.real.to(trainer.device))
        self.signals[-1] |= {
            "diversity": diversity(images) / max(diversity(self.items.real), 1e-12),
            **layer_norms(trainer.pair.discriminator),
            **overfitting(trainer.pair.discriminator, seen, heldout, images.to(trainer.device)),
        }

    def collapse(self) -> tuple[str, str | None, int | None]:
        """Return status, message and step by the study's definition of collapse."""
        floor = self.task.settings.failures.diversity_floor
        below: int | None = None
        for row in self.signals:
            share = row.get("diversity")
            if share is not None:
                below = (below or row["step"]) if share < floor else None
        if below is None:
            return "complete", None, None
        return "collapsed", f"samples vary by less than {floor:g} of the real images' variety since step {below}", below

    def finals(self) -> dict[str, float | None]:
        """Return the value of each metric at the horizon."""
        return {row["metric"]: row["value"] for row in self.rows if row["step"] == self.at[-1]}

    def feature_id(self) -> str | None:
        """Return the identity of the primary metric's features."""
        primary = self.task.measure.primary
        return next((row["feature_id"] for row in self.rows if row["metric"] == primary), None)

    def measurements(self) -> tuple[Row, ...]:
        """Return a row for each step and metric of the study; those that were not reached have no value."""
        reached = {(row["step"], row["metric"]) for row in self.rows}
        missing = [
            {"trial_id": self.task.trial_id, "step": step, "metric": metric, "value": None}
            for step in self.at
            for metric in self.task.measure.measured
            if (step, metric) not in reached
        ]
        return (*self.rows, *missing)

    def pictures(self, generator: nn.Module) -> dict[str, bytes]:
        """Return strips of the first measured items as PNG files: source, if there is one, target and generated."""
        shown = self.items.conditions.map(lambda x: x[:SHOWN])
        strips = {"generated": generate(generator, shown, next(generator.parameters()).device)}
        if shown.source is not None:
            strips["source"] = shown.source
        strips["target"] = self.items.real[:SHOWN]
        return {name: png_strip(images) for name, images in strips.items()}


def _matched_pair(task: TrialTask, styles: int) -> tuple[NetworkPair, dict[str, float]]:
    """Return the trial's networks, and the shares of their parameters that are bit-equal to the baseline's."""
    s = task.settings
    if s == task.baseline and task.control != "a/a":
        pair = build_pair(s, styles=styles, block=task.streams)
        return pair, {"matched_fraction": 1.0, "matched_fraction_g": 1.0, "matched_fraction_d": 1.0}
    baseline = build_pair(task.baseline, styles=styles, block=task.baseline_streams)
    pair = build_pair(s, styles=styles, block=task.streams, baseline=baseline)
    found = matches(pair.networks(), baseline.networks(), own=own_networks(s))
    return pair, {
        "matched_fraction": matched_fraction(found),
        "matched_fraction_g": matched_fraction(found, "generator"),
        "matched_fraction_d": matched_fraction(found, "discriminator"),
    }


@torch.no_grad()
def _move_one_ulp(pair: NetworkPair) -> None:
    """Move one weight of the generator to the next float: the smallest difference that a matched trial can have."""
    weight = next(pair.generator.parameters()).view(-1)
    weight[0] = torch.nextafter(weight[0], weight.new_tensor(math.inf))


def _placed(pair: NetworkPair, settings: TrialSettings, device: str) -> NetworkPair:
    for network in pair.networks().values():
        place(network, channels_last=settings.training.channels_last, device=device)
    return pair


def png_strip(images: Tensor) -> bytes:
    """Return (N, C, S, S) images in [-1, 1] side by side as a PNG file."""
    pixels = (to_unit_range(images) * 255).round().to(torch.uint8).cpu()
    strip = np.concatenate([image.permute(1, 2, 0).numpy() for image in pixels], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(strip.squeeze(-1) if strip.shape[-1] == 1 else strip).save(buffer, "PNG")
    return buffer.getvalue()
