"""How much faster the Fréchet distance by singular values is than the libraries' forms, on the same arrays.

Run: OMP_NUM_THREADS=1 python benchmarks/frechet.py [--repeats 3] [--agreement] [--out results.md]
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
from skimage import data
from skimage.metrics import structural_similarity as skimage_ssim
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim
from torchmetrics.image.fid import _compute_fid

from harness.metrics import Evaluation, measure, to_unit_range
from harness.metrics.feature_statistics import FeatureStatistics
from harness.metrics.features import extractor_named
from harness.metrics.frechet import frechet_distance
from harness.metrics.kid import discrepancy
from harness.metrics.neighbourhoods import neighbourhoods

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


def by_singular_values(real: FeatureStatistics, fake: torch.Tensor) -> float:
    return frechet_distance(real, FeatureStatistics.of(fake))


def timed(compute: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = compute()
    return value, time.perf_counter() - start


def compare(fakes: int, repeats: int, real: torch.Tensor) -> str:
    fake = network_like_features(fakes, seed=3)
    statistics, gaussian = FeatureStatistics.of(real), moments(real)
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
    spread = statistics.trace() + FeatureStatistics.of(fake).trace()
    cells = [f"{fakes:,}", f"{values['ours']:.6f}", f"{best['ours']:.3f} s"]
    for name in ("scipy", "torchmetrics"):
        ratios = sorted(theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=True))
        gap = (values[name] - values["ours"]) / values["ours"]
        relative = abs(values[name] - values["ours"]) / spread
        cells += [f"{best[name]:.2f} s", f"{best[name] / best['ours']:.0f} ({ratios[0]:.0f}-{ratios[-1]:.0f})"]
        cells += [f"{gap:+.1e} ({relative:.0e} of the traces)"]
    return "| " + " | ".join(cells) + " |"


def photographs(count: int, seed: int) -> torch.Tensor:
    """Return patches (N, 3, 48, 48) in [0, 1] of scikit-image's photographs."""
    rng = np.random.default_rng(seed)
    pictures = [data.astronaut(), data.cat(), data.coffee(), data.rocket()]
    patches = []
    for index in range(count):
        picture = pictures[index % len(pictures)]
        row, column = (rng.integers(0, side - 144) for side in picture.shape[:2])
        patches.append(picture[row : row + 144 : 3, column : column + 144 : 3])
    return torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255


def agreement() -> list[str]:
    """Return a table of how far each metric is from the libraries' own, on features of photographs."""
    real = photographs(400, seed=0)
    fake = to_unit_range(torch.nn.functional.avg_pool2d(photographs(300, seed=1), 3, 1, 1) * 2 - 1)
    lines = ["| metric | features | ours | library | theirs - ours, relative |", "| --- | --- | --- | --- | --- |"]

    def add(metric: str, on: str, ours: float, **theirs: float) -> None:
        for library, value in theirs.items():
            lines.append(
                f"| {metric} | {on} | {ours:.8g} | {library.replace('_', '-')} | {(value - ours) / ours:+.1e} |"
            )

    for name in ("efficientnet", "random"):
        extractor = extractor_named(name)
        with torch.inference_mode():
            x, y = extractor.extract(real), extractor.extract(fake)
        on = f"{name}, {x.shape[1]:,}; 400 and 300 images"
        statistics = [fid_features_to_statistics(part.double()) for part in (x, y)]
        fidelity = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
        add(
            "Fréchet distance",
            on,
            frechet_distance(FeatureStatistics.of(x), FeatureStatistics.of(y)),
            scipy=by_scipy(moments(x), y),
            torchmetrics=by_torchmetrics(moments(x), y),
            torch_fidelity=fidelity,
        )
        a, b = x[:300].double(), y.double()
        theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=300, rng_seed=0, verbose=False)
        add("kernel distance", on, discrepancy(a, b).value, torch_fidelity=theirs["kernel_inception_distance_mean"])
        near = prc_features_to_metric(b, a, prc_neighborhood=5, prc_batch_size=1000, verbose=False)
        found = neighbourhoods(a, b)
        add("precision", on, float((found.inside_real > 0).double().mean()), torch_fidelity=near["precision"])
        add("recall", on, float(found.inside_fake.mean()), torch_fidelity=near["recall"])
    pairs = Evaluation(real=real[:300], fake=fake, paired=True)
    ours = {m.metric: float(m.value or 0) for m in measure(["ssim", "l1", "psnr"], pairs)}
    a, b = pairs.real.double(), pairs.fake.double()
    wang = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
        "channel_axis": 0,
    }
    each = [skimage_ssim(p.numpy(), q.numpy(), **wang) for p, q in zip(a, b, strict=True)]
    bordered = float(torch_ssim(b, a, data_range=1.0, gaussian_kernel=True, sigma=1.5))
    add("ssim", "300 pairs of 48 x 48", ours["ssim"], scikit_image=float(np.mean(each)), torchmetrics=bordered)
    add("l1", "300 pairs of 48 x 48", ours["l1"], torch=float(torch.nn.functional.l1_loss(b, a)))
    signal = float(torch_psnr(b, a, data_range=1.0))
    add("psnr", "300 pairs of 48 x 48", ours["psnr"], torchmetrics=signal)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--agreement", action="store_true", help="print how far the libraries' values are, and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.agreement:
        print("\n".join(agreement()))
        return
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
