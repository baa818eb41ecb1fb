"""Training loops of a user's own: an autoencoder, a diffusion model, a GAN of few lines, and loops with faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models import Conditions, Generated, Judgement
from harness.trial.trainer import Progress, Trainer


def autoencoder(trainer: Trainer, weight: float = 1.0) -> Iterator[Progress]:
    """Learn to redraw the source as the target: no discriminator is asked."""
    for _ in trainer.steps():
        conditions, real = trainer.next_batch()
        with trainer.precision():
            loss = weight * F.l1_loss(trainer.pair.generator(conditions).image, real)
        trainer.optimizer_g.zero_grad()
        loss.backward()
        trainer.optimizer_g.step()
        yield trainer.done(loss_g=loss, signals={"loss_l1": loss.item()} if trainer.logging else None)


class Denoiser(nn.Module):
    """Draws an image out of noise in a few steps (Ho 2020, arXiv:2006.11239, in the form of rectified flow)."""

    def __init__(self, channels: int, width: int = 8, steps: int = 4) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
        )
        self.side = 16

    def velocity(self, x: Tensor, time: Tensor) -> Tensor:
        """(N, C, H, W) at times (N,) in [0, 1] to the direction of the image."""
        plane = time.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:]).to(x.dtype)
        moved: Tensor = self.layers(torch.cat([x, plane], 1))
        return moved

    def forward(self, conditions: Conditions) -> Generated:
        """Follow the flow from the latent, which is the noise."""
        assert conditions.latent is not None
        x = conditions.latent.view(-1, 1, self.side, self.side)
        for step in range(self.steps):
            x = x + self.velocity(x, x.new_full((len(x),), step / self.steps)) / self.steps
        return Generated(x.clamp(-1, 1))


def denoiser(*, image_size: int, channels: int, styles: int) -> nn.Module:
    """Return it."""
    return Denoiser(channels)


def diffusion(trainer: Trainer) -> Iterator[Progress]:
    """Learn the velocity from noise to images at random times."""
    network: Any = trainer.pair.generator
    for _ in trainer.steps():
        _, real = trainer.next_batch()
        noise = torch.randn(real.shape, generator=trainer.stream("noise")).to(real)
        time = torch.rand(len(real), generator=trainer.stream("time")).to(real)
        share = time.view(-1, 1, 1, 1)
        loss = F.mse_loss(network.velocity((1 - share) * noise + share * real, time), real - noise)
        trainer.optimizer_g.zero_grad()
        loss.backward()
        trainer.optimizer_g.step()
        yield trainer.done(loss_g=loss)


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def few_lines(trainer: Trainer) -> Iterator[Progress]:
    """Train as the built-in loop does with `adversarial: 1` alone, and one update of each network."""
    generator, discriminator = trainer.pair.generator, trainer.pair.discriminator
    for _ in trainer.steps():
        conditions, real = trainer.next_batch()
        fake = generator(conditions).image
        on_real: Judgement = discriminator(real, conditions)
        on_fake: Judgement = discriminator(fake.detach(), conditions)
        real_loss, fake_loss = (_bce(x.real, wanted) for x, wanted in ((on_real, 1.0), (on_fake, 0.0)))
        trainer.optimizer_d.zero_grad()
        real_loss.backward()
        fake_loss.backward()
        trainer.optimizer_d.step()
        loss_g = _bce(discriminator(fake, conditions).real, 1.0)
        trainer.optimizer_g.zero_grad()
        loss_g.backward()
        trainer.optimizer_g.step()
        yield trainer.done(loss_g=loss_g.item(), loss_d=real_loss.item() + fake_loss.item())


def with_more_state(trainer: Trainer) -> Iterator[Progress]:
    """Train a third network beside, whose weights move the loss."""
    third = trainer.keep("third", nn.Linear(1, 1).to(trainer.device))
    with torch.no_grad():
        if trainer.step == 0:
            third.weight.fill_(0.5)
            third.bias.fill_(0.0)
    optimizer = trainer.keep("optimizer", torch.optim.Adam(third.parameters(), lr=0.1))
    for _ in trainer.steps():
        conditions, real = trainer.next_batch()
        loss = third.weight.squeeze() * F.l1_loss(trainer.pair.generator(conditions).image, real)
        for each in (trainer.optimizer_g, optimizer):
            each.zero_grad()
        (loss + third.weight.square().sum()).backward()
        for each in (trainer.optimizer_g, optimizer):
            each.step()
        yield trainer.done(loss_g=loss.item())


def without_done(trainer: Trainer) -> Iterator[Any]:
    """Yield a loss by itself."""
    for _ in trainer.steps():
        yield 0.5


def forgets(trainer: Trainer) -> Iterator[Progress]:
    """Never end a step."""
    for _ in trainer.steps():
        continue
    yield trainer.done(loss_g=0.0)


def stops(trainer: Trainer) -> Iterator[Progress]:
    """End after two steps."""
    for step in trainer.steps():
        if step == 2:
            return
        yield trainer.done(loss_g=0.0)


def breaks(trainer: Trainer) -> Iterator[Progress]:
    """Use a name that is not there."""
    for _ in trainer.steps():
        yield trainer.done(loss_g=trainer.pair.painter)


def no_iterator(trainer: Trainer) -> list[float]:
    """Return a list."""
    return [0.0]
