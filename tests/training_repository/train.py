"""Train a generator to redraw pictures; the kind of script that this is a harness for, and knows nothing of it."""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from images import Pairs
from networks import Discriminator, Generator, initialise
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--experiment_dir", type=Path, required=True)
    parser.add_argument("--random_seed", type=int, default=777)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--l1_weight", type=float, default=20.0)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log_every", type=int, default=40)
    return parser.parse_args()


def endless(loader):
    while True:
        yield from loader


def main():
    args = arguments()
    random.seed(args.random_seed)
    np.random.seed(args.random_seed)
    torch.manual_seed(args.random_seed)
    generator, discriminator = Generator(args.channels, args.dropout), Discriminator(args.channels)
    generator.apply(initialise)
    discriminator.apply(initialise)
    opt_g = torch.optim.Adam(generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=args.lr, betas=(0.5, 0.999))
    loader = DataLoader(
        Pairs(args.data / "train", augment=True),
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    names, sources, targets = next(iter(DataLoader(Pairs(args.data / "val", augment=False), batch_size=10_000)))
    args.experiment_dir.mkdir(parents=True, exist_ok=True)
    with open(args.experiment_dir / "metrics.jsonl", "w") as log:
        for step, (_, source, target) in zip(range(1, args.steps + 1), endless(loader)):
            fake = generator(source)
            real_logits, fake_logits = discriminator(source, target), discriminator(source, fake.detach())
            loss_d = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
            opt_d.zero_grad()
            loss_d.backward()
            opt_d.step()
            loss_l1 = F.l1_loss(fake, target)
            loss_g = F.softplus(-discriminator(source, fake)).mean() + args.l1_weight * loss_l1
            opt_g.zero_grad()
            loss_g.backward()
            opt_g.step()
            if step % args.log_every == 0 or step == args.steps:
                generator.eval()
                with torch.no_grad():
                    redrawn = generator(sources)
                generator.train()
                row = {"step": step, "loss_d": loss_d.item(), "loss_g": loss_g.item()}
                row["val/l1"] = F.l1_loss(redrawn, targets).item()
                print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
                log.write(json.dumps(row) + "\n")
                log.flush()
    samples = args.experiment_dir / "samples"
    samples.mkdir(exist_ok=True)
    for name, image in zip(names, redrawn):
        pixels = ((image[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        Image.fromarray(pixels).save(samples / f"{name}.png")


if __name__ == "__main__":
    main()
