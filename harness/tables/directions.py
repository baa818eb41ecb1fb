"""Which direction of a value is better, where its name says so."""

from __future__ import annotations

import re

from harness.errors import DataError
from harness.metrics.catalogue import METRICS
from harness.statistics.verdict_rule import Better
from harness.tables.columns import short

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
WORDS: dict[str, Better] = {
    **dict.fromkeys(("lower", "min", "minimize", "minimise"), "lower"),
    **dict.fromkeys(("higher", "max", "maximize", "maximise"), "higher"),
}


def direction_of(name: str) -> Better | None:
    """Return the direction that a value's name says; None where it says none.

    Example:
        >>> direction_of("val/Accuracy"), direction_of("metrics.fid_clean"), direction_of("loss_d")
        ('higher', 'lower', None)
    """
    bare = short(name)
    if bare in METRICS:
        return METRICS[bare].better
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).lower().replace("ms_ssim", "msssim").replace("ms-ssim", "msssim")
    words = set(re.findall(r"[a-z]+\d*|\d+", spaced))
    if words & TURNED or ("loss" in words and words & OPPONENTS):
        return None
    low, high = bool(words & LOWER), bool(words & HIGHER)
    return None if low == high else "lower" if low else "higher"


def direction(better: str | None, name: str, where: str) -> tuple[Better, str | None]:
    """Return the direction that was given, or that the value's name says with a sentence that it does.

    Raises:
        DataError: The word is no direction, or none was given and the name says none.
    """
    if better is not None:
        if better.lower() not in WORDS:
            raise DataError(f"better: '{better}' found; allowed: lower, higher (also minimize, maximize)")
        return WORDS[better.lower()], None
    said = direction_of(name)
    if said is None:
        raise DataError(
            f"{where}: nothing says whether a lower or a higher '{short(name)}' is better; "
            "say --direction lower or --direction higher"
        )
    return said, f"{said.capitalize()} {short(name)} is taken as better, by its name; --direction says otherwise."
