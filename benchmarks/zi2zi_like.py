# ruff: noqa: D101, D102, NPY002 - somebody's script
"""A training script of the kind that people have: zi2zi in small, and nothing of this harness in it."""

import argparse
import json
import random
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.nn import functional as F
from torch.nn import init
from torch.utils.data import DataLoader, Dataset

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SOURCE, TARGETS = "DejaVuSans.ttf", ("DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def glyph(letter, font, size):
    image = Image.new("L", (size, size), 255)
    face = ImageFont.truetype(FONTS / font, int(0.75 * size))
    ImageDraw.Draw(image).text((size / 2, size / 2), letter, font=face, anchor="mm", fill=0)
    return np.asarray(image, dtype=np.float32) / 127.5 - 1


class Pairs(Dataset):
    def __init__(self, letters, size, augment):
        sources = {letter: glyph(letter, SOURCE, size) for letter in letters}
        self.pairs = [
            (number, sources[letter], glyph(letter, font, size))
            for number, font in enumerate(TARGETS)
            for letter in letters
        ]
        self.augment = augment

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        label, source, target = self.pairs[index]
        if self.augment:
            if random.random() < 0.5:
                down, right = random.randint(-2, 2), random.randint(-2, 2)
                source, target = (np.roll(side, (down, right), (0, 1)) for side in (source, target))
            source = source + np.random.normal(0, 0.02, source.shape)
        return label, *(torch.from_numpy(side.astype(np.float32))[None] for side in (source, target))


class Block(nn.Module):
    def __init__(self, outer, inner, inside, dropout):
        super().__init__()
        self.down = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1))
        self.norm = nn.BatchNorm2d(inner)
        self.inside = inside
        wide = 2 * inner if inside is not None else inner + 16
        self.up = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(wide, outer, 4, 2, 1), nn.BatchNorm2d(outer), nn.Dropout(dropout)
        )

    def forward(self, x, style):
        inner = self.norm(self.down(x))
        if self.inside is None:
            inner = torch.cat([inner, style.expand(-1, -1, *inner.shape[2:])], 1)
        else:
            inner = self.inside(inner, style)
        return torch.cat([x, self.up(inner)], 1)


class UNetGenerator(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.style = nn.Embedding(len(TARGETS), 16)
        block, wide = None, 8 * channels
        for level in range(size.bit_length() - 3):
            block = Block(wide, wide, block, 0.5 if level else 0.0)
        self.first = nn.Conv2d(1, wide, 4, 2, 1)
        self.block = block
        self.last = nn.ConvTranspose2d(2 * wide, 1, 4, 2, 1)

    def forward(self, x, label):
        return torch.tanh(self.last(self.block(self.first(x), self.style(label)[:, :, None, None])))


class Discriminator(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(2, channels, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 5, 2, 2, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 4 * channels, 5, 2, 2, bias=False),
            nn.BatchNorm2d(4 * channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * channels, 8 * channels, 4, 1, 1),
        )
        side = size // 8 - 1
        self.binary = nn.Linear(8 * channels * side * side, 1)
        self.category = nn.Linear(8 * channels * side * side, len(TARGETS))

    def forward(self, x):
        features = self.model(x).flatten(1)
        return self.binary(features), self.category(features)


def init_net(net):
    def init_func(module):
        name = type(module).__name__
        if hasattr(module, "weight") and ("Conv" in name or "Linear" in name):
            init.normal_(module.weight.data, 0.0, 0.02)
            if getattr(module, "bias", None) is not None:
                init.constant_(module.bias.data, 0.0)
        elif "BatchNorm" in name:
            init.normal_(module.weight.data, 1.0, 0.02)
            init.constant_(module.bias.data, 0.0)

    net.apply(init_func)
    return net


class Trainer:
    def __init__(self, args):
        self.netD = init_net(Discriminator(2 * args.channels, args.image_size))
        self.netG = init_net(UNetGenerator(args.channels, args.image_size))
        self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=args.lr, betas=(0.5, 0.999))
        self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=args.lr, betas=(0.5, 0.999))

    def step(self, label, source, target):
        fake = self.netG(source, label)
        real_logit, real_category = self.netD(torch.cat([source, target], 1))
        fake_logit, fake_category = self.netD(torch.cat([source, fake.detach()], 1))
        loss_d = F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()
        loss_d = loss_d + F.cross_entropy(real_category, label) + F.cross_entropy(fake_category, label)
        self.optimizer_D.zero_grad()
        loss_d.backward()
        self.optimizer_D.step()
        logit, category = self.netD(torch.cat([source, fake], 1))
        loss_g = F.softplus(-logit).mean() + F.cross_entropy(category, label) + 50 * F.l1_loss(fake, target)
        self.optimizer_G.zero_grad()
        loss_g.backward()
        self.optimizer_G.step()


def parse(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiment_dir", type=Path, required=True)
    parser.add_argument("--random_seed", type=int, default=777)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--workers", type=int, default=0)
    return parser.parse_args(words)


def loaders(args):
    letters = list(LETTERS)
    random.shuffle(letters)
    held, kept = letters[:12], letters[12:]
    kwargs = {"batch_size": args.batch_size, "num_workers": args.workers}
    training = DataLoader(Pairs(kept, args.image_size, True), shuffle=True, drop_last=True, **kwargs)
    return training, DataLoader(Pairs(held, args.image_size, False), batch_size=64)


def main():
    args = parse()
    random.seed(args.random_seed)
    np.random.seed(args.random_seed)
    torch.manual_seed(args.random_seed)
    trainer = Trainer(args)
    training, held = loaders(args)
    step = 0
    while step < args.steps:
        for label, source, target in training:
            trainer.step(label, source, target)
            step += 1
            if step == args.steps:
                break
    trainer.netG.eval()
    with torch.no_grad():
        errors = [F.l1_loss(trainer.netG(source, label), target).item() for label, source, target in held]
    args.experiment_dir.mkdir(parents=True, exist_ok=True)
    (args.experiment_dir / "result.json").write_text(json.dumps({"l1": sum(errors) / len(errors)}))


if __name__ == "__main__":
    main()
