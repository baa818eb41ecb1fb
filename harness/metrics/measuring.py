"""Measure: names of metrics and images in, values out; the training's random streams and threads stay as they were."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from harness.errors import HarnessError, MissingExtraError
from harness.metrics.catalogue import FAMILY_FUNCTIONS, METRICS, Metric, metric_named, missing_extra, refusal
from harness.metrics.evaluation import Evaluation
from harness.metrics.features import imported
from harness.metrics.task import MetricInput
from harness.metrics.value import Measurement, Value


def measure(names: Sequence[str], evaluation: Evaluation, *, threads: int = 1) -> tuple[Measurement, ...]:
    """Return the value of each named metric, in the order of the names.

    Features of one extractor are computed once and shared. Torch's global random stream is neither used nor changed.

    Args:
        names: Metrics of `harness.metrics.catalogue.metric_named`.
        evaluation: The images.
        threads: Threads of torch during the call; with another number the last bits may differ.

    Raises:
        HarnessError: An unknown metric, one that this data cannot have, or too few or too small images for it.
        MissingExtraError: A metric's package or weights file is not there; the message says how to get it.
    """
    metrics = [metric_named(name) for name in names]
    for metric in metrics:
        _check(metric, evaluation)
    shared: dict[tuple[str, ...], Any] = {}
    with aside(evaluation.seed, threads):
        return tuple(_measured(MetricInput(metric=metric, evaluation=evaluation, shared=shared)) for metric in metrics)


def _check(metric: Metric, evaluation: Evaluation) -> None:
    has_train, has_characters = evaluation.train is not None, evaluation.characters is not None
    reason = refusal(
        metric,
        paired=evaluation.paired,
        train=has_train,
        characters=has_characters,
        networks=evaluation.networks is not None,
    )
    if reason:
        raise HarnessError(reason)
    absent = missing_extra(metric)
    if absent:
        raise MissingExtraError(absent)


@contextlib.contextmanager
def aside(seed: int, threads: int) -> Iterator[None]:
    """Compute without gradients and autocast, on fixed threads, with the global random stream put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(), torch.autocast("cpu", enabled=False):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _measured(task: MetricInput) -> Measurement:
    metric, evaluation = task.metric, task.evaluation
    function: Callable[..., Any] = imported(metric.function, "metrics")
    if metric.function in FAMILY_FUNCTIONS:
        value: Value = function(task.sets())
    elif metric.name in METRICS:
        value = function(task)
    else:
        value = _of_user(function(evaluation))
    return Measurement.of(
        metric.name,
        value,
        n_real=len(evaluation.real),
        n_fake=len(evaluation.fake),
        feature_id=task.extractor().feature_id if metric.features else None,
    )


def _of_user(value: Any) -> Value:
    number = float(value)
    return Value(value=number if math.isfinite(number) else None)
