"""Seeds and streams by name: stored studies rest on them, so they are the same for ever."""

from __future__ import annotations

import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.randomness import seed_for, stream


def test_a_seed_is_the_number_it_was_in_every_release() -> None:
    assert seed_for("0", "init/discriminator.conv3.weight") == 1_390_179_480_553_856_450
    assert seed_for("7", "latent/17") == 2_557_880_866_037_059_327


@given(block=st.text("ab0/|é漢", max_size=5), name=st.text("ab0/|é漢", max_size=9))
def test_a_seed_is_the_first_63_bits_of_the_digest_of_block_and_name(block: str, name: str) -> None:
    digest = hashlib.sha256(f"{block}|{name}".encode()).hexdigest()
    assert seed_for(block, name) == int(digest[:16], 16) // 2


def test_seeds_fill_63_bits_and_no_two_of_them_meet() -> None:
    seeds = {seed_for(str(block), f"latent/{draw}") for block in range(100) for draw in range(100)}
    assert len(seeds) == 10_000
    assert max(seeds) >> 62 == 1
    assert {bit for bit in range(63) if any(seed >> bit & 1 for seed in seeds)} == set(range(63))


def test_a_stream_begins_at_its_seed_and_touches_no_other() -> None:
    before = torch.get_rng_state()
    first, again = (torch.rand(4, generator=stream("0", "x")) for _ in range(2))
    assert torch.equal(first, again)
    assert stream("0", "x").initial_seed() == seed_for("0", "x")
    assert not torch.equal(first, torch.rand(4, generator=stream("1", "x")))
    assert torch.equal(torch.get_rng_state(), before)
