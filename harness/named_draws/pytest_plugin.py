"""A plug-in for pytest: `matched_pair` lets a test say that a change leaves everything else alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from harness.named_draws.compare import Comparison

First = TypeVar("First")
Second = TypeVar("Second")
"""What the two functions return."""


@dataclass(frozen=True, slots=True)
class MatchedPair(Generic[First, Second]):
    """Two functions, both run with named draws in one block."""

    before: First
    after: Second
    comparison: Comparison
    """A is `before`, B is `after`."""

    def assert_else_alone(self) -> None:
        """Fail unless every draw and batch of `before` is one of `after`, bit for bit; `after` may make others too.

        Raises:
            AssertionError: With the first draw that was moved, and the shares of what is equal.
        """
        comparison = self.comparison
        if not comparison.keeps_a:
            raise AssertionError(f"the change moves more than itself\n{comparison.text()}")


class Matcher(Protocol):
    """What the fixture `matched_pair` is."""

    def __call__(
        self, before: Callable[[], First], after: Callable[[], Second], *, block: int | str = 0
    ) -> MatchedPair[First, Second]:
        """Run both functions with the draws of one block."""


@pytest.fixture
def matched_pair(tmp_path: Path) -> Matcher:
    """Run code as it was and as it is changed, each with the draws of one block.

    Give it one function with other arguments, or two lambdas: the places of draws are told apart by functions' names.

    Example:
        >>> def test_spectral_norm_moves_nothing_else(matched_pair):
        ...     pair = matched_pair(lambda: train(Discriminator()), lambda: train(Discriminator(norm=True)))
        ...     pair.assert_else_alone()
        ...     assert pair.comparison.weights.share == 1
    """

    def run(
        before: Callable[[], First], after: Callable[[], Second], *, block: int | str = 0
    ) -> MatchedPair[First, Second]:
        from harness.named_draws.activation import matched
        from harness.named_draws.compare import compare_traces
        from harness.named_draws.places import bottom_call

        traces = [tmp_path / name for name in ("before.jsonl", "after.jsonl")]
        with matched(block, trace=traces[0]):
            first = bottom_call(before)
        with matched(block, trace=traces[1]):
            second = bottom_call(after)
        return MatchedPair(first, second, compare_traces(*traces))

    return run
