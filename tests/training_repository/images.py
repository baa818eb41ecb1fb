"""Pairs of small drawings: a filled shape, and the same shape as a pen would outline it."""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.utils.data import Dataset

SHAPES = ("ellipse", "rectangle", "triangle")


def draw(index, size):
    """Return the pair of an item, (size, 2 * size) of 8 bits: the item's number alone decides what is drawn."""
    rng = random.Random(f"item {index}")
    shape, big = SHAPES[index % len(SHAPES)], 4 * size
    x, y = rng.uniform(0.1, 0.35) * big, rng.uniform(0.1, 0.35) * big
    box = (x, y, x + rng.uniform(0.4, 0.55) * big, y + rng.uniform(0.4, 0.55) * big)
    corners = [(box[0], box[3]), ((box[0] + box[2]) / 2, box[1]), (box[2], box[3])]
    sides = []
    for style in ({"fill": 255}, {"outline": 255, "width": big // 10}):
        side = Image.new("L", (big, big))
        pen = ImageDraw.Draw(side)
        pen.polygon(corners, **style) if shape == "triangle" else getattr(pen, shape)(box, **style)
        sides.append(np.asarray(side.resize((size, size), Image.Resampling.BOX)))
    return np.concatenate(sides, axis=1)


def write(folder, numbers, size):
    """Write the pairs of some items, and the right-hand sides alone under ``targets``, as PNG files."""
    folder = Path(folder)
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pair = draw(number, size)
        Image.fromarray(pair).save(folder / f"{number:04d}.png")
        Image.fromarray(pair[:, size:]).save(folder / "targets" / f"{number:04d}.png")


class Pairs(Dataset):
    """The pairs of a folder, in [-1, 1]; for training each is moved, mirrored and made a little noisy."""

    def __init__(self, folder, augment):
        self.files = sorted(Path(folder).glob("*.png"))
        self.augment = augment

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        pair = np.asarray(Image.open(self.files[index]), dtype=np.float32) / 127.5 - 1
        source, target = np.split(pair, 2, axis=1)
        if self.augment:
            down, right = random.randint(-2, 2), random.randint(-2, 2)
            source, target = (np.roll(side, (down, right), axis=(0, 1)) for side in (source, target))
            if random.random() < 0.5:
                source, target = source[:, ::-1], target[:, ::-1]
            source = source + np.random.normal(0, 0.05, source.shape)
        return self.files[index].stem, *(
            torch.from_numpy(np.ascontiguousarray(side, dtype=np.float32))[None] for side in (source, target)
        )
