"""The changes made by hand that the fast tests must notice; whether they do is `nox -s mutants`."""

from __future__ import annotations

import pytest


def test_each_change_made_by_hand_still_has_its_place_in_the_code() -> None:
    pytest.importorskip("cosmic_ray")
    import mutants

    assert len(mutants.BY_HAND) >= 4
    for module, text, change, tests in mutants.BY_HAND:
        assert (mutants.ROOT / module).read_text(encoding="utf-8").count(text) == 1
        assert change != text
        assert all((mutants.ROOT / name).is_file() for name in tests.split())
