"""Studies, settings, data and rows of tests' size: what every test begins with."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.study.settings import TrialSettings
from harness.study.study import Study

if TYPE_CHECKING:
    from harness.data import Dataset, Split

SIZE = 16
STYLES = 3
CHARACTERS = "abdefghijklmnopqrtuvxyzABCDEFGH"
PAIRED: dict[str, Any] = {
    "data": {"kind": "glyphs", "image_size": SIZE},
    "generator": {"kind": "unet", "channels": 4, "style_channels": 8},
    "discriminator": {"kind": "zi2zi", "channels": 4},
    "training": {"steps": 3, "batch_size": 4},
}
UNPAIRED: dict[str, Any] = {
    "data": {"kind": "faces", "image_size": SIZE},
    "generator": {"kind": "dcgan", "channels": 4, "latent": 6},
    "discriminator": {"kind": "dcgan", "channels": 4},
    "training": {"steps": 3, "batch_size": 4, "generator_steps": 1},
}


def settings(base: Mapping[str, Any] = PAIRED, **groups: Any) -> TrialSettings:
    """Return settings of a trial of seconds: 16 px, 4 channels, 3 steps; groups are merged into those of the base."""
    merged: dict[str, Any] = copy.deepcopy({**base})
    for name, values in groups.items():
        merged[name] = {**merged.get(name, {}), **values}
    return TrialSettings.model_validate(merged)


def dcgan(**groups: Any) -> TrialSettings:
    """Return the same of a DCGAN on faces."""
    return settings(UNPAIRED, **groups)


def asked(**changes: Any) -> dict[str, Any]:
    """Return a study of two arms and two blocks that is trained in seconds, as its file would have it."""
    return {
        **PAIRED,
        "study": "tiny",
        "data": {**PAIRED["data"], "targets": ["DejaVuSerif"], "characters": CHARACTERS},
        "training": {"steps": 40, "batch_size": 4, "ema": 0.9},
        "axes": {"discriminator.spectral_norm": ["none", "convs"]},
        "design": {"blocks": 2},
        "measure": {"at": ["33%", "100%"], "primary": "l1", "margin": "10%", "also": ["ssim"], "signals": 20},
        "runner": {"checkpoint_every": 0.1},
        **changes,
    }


def study(**changes: Any) -> Study:
    """Return the same, checked."""
    return Study.model_validate(asked(**changes))


def row(of: Mapping[str, Any], levels: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, Any]:
    """Return a whole row of a trial that nobody trained.

    Args:
        of: What belongs to this trial: ids, arm, block, status.
        levels: Of each axis.
        values: Of each metric, as far as it has them.
    """
    return {
        "status": "complete",
        "parameters_g": 1_107_745,
        "parameters_d": 273_350,
        "macs_g": 5_510_000,
        "macs_d": 5_170_000,
        "matched_fraction": 1.0,
        "seconds_per_step": 0.03,
        "wall_seconds": 12.5,
        "peak_bytes": 540_000_000,
        "attempts": 1,
        "started_at": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "code_version": "0.1.0+abc",
        "packages": json.dumps({"python": "3.11", "torch": "2.14.1"}),
        "device": "cpu",
        "threads": 1,
        "precision": "float32",
        "data_hash": "d" * 64,
        "heldout_hash": "e" * 8,
        "feature_id": "efficientnet:12345678",
        **{f"arm_{axis}": level for axis, level in levels.items()},
        **values,
        **of,
    }


def split(count: int = 24, *, seed: int = 0, size: int = SIZE, channels: int = 1, paired: bool = True) -> Split:
    """Return random uint8 images."""
    import torch

    from harness.data import Split

    draw = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw)
    source = torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw) if paired else None
    return Split(target, source, torch.arange(count) % STYLES, tuple(str(i) for i in range(count)))


def dataset(**options: Any) -> Dataset:
    """Return a data set of random images."""
    from harness.data import Dataset

    return Dataset.of(
        split(seed=1, **options), split(seed=2, count=12, **options), tuple(f"style{i}" for i in range(STYLES))
    )
