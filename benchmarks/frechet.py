"""How much faster the Fréchet distance by singular values is than the libraries' forms, on the same arrays.

Run: OMP_NUM_THREADS=1 python benchmarks/frechet.py [--repeats 3] [--out results.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import scipy
import torch
import torchmetrics
from scipy.linalg import sqrtm
from torchmetrics.image.fid import _compute_fid

from harness.metrics.frechet import frechet_distance
from harness.metrics.statistics import Statistics

WIDTH, REAL, FAKES = 2048, 2000, (256, 512, 1000)
Moments = tuple[torch.Tensor, torch.Tensor]


def network_like_features(count: int, seed: int) -> torch.Tensor:
    """Return features (N, 2048), float32, not negative and correlated, with falling eigenvalues as of a network."""
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(WIDTH, WIDTH)) / np.sqrt(np.arange(1, WIDTH + 1))[:, None] / 8
    hidden = np.random.default_rng(seed).normal(0.05 * (seed % 2), 1, size=(count, WIDTH))
    return torch.from_numpy(np.maximum(hidden @ mixing + 0.3, 0).astype(np.float32))


def moments(features: torch.Tensor) -> Moments:
    x = features.double()
    return x.mean(dim=0), torch.cov(x.T)


def by_scipy(real: Moments, fake: torch.Tensor) -> float:
    mean, covariance = moments(fake)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = sqrtm((real[1] @ covariance).numpy())
    return float((real[0] - mean).square().sum() + real[1].trace() + covariance.trace()) - 2 * float(
        np.trace(root).real
    )


def by_torchmetrics(real: Moments, fake: torch.Tensor) -> float:
    return float(_compute_fid(*real, *moments(fake)))


def by_singular_values(real: Statistics, fake: torch.Tensor) -> float:
    return frechet_distance(real, Statistics.of(fake))


def timed(compute: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = compute()
    return value, time.perf_counter() - start


def compare(fakes: int, repeats: int, real: torch.Tensor) -> str:
    fake = network_like_features(fakes, seed=3)
    statistics, gaussian = Statistics.of(real), moments(real)
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: by_singular_values(statistics, fake),
        "torchmetrics": lambda: by_torchmetrics(gaussian, fake),
        "scipy": lambda: by_scipy(gaussian, fake),
    }
    ways["ours"]()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values: dict[str, float] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            values[name], spent = timed(way)
            seconds[name].append(spent)
    best = {name: float(np.median(spent)) for name, spent in seconds.items()}
    spread = statistics.trace() + Statistics.of(fake).trace()
    cells = [f"{fakes:,}", f"{values['ours']:.6f}", f"{best['ours']:.3f} s"]
    for name in ("scipy", "torchmetrics"):
        ratios = sorted(theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=True))
        gap = (values[name] - values["ours"]) / values["ours"]
        relative = abs(values[name] - values["ours"]) / spread
        cells += [f"{best[name]:.2f} s", f"{best[name] / best['ours']:.0f} ({ratios[0]:.0f}-{ratios[-1]:.0f})"]
        cells += [f"{gap:+.1e} ({relative:.0e} of the traces)"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    real = network_like_features(REAL, seed=2)
    heads = ["generated", "distance", "ours"]
    heads += [f"{name}{what}" for name in ("sqrtm", "eigenvalues") for what in ("", ": times slower", " - ours")]
    versions = f"scipy {scipy.__version__}, torchmetrics {torchmetrics.__version__}, torch {torch.__version__}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread, {versions}"
    lines = [
        f"{WIDTH:,} features, {REAL:,} real images with kept statistics; median of {options.repeats}; {machine}",
        "",
    ]
    lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for line in lines:
        print(line)
    for fakes in FAKES:
        lines.append(compare(fakes, options.repeats, real))
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
