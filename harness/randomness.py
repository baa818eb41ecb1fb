"""Named randomness: every draw has a name, and a stream of its own that belongs to the block and never to the arm."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seed_for(block: str, name: str) -> int:
    """Return the 63-bit seed of one named stream of randomness in one block.

    Args:
        block: The block's key; equal for all arms of the block.
        name: What the draws are for, e.g. ``init/discriminator.conv3.weight`` or ``latent/17``.
    """
    digest = hashlib.sha256(f"{block}|{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(block: str, name: str) -> torch.Generator:
    """Return a fresh CPU generator at the start of the named stream.

    Draws are made on the CPU and then moved: CPU and CUDA generators give different numbers for one seed.
    """
    import torch

    return torch.Generator().manual_seed(seed_for(block, name))
