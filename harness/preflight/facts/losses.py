"""Facts about losses: where they saturate, and what passing real and fake images together does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.function_probe import agreement, course
from harness.trial.losses import ADVERSARIAL


def saturation_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield each loss's value and gradient on a fake image that the discriminator is sure is real, at a logit of 20."""
    for kind in dict.fromkeys(arm.settings.training.loss.kind for arm in arms):
        logit = torch.tensor([20.0], requires_grad=True)
        loss = ADVERSARIAL[kind].fake(logit)
        (gradient,) = torch.autograd.grad(loss, logit)
        figures = {"loss": loss.item(), "gradient": gradient.item()}
        yield Fact(
            f"training.loss.kind {kind}",
            f"a fake image with logit 20 costs the discriminator {figures['loss']:.4g}, with gradient "
            f"{figures['gradient']:.4g} (float32)",
            figures,
        )


def batch_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield how far each way of passing real and fake images changes the discriminator's first gradient."""
    first = {}
    for arm in arms:
        kind = arm.settings.training.loss.real_and_fake
        if kind not in first:
            taken = course(arm.small, arm.shape, set(), [0])
            first[kind] = {k: x for k, x in taken.items() if k.startswith("0/discriminator/gradient")}
    (base_kind, base), *others = first.items()
    for kind, gradients in others:
        gap = agreement(gradients, base).worst
        how = "equals that of" if gap <= 1e-12 else f"differs by up to {gap:.1%} from that of"
        yield Fact(
            f"real_and_fake {kind}", f"the discriminator's first gradient {how} {base_kind}", {"difference": gap}
        )
