"""Compare a trial's training step with a bare PyTorch loop of the same networks: `python benchmarks/training_step.py`.

Both train the quickstart's networks on the same glyphs with one thread, in turns of 4 steps within one run, so that a
noisy machine slows both alike. Printed: the median of the ratios of neighbouring turns, with their quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from plain import loop

from harness.data import Dataset, load
from harness.models import NetworkPair, build_pair
from harness.study.reading import read_study
from harness.study.settings import TrialSettings
from harness.trial.trainer import Trainer
from harness.trial.training import train

TURN = 4


def networks(settings: TrialSettings, data: Dataset) -> NetworkPair:
    pair = build_pair(settings, styles=len(data.styles), block="0")
    for network in pair.networks().values():
        network.to(memory_format=torch.channels_last)
    return pair


def ours(settings: TrialSettings, data: Dataset, steps: int) -> Iterator[None]:
    """A trial's loop, with its signals as often as a study logs them."""
    trainer = Trainer(networks(settings, data), settings, data.train, block="0")
    for _ in train(trainer, log_every=max(1, steps // 100)):
        yield


def turn(steps: Iterator[None]) -> float:
    start = time.process_time()  # of this process alone: other programs on the machine do not count
    for _ in range(TURN):
        next(steps)
    return (time.process_time() - start) / TURN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=120)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    study = read_study(Path(__file__).parents[1] / "studies/quickstart.yaml")
    settings = study.trial_settings({})
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"steps": 10**6})})
    with tempfile.TemporaryDirectory() as cache:
        data = load(settings.data, Path(cache))
    bare = loop(settings, data, networks(settings, data).networks(), fused=True)
    loops = bare, ours(settings, data, study.training.steps)
    for steps in loops:
        turn(steps)
    pairs = []
    for index in range(turns):
        times = {which: turn(loops[which]) for which in ((0, 1) if index % 2 else (1, 0))}
        pairs.append((times[0], times[1]))
    ratios = sorted(trial / loop for loop, trial in pairs)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"bare loop:    {statistics.median(b for b, _ in pairs) * 1e3:.1f} ms of processor time a step")
    print(f"trial's loop: {statistics.median(t for _, t in pairs) * 1e3:.1f} ms of processor time a step")
    print(
        f"ratio trial / bare: {statistics.median(ratios):.3f} "
        f"(quartiles {low:.3f} to {high:.3f}, {turns} turns of {TURN} steps each)"
    )


if __name__ == "__main__":
    main()
