"""Arms of built-in settings whose nature is known, for the proofs: what each is, and so what may be said of it.

no-op: it trains the same networks in the same way · dead: nothing reads it · late: it differs, but at none of the
steps that a short training tries · tiny: it differs by less than float64 shows in a few steps · rounding: it is equal
in exact arithmetic, and float32 is far from it · real: it differs · invalid: it cannot be built · class: another
parametrisation of the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory import PAIRED, UNPAIRED

STEPS = 300
ONE_PLUS = 1 + 1e-12
Changes = Mapping[str, Any]
PLAIN: Changes = {
    **PAIRED,
    "study": "known",
    "data": {**PAIRED["data"], "characters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    "discriminator": {**PAIRED["discriminator"], "final_channels": 1},
    "training": {"steps": STEPS, "batch_size": 4},
    "measure": {"primary": "l1", "also": []},
    "confounded_above": 1e9,
}
FACES: Changes = {
    **PLAIN,
    **UNPAIRED,
    "training": {**UNPAIRED["training"], "steps": STEPS},
    "measure": {"primary": "ssim_diversity", "margin": 0.1, "also": []},
}
BLUR, INNER, LOSS = "discriminator.blur", "generator.innermost", "training.loss"
OPTIMIZER, SCHEDULE = "training.optimizer", "training.schedule"
HALVING = {f"{SCHEDULE}.kind": "halving", f"{SCHEDULE}.every": 0.34}
LARGE = {"data.image_size": 64, "generator.channels": 2, "discriminator.channels": 2}
LAYERED = {"discriminator.norm": "layer", f"{LOSS}.kind": "wgan_gp"}

Arm = tuple[str, Changes]
Group = tuple[Changes, Changes, tuple[Arm, ...]]
"""A study, what its baseline changes of it, and arms: what each is, and its changes of the baseline."""

GROUPS: dict[str, Group] = {
    "plain": (
        PLAIN,
        {},
        (
            *(("no-op", {BLUR: {"position": p, "kernel_size": 1}}) for p in ("input", "hidden", "features", "output")),
            ("no-op", {BLUR: {"position": "input", "kernel_size": 1, "sigma": 3.0, "fade": 0.5}}),
            ("no-op", {f"{INNER}.up_stride": 1}),
            ("no-op", {f"{INNER}.down_stride": 1}),
            ("no-op", {INNER: {"up_stride": 1, "down_stride": 1}}),
            ("no-op", {f"{INNER}.compensation": "interpolate"}),
            ("no-op", {f"{OPTIMIZER}.kind": "adamw"}),
            ("no-op", {f"{OPTIMIZER}.lr_discriminator": 2e-4}),
            ("no-op", {f"{LOSS}.real_and_fake": "joint"}),
            ("no-op", {"training.channels_last": False}),
            ("no-op", {"discriminator.final_conv.in_channels": 1}),
            ("no-op", {"discriminator.head_channels": 1}),
            ("no-op", {"generator.levels": 4}),
            ("no-op", {SCHEDULE: {"kind": "linear", "floor": 1.0}}),
            ("no-op", {SCHEDULE: {"kind": "cosine", "floor": 1.0}}),
            ("no-op", {SCHEDULE: {"kind": "halving", "every": 1.0}}),
            ("no-op", {SCHEDULE: {"kind": "halving", "every": 0.998}}),
            ("no-op", {SCHEDULE: {"kind": "halving", "floor": 1.0}}),
            ("no-op", {f"{INNER}.up_stride": 1, f"{OPTIMIZER}.kind": "adamw", "generator.dropout": 0.1}),
            ("no-op", {BLUR: {"position": "output", "kernel_size": 1}, f"{LOSS}.real_and_fake": "joint"}),
            ("dead", {"generator.dropout": 0.1}),
            ("dead", {f"{LOSS}.gradient_penalty": 1.0}),
            ("dead", {f"{SCHEDULE}.every": 0.9}),
            ("dead", {f"{SCHEDULE}.floor": 0.5}),
            ("dead", {f"{BLUR}.kernel_size": 9}),
            ("dead", {f"{BLUR}.sigma": 2.0}),
            ("dead", {f"{BLUR}.fade": 0.5}),
            ("dead", {f"{BLUR}.sigma": 2.0, f"{SCHEDULE}.every": 0.9, "generator.dropout": 0.0}),
            ("late", {SCHEDULE: {"kind": "halving", "every": 0.997 - 0.0005}}),
            ("tiny", {f"{OPTIMIZER}.weight_decay": 1e-9}),
            ("tiny", {f"{OPTIMIZER}.weight_decay": 1e-15}),
            ("tiny", {OPTIMIZER: {"kind": "adamw", "weight_decay": 1e-9}}),
            ("tiny", {f"{OPTIMIZER}.betas": (0.5, 0.999 * ONE_PLUS)}),
            ("tiny", {f"{OPTIMIZER}.lr": 2e-4 * ONE_PLUS}),
            ("tiny", {f"{OPTIMIZER}.lr_discriminator": 2e-4 * ONE_PLUS}),
            ("tiny", {f"{LOSS}.l1": 100 * ONE_PLUS}),
            ("tiny", {f"{LOSS}.category": ONE_PLUS}),
            ("tiny", {f"{LOSS}.constant": 15 * ONE_PLUS}),
            ("tiny", {f"{LOSS}.l1": 100 + 1e-9}),
            ("tiny", {"training.ema": 1e-15}),
            ("tiny", {SCHEDULE: {"kind": "linear", "floor": 1 - 1e-12}}),
            ("tiny", {SCHEDULE: {"kind": "cosine", "floor": 1 - 1e-12}}),
            ("tiny", {BLUR: {"position": "input", "kernel_size": 3, "sigma": 0.1}}),
            ("tiny", {BLUR: {"position": "input", "kernel_size": 3, "sigma": 0.13}}),
            ("class", {"discriminator.final_conv.kernel_size": 3}),
            ("class", {"discriminator.final_conv.kernel_size": 0}),
            ("invalid", {"discriminator.final_conv.in_channels": 4}),
            ("invalid", {"discriminator.head_channels": 2}),
            ("invalid", {"generator.levels": 7}),
        ),
    ),
    "plain, real changes": (
        PLAIN,
        {},
        (
            ("real", {f"{OPTIMIZER}.lr": 1e-3}),
            ("real", {f"{OPTIMIZER}.lr_discriminator": 1e-3}),
            ("real", {f"{OPTIMIZER}.betas": (0.9, 0.999)}),
            ("real", {f"{OPTIMIZER}.weight_decay": 0.1}),
            ("real", {OPTIMIZER: {"kind": "adamw", "weight_decay": 0.1}}),
            ("real", {f"{LOSS}.kind": "hinge"}),
            ("real", {f"{LOSS}.kind": "lsgan"}),
            ("real", {f"{LOSS}.kind": "sigmoid_bce"}),
            ("real", {f"{LOSS}.real_and_fake": "concat"}),
            ("real", {f"{LOSS}.l1": 0.0}),
            ("real", {f"{LOSS}.category": 0.0}),
            ("real", {"training.discriminator_steps": 2}),
            ("real", {"training.generator_steps": 1}),
            ("real", {"training.ema": 0.9}),
            ("real", {"training.batch_size": 6}),
            ("real", {"data.augment": "zi2zi"}),
            ("real", {"failures.diversity_floor": 0.5}),
            ("real", {f"{SCHEDULE}.kind": "linear"}),
            ("real", {f"{SCHEDULE}.kind": "cosine"}),
            ("real", {f"{SCHEDULE}.kind": "halving"}),
            ("real", {"discriminator.spectral_norm": "unnormalised"}),
            ("real", {"discriminator.spectral_norm": "convs"}),
            ("real", {"discriminator.spectral_norm": "scaled"}),
            ("real", {"discriminator.norm": "instance"}),
            ("real", {"discriminator.activation": "relu"}),
            ("real", {"discriminator.init": "default"}),
            ("real", {"discriminator.layers": 3}),
            ("real", {"discriminator.head": "mean"}),
            ("real", {BLUR: {"position": "input", "kernel_size": 3}}),
            ("real", {"generator.norm": "layer"}),
            ("real", {"generator.upsampling": "resize"}),
            ("real", {"generator.refine": True}),
            ("real", {"generator.skip_attention": True}),
            ("real", {"generator.up_activation": "leaky_relu"}),
            ("real", {"generator.style_channels": 4}),
        ),
    ),
    "halving": (
        PLAIN,
        HALVING,
        (
            ("late", {f"{SCHEDULE}.every": 0.4}),
            ("late", {f"{SCHEDULE}.every": 0.338}),
            ("late", {f"{SCHEDULE}.every": 0.34001}),
            ("no-op", {f"{SCHEDULE}.every": 0.339}),
            ("no-op", {f"{SCHEDULE}.every": 0.34 * ONE_PLUS}),
            ("no-op", {f"{SCHEDULE}.floor": 0.1}),
            ("no-op", {f"{SCHEDULE}.floor": 0.25}),
            ("tiny", {f"{SCHEDULE}.floor": 0.25 * ONE_PLUS}),
            ("real", {f"{SCHEDULE}.floor": 0.5}),
            ("real", {f"{SCHEDULE}.every": 0.2}),
        ),
    ),
    "fading": (
        PLAIN,
        {BLUR: {"position": "input", "kernel_size": 3, "fade": 0.1}},
        (
            ("late", {f"{BLUR}.fade": 0.2}),
            ("late", {f"{BLUR}.fade": 0.3}),
            ("late", {f"{BLUR}.fade": 0.05}),
            ("late", {f"{BLUR}.fade": 0.1001}),
            ("dead", {f"{SCHEDULE}.every": 0.9}),
            ("real", {f"{BLUR}.fade": 0.0}),
            ("real", {f"{BLUR}.fade": 1.0}),
            ("real", {f"{BLUR}.sigma": 0.5}),
            ("real", {f"{BLUR}.kernel_size": 5}),
        ),
    ),
    "faded at once": (
        PLAIN,
        {BLUR: {"position": "input", "kernel_size": 3, "fade": 0.003}},
        (
            ("no-op", {f"{BLUR}.fade": 0.001}),
            ("late", {f"{BLUR}.fade": 0.004}),
            ("real", {f"{BLUR}.position": "none"}),
        ),
    ),
    "narrow blur": (
        PLAIN,
        {BLUR: {"position": "input", "kernel_size": 3, "sigma": 0.1}},
        (("no-op", {f"{BLUR}.kernel_size": 5}), ("tiny", {f"{BLUR}.position": "none"})),
    ),
    "linear": (
        PLAIN,
        {SCHEDULE: {"kind": "linear", "floor": 0.003}},
        (
            ("no-op", {f"{SCHEDULE}.floor": 0.001}),
            ("dead", {f"{SCHEDULE}.every": 0.9}),
            ("real", {f"{SCHEDULE}.floor": 0.5}),
        ),
    ),
    "wgan": (
        PLAIN,
        LAYERED,
        (
            ("no-op", {f"{LOSS}.real_and_fake": "joint"}),
            ("real", {f"{LOSS}.gradient_penalty": 1.0}),
            ("tiny", {f"{LOSS}.gradient_penalty": 10 * ONE_PLUS}),
            ("invalid", {"discriminator.norm": "batch"}),
        ),
    ),
    "no norm": (PLAIN, {"discriminator.norm": "none"}, (("rounding", {f"{LOSS}.real_and_fake": "concat"}),)),
    "spectral norm": (
        PLAIN,
        {"discriminator.norm": "none", "discriminator.spectral_norm": "convs"},
        (
            ("real", {f"{LOSS}.real_and_fake": "concat"}),
            ("no-op", {BLUR: {"position": "output", "kernel_size": 1}}),
            ("real", {"discriminator.final_conv.kernel_size": 0}),
        ),
    ),
    "weight decay": (
        PLAIN,
        {OPTIMIZER: {"kind": "adamw", "weight_decay": 0.1}},
        (("real", {f"{OPTIMIZER}.kind": "adam"}), ("tiny", {f"{OPTIMIZER}.weight_decay": 0.1 * ONE_PLUS})),
    ),
    "dropout": (
        PLAIN,
        LARGE,
        (("real", {"generator.dropout": 0.1}), ("tiny", {"generator.dropout": 0.5 * ONE_PLUS})),
    ),
    "no dropout": (
        PLAIN,
        {**LARGE, "generator.dropout": 0.0},
        (("tiny", {"generator.dropout": 1e-9}), ("tiny", {"generator.dropout": 1e-14})),
    ),
    "2x2": (
        PLAIN,
        {"generator.levels": 3},
        (
            ("no-op", {f"{INNER}.compensation": "interpolate"}),
            ("invalid", {f"{INNER}.up_stride": 1}),
            ("invalid", {f"{INNER}.down_stride": 1}),
            ("real", {f"{INNER}.compensation": "upsample"}),
            ("real", {INNER: {"up_stride": 1, "down_stride": 1}}),
        ),
    ),
    "dcgan": (
        FACES,
        {},
        (
            ("no-op", {f"{LOSS}.real_and_fake": "joint"}),
            ("no-op", {"training.channels_last": False}),
            ("no-op", {f"{OPTIMIZER}.kind": "adamw"}),
            ("no-op", {BLUR: {"position": "hidden", "kernel_size": 1}}),
            ("dead", {f"{LOSS}.l1": 5.0}),
            ("dead", {f"{LOSS}.category": 5.0}),
            ("dead", {f"{LOSS}.constant": 5.0}),
            ("class", {BLUR: {"position": "features", "kernel_size": 3}}),
            ("real", {f"{LOSS}.kind": "sigmoid_bce"}),
            ("real", {"generator.last_norm": True}),
            ("real", {"discriminator.spectral_norm": "convs"}),
            ("real", {"generator.init": "default"}),
        ),
    ),
}
