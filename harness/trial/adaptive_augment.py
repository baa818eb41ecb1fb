"""ADA's rule: as much augmentation as keeps the discriminator from memorising (Karras 2020, arXiv:2006.06676)."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.study.training_settings import AdaptiveAugmentSettings, LossSettings

BOUNDARY = {"bce": 0.0, "sigmoid_bce": 0.0, "hinge": 0.0, "lsgan": 0.5}
"""The logit between real and generated, by kind of loss; a critic's scores have none."""


class AdaptiveAugment:
    """The probability of each augmentation, and the judgements that it follows; part of a training's state.

    Both are tensors on the device of the training, so that no step waits for them.
    """

    def __init__(self, settings: AdaptiveAugmentSettings, loss: LossSettings, device: torch.device) -> None:
        """Begin without augmentation.

        Raises:
            ValueError: The loss has no logit that lies between real and generated images.
        """
        if loss.kind not in BOUNDARY or loss.relativistic:
            what = "relativistic" if loss.relativistic else f"kind {loss.kind}"
            raise ValueError(
                f"training.adaptive_augment does not go with training.loss.{what}: its logits are compared with each "
                "other, so none is right or wrong by itself; use bce, sigmoid_bce, hinge or lsgan"
            )
        self.target, self.every, self.images = settings.target, settings.every, settings.images
        self.boundary = BOUNDARY[loss.kind]
        self.probability = torch.zeros((), dtype=torch.float64, device=device)
        """Of each augmentation of each image, in [0, 1]."""
        self.trust = torch.zeros_like(self.probability)
        """r_t: the mean sign of the logits of real images over the last adjustment, in [-1, 1]."""
        self._signs = torch.zeros_like(self.probability)
        self._seen = self._steps = 0

    def see(self, logits: Tensor) -> None:
        """Take in the discriminator's logits of one batch of real images, (N,), or (N, H, W) of patches."""
        self._signs += (logits.detach().double() - self.boundary).sign().mean() * len(logits)
        self._seen += len(logits)

    def end_step(self) -> None:
        """Count a step; at each so many-th move the probability towards the target, from 0 to 1 within `images`."""
        self._steps += 1
        if self._steps < self.every:
            return
        self.trust = self._signs / self._seen
        move = (self.trust - self.target).sign() * (self._seen / self.images)
        self.probability = (self.probability + move).clamp(0, 1)
        self._signs = torch.zeros_like(self._signs)
        self._seen = self._steps = 0

    def signals(self) -> dict[str, float]:
        """Return what is logged; reading it waits for the device."""
        return {"augment_probability": self.probability.item(), "real_sign": self.trust.item()}

    def state_dict(self) -> dict[str, Tensor | int]:
        """Return all that later steps depend on."""
        return {
            "probability": self.probability,
            "trust": self.trust,
            "signs": self._signs,
            "seen": self._seen,
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Go on from a state."""
        for name in ("probability", "trust"):
            getattr(self, name).copy_(state[name])
        self._signs.copy_(torch.as_tensor(state["signs"]))
        self._seen, self._steps = int(state["seen"]), int(state["steps"])
