"""Where the machine's peak goes in a training step of the quickstart: `python benchmarks/peak.py`.

For each precision: operations and time of a step, what that makes of the pace of a large matrix product on the same
thread, the share of the time inside convolutions, and the time of a step on 2 images, which is what a step costs apart
from its images: reordering weights, dispatch, optimisers.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(Path(__file__).parents[1])]

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from harness.data import Dataset, load
from harness.models import build_pair
from harness.study.design import arms
from harness.study.reading import read_study
from harness.trial.trainer import Progress, Trainer
from harness.trial.training import train

ROOT = Path(__file__).parents[1]
TURNS, STEPS = 15, 4
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


def training(precision: str, batch_size: int, data: Dataset) -> Iterator[Progress]:
    """Return a training of the quickstart's baseline."""
    wanted = [f"training.precision={precision}", f"training.batch_size={batch_size}", "training.steps=1000000"]
    settings = arms(read_study(ROOT / "studies/quickstart.yaml", wanted))[0].settings
    pair = build_pair(settings, styles=len(data.styles), block="0")
    for network in pair.networks().values():
        network.to(memory_format=torch.channels_last)
    return train(Trainer(pair, settings, data.train, block="0"), log_every=10**9)


def pace(dtype: torch.dtype, size: int = 1024) -> float:
    """Return the operations a second of a matrix product, the best of several."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = 0.0
    for _ in range(20):
        before = time.perf_counter()
        a @ b
        best = max(best, 2 * size**3 / (time.perf_counter() - before))
    return best


def share_in_convolutions(steps: Iterator[Progress]) -> float:
    """Return the share of a step's time that is spent in convolutions, forward and backward."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(10):
            next(steps)
    rows = seen.key_averages()
    inside = sum(row.cpu_time_total for row in rows if row.key in CONVOLUTIONS)
    return inside / sum(row.self_cpu_time_total for row in rows)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    study = read_study(ROOT / "studies/quickstart.yaml")
    with tempfile.TemporaryDirectory() as cache:
        data = load(study.data, Path(cache))
    batch = study.training.batch_size
    courses = {(p, n): training(p, n, data) for p in ("float32", "bfloat16") for n in (2, batch)}
    times: dict[tuple[str, int], list[float]] = {key: [] for key in courses}
    for course in courses.values():
        for _ in range(5):
            next(course)
    for _ in range(TURNS):
        for key, course in courses.items():
            before = time.perf_counter()
            for _ in range(STEPS):
                next(course)
            times[key].append((time.perf_counter() - before) / STEPS)
    with FlopCounterMode(display=False) as counter:
        next(courses["float32", batch])
    operations = counter.get_total_flops()
    print(f"one thread; {operations / 1e9:.2f} G operations a step of {batch} images, medians of {TURNS} turns\n")
    print("| precision | ms a step | of 2 images | G operations/s | of a matrix product's | in convolutions |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for precision in ("float32", "bfloat16"):
        step, small = (statistics.median(times[precision, n]) for n in (batch, 2))
        reached, peak = operations / step, pace(getattr(torch, precision))
        inside = share_in_convolutions(courses[precision, batch])
        print(
            f"| {precision} | {step * 1e3:.1f} | {small * 1e3:.1f} | {reached / 1e9:.1f} | "
            f"{reached / peak:.0%} of {peak / 1e9:.0f} | {inside:.0%} |"
        )


if __name__ == "__main__":
    main()
