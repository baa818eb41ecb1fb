"""Mean absolute difference between each generated image and its target."""

from __future__ import annotations

from harness.metrics.task import MetricInput, averaged
from harness.metrics.value import Value


def l1(task: MetricInput) -> Value:
    """Return the mean absolute difference on [0, 1] over all pixels of all pairs, lower is better."""
    gap = task.evaluation.fake.double() - task.evaluation.real.double()
    return averaged(gap.abs().mean(dim=(1, 2, 3)).cpu().numpy())
