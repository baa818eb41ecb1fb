"""Memorisation: are generated images nearer to what was trained on than to what was not?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.metrics.evaluation import content_id
from harness.metrics.task import MetricInput
from harness.metrics.value import Value


def nearest(points: Tensor, others: Tensor) -> Tensor:
    """Return the distance (M,) of each of the points (M, d) to the nearest of the others (N, d)."""
    x, y = points.to(torch.float64), others.to(torch.float64)
    return torch.cat([torch.cdist(rows, y).amin(dim=1) for rows in x.split(2000)])


def nearest_neighbour_ratio(task: MetricInput) -> Value:
    """Return the mean distance to the nearest training image over that to the nearest held-out one, higher is better.

    Both sets are cut to the size of the smaller one, because the nearest of more images is nearer. About 1 where the
    generator knows training images no better than others; clearly below 1 where it repeats them. None where all
    generated images equal held-out ones.
    """
    evaluation, extractor = task.evaluation, task.extractor()
    train = evaluation.train
    if train is None:
        raise ValueError(f"{task.metric.name}: has no training images")
    held_out = task.real_features().values
    count = min(len(train), len(held_out))
    rng = np.random.Generator(np.random.PCG64([evaluation.seed, len(train), len(held_out)]))
    seen, unseen = (np.sort(rng.permutation(size)[:count]) for size in (len(train), len(held_out)))
    chosen = train[seen]
    known = task.once(("train", extractor.name), lambda: task.kept_features(chosen, content_id(chosen))).values
    to_train, to_unseen = (nearest(task.fake_features(), points) for points in (known, held_out[unseen]))
    scale = float(to_unseen.mean())
    if scale == 0:
        return Value(value=None, n_real=count)
    ratio = float(to_train.mean()) / scale
    sd = float((to_train - ratio * to_unseen).std()) / scale / len(to_train) ** 0.5 if len(to_train) > 1 else None
    return Value(value=ratio, evaluation_sd=sd, n_real=count)
