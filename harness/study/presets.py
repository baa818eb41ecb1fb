"""Recipes by name, `preset:` in a study: settings of other projects, laid under those of the study's own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PresetName = Literal["zi2zi"]


@dataclass(frozen=True)
class Preset:
    """A recipe, group by group."""

    kinds: Mapping[str, tuple[str, ...]]
    """The kinds of each group that it is meant for, the first of which is taken unless the study names one."""
    settings: Mapping[str, Mapping[str, Any]]

    def under(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to lay under a study's own settings: the groups whose kind the recipe is meant for."""
        chosen = {}
        for group, values in self.settings.items():
            own = study.get(group)
            kinds = self.kinds.get(group, ())
            kind = own.get("kind") if isinstance(own, Mapping) else None
            if not kinds or kind is None:
                chosen[group] = {**({"kind": kinds[0]} if kinds else {}), **values}
            elif kind in kinds:
                chosen[group] = dict(values)
        return chosen


PRESETS: Mapping[str, Preset] = {
    # EuphoriaYan/zi2zi-pytorch @0e9f3dd: train.py and the defaults of model/model.py. It trains for 100 epochs;
    # `training.steps` is the study's own.
    "zi2zi": Preset(
        kinds={"data": ("glyphs", "pairs"), "generator": ("unet",), "discriminator": ("zi2zi",)},
        settings={
            "data": {"image_size": 256, "channels": 3, "holdout": 0.1, "augment": "zi2zi"},
            "generator": {
                "channels": 64,
                "style_channels": 128,
                "norm": "batch",
                "dropout": 0.5,
                "upsampling": "transposed",
                "init": "normal",
            },
            "discriminator": {
                "channels": 64,
                "norm": "batch",
                "layers": 4,
                "final_conv": {"kernel_size": 5},
                "head": "linear",
                "category_head": True,
                "spectral_norm": "none",
                "init": "normal",
            },
            "training": {
                "batch_size": 16,
                "discriminator_steps": 1,
                "generator_steps": 2,
                "loss": {
                    "kind": "bce",
                    "adversarial": 1.0,
                    "l1": 100.0,
                    "category": 1.0,
                    "constant": 15.0,
                    "real_and_fake": "joint",
                },
                # The rate is halved after every 20 of 100 epochs, and never below 2e-4.
                "optimizer": {"kind": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "weight_decay": 0.0},
                "schedule": {"kind": "halving", "every": 0.2, "floor": 0.2},
                "ema": 0.0,
                "precision": "float32",
            },
        },
    )
}
"""Every recipe by its name."""
