"""Compare a trial's training step with a bare PyTorch loop of the same networks: `python benchmarks/training_step.py`.

Both train the quickstart's networks on the same glyphs with one thread, in turns of 20 steps within one run, so that a
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
from torch.nn import functional as F

from harness.data import Dataset, load
from harness.models import Conditions, build_pair
from harness.reading import read_study
from harness.settings import TrialSettings
from harness.training import Trainer, train

TURN = 20


def bare(settings: TrialSettings, data: Dataset) -> Iterator[None]:
    """zi2zi's loop as a script would write it: no streams, no signals, no checks."""
    pair = build_pair(settings, styles=len(data.styles), block="0")
    generator, discriminator = (net.to(memory_format=torch.channels_last).train() for net in pair.networks().values())
    o = settings.training.optimizer
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=o.lr, betas=o.betas, fused=True) for net in (generator, discriminator)
    ]
    precision = torch.autocast("cpu", torch.bfloat16, enabled=settings.training.precision == "bfloat16")
    bce = F.binary_cross_entropy_with_logits
    split, size = data.train, settings.training.batch_size
    assert split.source is not None
    order = torch.randperm(len(split))
    for step in range(10**9):
        if (step + 1) * size % len(order) < size:
            order = torch.randperm(len(split))
        chosen = order[step * size % (len(order) - size) :][:size]
        source, real = (images[chosen].float() / 127.5 - 1 for images in (split.source, split.target))
        conditions = Conditions(source, split.style[chosen], None)
        onehot = F.one_hot(split.style[chosen], len(data.styles)).float()
        with precision:
            fake = generator(conditions)
            on_real, on_fake = discriminator(real, conditions), discriminator(fake.image.detach(), conditions)
            loss = bce(on_real.real, torch.ones(size)) + bce(on_fake.real, torch.zeros(size))
            loss = loss + (bce(on_real.category, onehot) + bce(on_fake.category, onehot)) / 2
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        for turn in range(settings.training.generator_steps):
            with precision:
                fake = fake if turn == 0 else generator(conditions)
                judged = discriminator(fake.image, conditions)
                code = generator.encode(fake.image)
                loss = bce(judged.real, torch.ones(size)) + 100 * F.l1_loss(fake.image, real)
                loss = loss + bce(judged.category, onehot) + 15 * F.mse_loss(code.float(), fake.code.float())
            optimizers[0].zero_grad()
            loss.backward()
            optimizers[0].step()
        discriminator.requires_grad_(True)
        yield


def ours(settings: TrialSettings, data: Dataset, steps: int) -> Iterator[None]:
    """A trial's loop, with its signals as often as a study logs them."""
    pair = build_pair(settings, styles=len(data.styles), block="0")
    for network in pair.networks().values():
        network.to(memory_format=torch.channels_last)
    for _ in train(Trainer(pair, settings, data.train, block="0"), log_every=max(1, steps // 100)):
        yield


def turn(loop: Iterator[None]) -> float:
    start = time.perf_counter()
    for _ in range(TURN):
        next(loop)
    return (time.perf_counter() - start) / TURN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    study = read_study(Path(__file__).parents[1] / "studies/quickstart.yaml")
    settings = study.trial_settings({})
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"steps": 10**6})})
    with tempfile.TemporaryDirectory() as cache:
        data = load(settings.data, Path(cache))
    loops = bare(settings, data), ours(settings, data, study.training.steps)
    for loop in loops:
        turn(loop)
    pairs = []
    for index in range(turns):
        times = {which: turn(loops[which]) for which in ((0, 1) if index % 2 else (1, 0))}
        pairs.append((times[0], times[1]))
    ratios = sorted(trial / loop for loop, trial in pairs)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(f"bare loop:    {statistics.median(b for b, _ in pairs) * 1e3:.1f} ms a step")
    print(f"trial's loop: {statistics.median(t for _, t in pairs) * 1e3:.1f} ms a step")
    print(
        f"ratio trial / bare: {statistics.median(ratios):.3f} "
        f"(quartiles {low:.3f} to {high:.3f}, {turns} turns of {TURN} steps each)"
    )


if __name__ == "__main__":
    main()
