"""Training as a script would write it, without this package's loop: what the benchmarks compare with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from harness.data import Dataset, load
from harness.metrics import Evaluation, measure, to_unit_range
from harness.models import Conditions, build_pair
from harness.study.measure_settings import MeasureSettings
from harness.study.settings import TrialSettings
from harness.trial.evaluated_networks import generate
from harness.trial.measured_items import measured_items


def loop(
    settings: TrialSettings, data: Dataset, networks: dict[str, nn.Module], *, fused: bool | None = None
) -> Iterator[None]:
    """zi2zi's loop: no streams, no signals, no checks; a step each time it is asked for one."""
    generator, discriminator = (net.train() for net in networks.values())
    o = settings.training.optimizer
    adams = [torch.optim.Adam(net.parameters(), lr=o.lr, betas=o.betas, fused=fused) for net in networks.values()]
    optimizer_g, optimizer_d = adams
    precision = torch.autocast("cpu", torch.bfloat16, enabled=settings.training.precision == "bfloat16")
    bce = F.binary_cross_entropy_with_logits
    split, size = data.train, settings.training.batch_size
    assert split.source is not None
    real_label, fake_label = torch.ones(size), torch.zeros(size)
    while True:
        order = torch.randperm(len(split))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            source, real = (images[chosen].float() / 127.5 - 1 for images in (split.source, split.target))
            conditions = Conditions(source, split.style[chosen], None)
            onehot = F.one_hot(split.style[chosen], len(data.styles)).float()
            with precision:
                fake = generator(conditions)
                on_real = discriminator(real, conditions)
                on_fake = discriminator(fake.image.detach(), conditions)
                loss = bce(on_real.real, real_label) + bce(on_fake.real, fake_label)
                loss = loss + (bce(on_real.category, onehot) + bce(on_fake.category, onehot)) / 2
            optimizer_d.zero_grad()
            loss.backward()
            optimizer_d.step()
            discriminator.requires_grad_(False)
            for turn in range(settings.training.generator_steps):
                with precision:
                    fake = fake if turn == 0 else generator(conditions)
                    judged = discriminator(fake.image, conditions)
                    code = generator.encode(fake.image)
                    loss = bce(judged.real, real_label) + 100 * F.l1_loss(fake.image, real)
                    loss = loss + bce(judged.category, onehot) + 15 * F.mse_loss(code.float(), fake.code.float())
                optimizer_g.zero_grad()
                loss.backward()
                optimizer_g.step()
            discriminator.requires_grad_(True)
            yield


def train_and_measure(
    settings: TrialSettings, asked: MeasureSettings, block: int, cache: Path
) -> dict[str, float | None]:
    """Return a trial's final values, trained with torch's defaults and measured as a study measures."""
    torch.manual_seed(block)
    data = load(settings.data, cache)
    networks = build_pair(settings, styles=len(data.styles), block=str(block)).networks()
    items = measured_items(data, asked, None)
    steps, found = settings.training.steps, {}
    for step, _ in zip(range(1, steps + 1), loop(settings, data, networks), strict=False):
        if step in asked.steps(steps):
            images = generate(networks["generator"], items.conditions, torch.device("cpu"))
            evaluation = Evaluation(
                real=to_unit_range(items.real),
                fake=to_unit_range(images),
                paired=True,
                real_id=f"{data.hash}-{len(items.real)}",
                cache=cache,
            )
            found = {m.metric: m.value for m in measure(asked.metrics, evaluation)}
    return found
