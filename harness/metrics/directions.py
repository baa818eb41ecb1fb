"""Which direction of a value is better, where the words of its name say so."""

from __future__ import annotations

import re
from typing import Literal

LOWER = frozenset(
    (
        *("loss", "error", "err", "fid", "kid", "cmmd", "mmd", "swd", "lpips", "mse", "rmse", "mae", "l1", "l2", "nll"),
        *(
            "perplexity",
            "ppl",
            "wer",
            "cer",
            "bpd",
            "regret",
            "eer",
            "brier",
            "ece",
            "rmsle",
            "mape",
            "smape",
            "logloss",
        ),
    )
)
HIGHER = frozenset(
    (
        *(
            "accuracy",
            "acc",
            "auc",
            "auroc",
            "auprc",
            "roc",
            "f1",
            "precision",
            "recall",
            "psnr",
            "ssim",
            "msssim",
            "iou",
        ),
        *("miou", "dice", "bleu", "rouge", "meteor", "reward", "r2", "map", "sensitivity", "specificity", "coverage"),
        *("density", "kappa", "mcc"),
    )
)
TURNED = frozenset(("neg", "negative", "minus", "inverse", "inv", "one", "1", "drop", "gap", "diff", "delta"))
"""Words that may turn a direction round: a name with one of them says nothing."""
OPPONENTS = frozenset(
    ("d", "g", "gen", "gan", "dis", "disc", "generator", "discriminator", "critic", "adv", "adversarial")
)
"""Losses of opponents: lower is not better, since the other one may have become worse."""


def direction_of_words(name: str) -> Literal["lower", "higher"] | None:
    """Return the direction that the words of a name say; None where they say none, or both.

    Example:
        >>> direction_of_words("val/Accuracy"), direction_of_words("fid_clean"), direction_of_words("loss_d")
        ('higher', 'lower', None)
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().replace("ms_ssim", "msssim").replace("ms-ssim", "msssim")
    words = set(re.findall(r"[a-z]+\d*|\d+", spaced))
    if words & TURNED or ("loss" in words and words & OPPONENTS):
        return None
    low, high = bool(words & LOWER), bool(words & HIGHER)
    return None if low == high else "lower" if low else "higher"
