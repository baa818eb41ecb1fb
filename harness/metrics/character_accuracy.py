"""Which character it is: the share of generated images that a reading network takes for the wanted one."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from harness.errors import DataError
from harness.metrics.extractors import ocr
from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value


def read_correctly(images: Tensor, characters: tuple[str, ...]) -> list[bool]:
    """Return for each image (N, C, H, W) in [0, 1] whether it is read as exactly the wanted character."""
    return [read == wanted for read, wanted in zip(ocr.read(images), characters, strict=True)]


def character_accuracy(task: MetricInput) -> Value:
    """Return the share read as the wanted character, in [0, 1], higher is better, of those that the network knows.

    With pairs, the floor is the share among the real images: the network's own mistakes.

    Raises:
        DataError: The network knows none of the characters.
    """
    evaluation = task.evaluation
    characters = evaluation.characters or ()
    known = ocr.characters()
    items = [index for index, character in enumerate(characters) if character in known]
    if not items:
        found = "".join(characters[:5])
        raise DataError(f"character_accuracy: the network knows none of the characters ({found} …); leave it out")
    wanted = tuple(characters[index] for index in items)
    read = averaged(np.array(read_correctly(evaluation.fake[items], wanted), dtype=float))
    floor = float(np.mean(read_correctly(evaluation.real[items], wanted))) if evaluation.paired else None
    return Value(
        value=read.value,
        floor=floor,
        standard_error=read.standard_error,
        evaluation_sd=read.evaluation_sd,
        n_real=len(items) if evaluation.paired else 0,
        n_fake=len(items),
        feature_id=ocr.feature_id(),
    )
