"""Who lies in whose neighbourhood of features: what precision, recall, density and coverage are read from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 5
"""Neighbours that span a neighbourhood (Naeem 2020, arXiv:2002.09797, section 4, takes 5; Kynkaanniemi 2019 took 3)."""
_ROWS = 2000
"""Rows of the table of distances that are held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """What the four metrics are averages of."""

    inside_real: Tensor
    """(M,): in how many real neighbourhoods each generated image lies."""
    inside_fake: Tensor
    """(N,): whether each real image lies in a generated neighbourhood."""
    covered: Tensor
    """(N,): whether each real neighbourhood holds a generated image."""


def neighbourhoods(real: Tensor, fake: Tensor, neighbours: int = NEIGHBOURS) -> Neighbourhoods:
    """Return who lies in whose neighbourhood, of features (N, d) and (M, d).

    A neighbourhood is the closed ball around an image that reaches to its k-th nearest other image of the same kind.

    Raises:
        ValueError: Not more than k images on one side.
    """
    if min(len(real), len(fake)) <= neighbours:
        sizes = f"{len(real)} real and {len(fake)} generated images"
        raise ValueError(f"neighbourhoods: got {sizes}, expected more than {neighbours} of each")
    centre = real.to(torch.float64).mean(dim=0)
    x, y = real.to(torch.float64) - centre, fake.to(torch.float64) - centre
    radii_real, radii_fake = _radii(x, neighbours), _radii(y, neighbours)
    inside_real = torch.zeros(len(y), dtype=torch.float64)
    inside_fake, covered = [], []
    for rows, radii in zip(x.split(_ROWS), radii_real.split(_ROWS), strict=True):
        distances = torch.cdist(rows, y)
        within = distances <= radii[:, None]
        inside_real += within.sum(dim=0)
        covered.append(within.any(dim=1))
        inside_fake.append((distances <= radii_fake[None, :]).any(dim=1))
    return Neighbourhoods(inside_real, torch.cat(inside_fake).double(), torch.cat(covered).double())


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """Return the distance (N,) to the k-th nearest other row."""
    found = [torch.cdist(rows, x).kthvalue(neighbours + 1, dim=1).values for rows in x.split(_ROWS)]
    return torch.cat(found)


def expected_coverage(n: int, m: int, neighbours: int = NEIGHBOURS) -> float:
    """Return the coverage of n images by m of the same distribution: 1 - Π_i (n - i) / (n + m - i) for i = 1 … k.

    Of a real image's n - 1 + m others, in random order of distance, none of the k nearest is a generated one.
    """
    return 1 - math.prod((n - i) / (n + m - i) for i in range(1, neighbours + 1))
