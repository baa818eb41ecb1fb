"""Small stand-ins: random images in place of rendered glyphs, and settings of seconds' size."""

from __future__ import annotations

from typing import Any

import torch

from harness.data import Dataset, Split
from harness.study.settings import TrialSettings

SIZE = 16
STYLES = 3


def split(count: int = 24, *, seed: int = 0, size: int = SIZE, channels: int = 1, paired: bool = True) -> Split:
    """Return random uint8 images."""
    draw = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw)
    source = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw) if paired else None
    return Split(target, source, torch.arange(count) % STYLES, tuple(str(i) for i in range(count)))


def dataset(**options: Any) -> Dataset:
    """Return a data set of random images."""
    return Dataset.of(
        split(seed=1, **options), split(seed=2, count=12, **options), tuple(f"style{i}" for i in range(STYLES))
    )


def settings(**groups: Any) -> TrialSettings:
    """Return settings of a trial that takes seconds: 16 px, 4 channels, 3 steps."""
    base: dict[str, Any] = {
        "data": {"kind": "glyphs", "image_size": SIZE},
        "generator": {"kind": "unet", "channels": 4, "style_channels": 8},
        "discriminator": {"kind": "zi2zi", "channels": 4},
        "training": {"steps": 3, "batch_size": 4},
    }
    for name, values in groups.items():
        base[name] = {**base.get(name, {}), **values}
    return TrialSettings.model_validate(base)


def dcgan(**groups: Any) -> TrialSettings:
    """Return settings of a small DCGAN trial."""
    base: dict[str, Any] = {
        "data": {"kind": "faces", "image_size": SIZE},
        "generator": {"kind": "dcgan", "channels": 4, "latent": 6},
        "discriminator": {"kind": "dcgan", "channels": 4},
        "training": {"steps": 3, "batch_size": 4, "generator_steps": 1},
    }
    for name, values in groups.items():
        base[name] = {**base.get(name, {}), **values}
    return TrialSettings.model_validate(base)
