"""A small GAN that redraws discs as rings. Put your own script in its place: nothing here knows the harness.

What a study needs of a script: a seed, a place for what it leaves, and a number that it logs.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--l1_weight", type=float, default=10.0)
args = parser.parse_args()


def drawings(count: int, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Return discs, and the rings that are their outlines: (N, 1, size, size) in [-1, 1]."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre, radius = 5 + 6 * torch.rand(2, count, 1, 1), 2 + 3 * torch.rand(count, 1, 1)
    distance = torch.hypot(y - centre[0], x - centre[1])
    disc, ring = torch.sigmoid(4 * (radius - distance)), torch.exp(-((distance - radius) ** 2))
    return 2 * disc[:, None] - 1, 2 * ring[:, None] - 1


def layers(inputs: int, *last: nn.Module) -> nn.Sequential:
    """Return three convolutions of 3 x 3."""
    first = [nn.Conv2d(inputs, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(16, 16, 3, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*first, nn.Conv2d(16, 1, 3, padding=1), *last)


torch.manual_seed(0)
train, held_out = drawings(512), drawings(64)
torch.manual_seed(args.seed)
generator, discriminator = layers(1, nn.Tanh()), layers(2)
opt_g = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))

args.out.mkdir(parents=True, exist_ok=True)
with (args.out / "metrics.jsonl").open("w") as log:
    for step in range(1, args.steps + 1):
        chosen = torch.randint(len(train[0]), (16,))
        source, target = train[0][chosen], train[1][chosen]
        drawn = generator(source)
        real = discriminator(torch.cat([source, target], 1))
        fake = discriminator(torch.cat([source, drawn.detach()], 1))
        opt_d.zero_grad()
        (F.softplus(-real).mean() + F.softplus(fake).mean()).backward()
        opt_d.step()
        adversarial = F.softplus(-discriminator(torch.cat([source, drawn], 1))).mean()
        opt_g.zero_grad()
        (adversarial + args.l1_weight * F.l1_loss(drawn, target)).backward()
        opt_g.step()
        if step % 50 == 0 or step == args.steps:
            with torch.no_grad():
                error = F.l1_loss(generator(held_out[0]), held_out[1]).item()
            log.write(json.dumps({"step": step, "l1": error}) + "\n")
