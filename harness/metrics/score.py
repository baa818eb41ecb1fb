"""Score anyone's images, or features that somebody else extracted, outside any study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import DataError, HarnessError, did_you_mean
from harness.metrics import feature_files
from harness.metrics.catalogue import FAMILY_FUNCTIONS, METRICS, Metric, metric_named, refusal
from harness.metrics.evaluation import Evaluation
from harness.metrics.feature_files import read_features
from harness.metrics.features import RealFeatures, imported
from harness.metrics.measuring import aside, measure
from harness.metrics.read_images import ReadImages, read_pictures
from harness.metrics.ssim import WINDOW
from harness.metrics.task import FeatureSets
from harness.metrics.value import Measurement, Value

GIVEN_METRICS = tuple(FAMILY_FUNCTIONS.values())
"""What can be measured on features of unknown origin: frechet, kid, precision, recall, density, coverage."""
_NEIGHBOURLY = 6
LARGEST_SIDE = 4096
"""Pixels to which images may be resized."""


def score(
    real: Path,
    fake: Path,
    *,
    metrics: Sequence[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    cache: Path | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Return a document of the metrics between real and generated images, or between two files of features.

    Images are pairs when both folders hold the same file names (with their folders, without suffix); metrics of pairs
    are allowed only then. Where one image has colour, grey ones are repeated to three channels. All images must have
    one size, unless ``size`` is given. Features are arrays (N, d) in a ``.npy`` file, or in a ``.npz`` file as its
    only array or under ``features``.

    Args:
        real: Folder of real images, or file of their features.
        fake: Folder of generated images, or file of their features.
        metrics: Names of `harness.metrics.catalogue.METRICS`, or of `GIVEN_METRICS` for features; None: the usual ones.
        size: Side in pixels to which images of other sizes are resized.
        seed: Seed of random subsets.
        cache: Folder for the features of the real images, by content.
        threads: Threads to compute on; None: as torch is set.

    Returns:
        ``kind`` (images or features), ``real``, ``fake``, ``paired``, ``n_real``, ``n_fake``, ``metrics`` (name to
        value), ``feature_id`` and ``floor`` (of the first Fréchet distance), ``shape`` (channels, height and width, or
        the number of features), ``measurements`` (all that is known of each value), and ``notes``. Only JSON types.

    Raises:
        HarnessError: Anything about the paths, images, features or metrics that does not fit, with the way out.
    """
    threads = threads or torch.get_num_threads()
    files = [path.suffix.lower() in feature_files.SUFFIXES and not path.is_dir() for path in (real, fake)]
    if any(files) and not all(files):
        raise DataError(f"{real}, {fake}: one is a file of features, the other is not; give two folders or two files")
    if size is not None and (not 1 <= size <= LARGEST_SIDE or all(files)):
        raise HarnessError(f"size: got {size}; 1 to {LARGEST_SIDE} pixels, for images only, are allowed")
    if not 0 <= seed < 1 << 63:
        raise HarnessError(f"seed: got {seed}; a whole number from 0 to 2^63 - 1 is needed")
    start: dict[str, Any] = {"real": str(real), "fake": str(fake)}
    if all(files):
        return start | _score_features(real, fake, metrics, seed, threads)
    return start | _score_images(real, fake, metrics, size=size, seed=seed, cache=cache, threads=threads)


def _score_features(real: Path, fake: Path, names: Sequence[str] | None, seed: int, threads: int) -> dict[str, Any]:
    left, right = read_features(real), read_features(fake)
    if left.shape[1] != right.shape[1]:
        sizes = f"{left.shape[1]} and {right.shape[1]} features"
        raise DataError(f"{real}, {fake}: {sizes}; both must come from one extractor")
    chosen, notes = list(names or GIVEN_METRICS), []
    for name in chosen:
        if name not in GIVEN_METRICS:
            way = did_you_mean(name, GIVEN_METRICS)
            raise HarnessError(f"metrics: {name!r} is not one of features whose origin is not known{way}")
    least = min(len(left), len(right))
    if least < 2:
        raise DataError(f"{real if len(left) < 2 else fake}: 1 image; at least 2 are needed")
    if names is None and least < _NEIGHBOURLY:
        chosen = ["frechet", "kid"]
        notes.append(f"precision, recall, density and coverage need {_NEIGHBOURLY} images of each; left out")
    sets = FeatureSets(real=RealFeatures.given(left), fake=right, seed=seed)
    functions = {given: function for function, given in FAMILY_FUNCTIONS.items()}
    found = []
    with aside(seed, threads):
        for name in chosen:
            value: Value = imported(functions[name], "metrics")(sets)
            counts = {"n_real": len(left), "n_fake": len(right)}
            found.append(Measurement.of(name, value, **counts, feature_id=sets.real.feature_id))
    described = {given: _family(function) for function, given in FAMILY_FUNCTIONS.items()}
    shape = [left.shape[1]]
    return _document("features", found, described, paired=False, shape=shape, notes=notes)


def _family(function: str) -> Metric:
    return next(metric for metric in METRICS.values() if metric.function == function)


def _score_images(
    real: Path,
    fake: Path,
    names: Sequence[str] | None,
    *,
    size: int | None,
    seed: int,
    cache: Path | None,
    threads: int,
) -> dict[str, Any]:
    left, right = read_pictures(real, size), read_pictures(fake, size)
    _require_one_size(left, right)
    paired = sorted(left.names) == sorted(right.names)
    colour = left.colour() or right.colour()
    notes = ["pairs by file name" if paired else "no pairs: the file names differ"]
    if colour and not (left.colour() and right.colour()):
        notes.append(
            f"{(right if left.colour() else left).folder} is grey, the other has colour: repeated to 3 channels"
        )
    tensors = [pictures.tensor(colour=colour) for pictures in (left, right)]
    chosen = list(names) if names else _usual(tensors, paired, left, right, notes)
    _require_pairs(chosen, paired, left, right)
    evaluation = Evaluation(real=tensors[0], fake=tensors[1], paired=paired, seed=seed, cache=cache)
    found = measure(chosen, evaluation, threads=threads)
    described = {name: metric_named(name) for name in chosen}
    return _document("images", found, described, paired=paired, shape=list(tensors[0].shape[1:]), notes=notes)


def _require_one_size(left: ReadImages, right: ReadImages) -> None:
    sizes = left.sizes() + right.sizes()
    if len(sizes) > 1:
        counts = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(4))
        where = f"{left.folder}, {right.folder}"
        raise DataError(f"{where}: images of {len(sizes)} sizes ({counts}); give one size for all, such as --size 64")


def _require_pairs(names: Sequence[str], paired: bool, left: ReadImages, right: ReadImages) -> None:
    for name in names:
        reason = refusal(metric_named(name), paired=paired, train=False, characters=False, networks=False)
        if reason and not paired:
            alone = sorted(set(left.names) ^ set(right.names))
            raise HarnessError(f"{reason} (pairs need equal file names in both folders; without a partner: {alone[0]})")
        if reason:
            raise HarnessError(reason)


def _usual(images: Sequence[Tensor], paired: bool, left: ReadImages, right: ReadImages, notes: list[str]) -> list[str]:
    for pictures in (left, right):
        if len(pictures.arrays) < 2:
            raise DataError(f"{pictures.folder}: 1 image; at least 2 are needed for a distance between sets")
    families = ["fid", "kid"]
    if min(len(side) for side in images) >= _NEIGHBOURLY:
        families += ["precision", "recall", "density", "coverage"]
    else:
        notes.append(f"precision, recall, density and coverage need {_NEIGHBOURLY} images of each; left out")
    chosen = [f"{family}_efficientnet" for family in families]
    if min(images[0].shape[-2:]) >= WINDOW:
        return chosen + (["ssim_diversity", "ssim", "ssim_ink", "l1", "psnr"] if paired else ["ssim_diversity"])
    notes.append(f"SSIM needs {WINDOW} x {WINDOW} pixels; left out")
    return chosen + (["l1", "psnr"] if paired else [])


def _document(
    kind: str,
    found: Sequence[Measurement],
    described: Mapping[str, Metric],
    *,
    paired: bool,
    shape: list[int],
    notes: list[str],
) -> dict[str, Any]:
    frechet = next((m for m in found if m.floor is not None and described[m.metric].scale == "log"), None)
    first = frechet or next((m for m in found if m.feature_id), None)
    return {
        "kind": kind,
        "paired": paired,
        "shape": shape,
        "n_real": max(m.n_real or 0 for m in found),
        "n_fake": max(m.n_fake or 0 for m in found),
        "metrics": {m.metric: m.value for m in found},
        "feature_id": first.feature_id if first else None,
        "floor": frechet.floor if frechet else None,
        "measurements": [_described(m, described[m.metric]) for m in found],
        "notes": notes,
    }


def _described(measurement: Measurement, metric: Metric) -> dict[str, Any]:
    low, high = (bound if math.isfinite(bound) else None for bound in metric.range)
    meaning = {"better": metric.better, "unit": metric.unit, "range": [low, high], "note": metric.note}
    return {"metric": measurement.metric, **measurement.columns()} | meaning | {"citation": metric.citation}


def render_score(document: Mapping[str, Any]) -> str:
    """Return a document of `score` as a table for people."""
    what = "images" if document["kind"] == "images" else "feature rows"
    shape = " x ".join(str(side) for side in document["shape"])
    heads = ("metric", "value", "+/-", "floor", "better")
    rows = [heads, *(_row(measurement) for measurement in document["measurements"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = f"{document['n_real']} real and {document['n_fake']} generated {what} of {shape}"
    identity = [f"features: {document['feature_id']}"] if document["feature_id"] else []
    biases = [f"{m['metric']}: of this about {m['bias']:.4g} is bias" for m in document["measurements"] if m["bias"]]
    floor = ["floor: real images against real images, at these counts"] if document["floor"] is not None else []
    return "\n".join([counts, *identity, "", *table, "", *floor, *biases, *document["notes"]])


def _row(measurement: Mapping[str, Any]) -> tuple[str, ...]:
    error = measurement["standard_error"]
    noise = error if error is not None else measurement["evaluation_sd"]
    value, spread, floor = (
        "" if number is None else f"{number:.4g}" for number in (measurement["value"], noise, measurement["floor"])
    )
    return (measurement["metric"], value, spread, floor, measurement["better"])
