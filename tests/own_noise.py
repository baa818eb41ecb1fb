"""A generator of a user's own that draws noise whatever it is taught: its parameter has no part in the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness.models import Conditions, Generated


class Noise(nn.Module):
    """Draws for each source a noise of its own, the same every time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, conditions: Conditions) -> Generated:
        """(N, C, S, S) to the same."""
        assert conditions.source is not None
        source: Tensor = conditions.source
        places = torch.arange(source[0].numel(), dtype=torch.float64).view_as(source[0])
        key = source.double().mean(dim=(1, 2, 3), keepdim=True)
        noise = torch.frac(torch.sin(places * 12.9898 + key * 78.233 + 1.0) * 43758.5453).abs() * 2 - 1
        return Generated(noise.float() + 0 * self.weight)


def noise(**_: Any) -> nn.Module:
    """Return the generator, for `generator.kind: own_noise:noise`."""
    return Noise()
