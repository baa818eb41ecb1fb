"""Which arms a study has, how many blocks of them, and when it is looked at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Strict, Tag, field_validator

from harness.study.fields import Count, Settings


class LookSchedule(Settings):
    """Blocks are added up to each look in turn, until every contrast is decided."""

    looks: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Numbers of blocks after which the study is judged, increasing."""
    beyond: Annotated[int, Strict(), Field(ge=0)] = 0
    """Blocks after the last look for contrasts still open, judged by a rule that holds at any number of blocks."""

    @field_validator("looks")
    @classmethod
    def _increase(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("looks must increase")
        return value


class DesignSettings(Settings):
    """Which arms there are and how many blocks of them."""

    kind: Literal["one_factor", "factorial", "fractional"] = "one_factor"
    """Each level against the baseline; all combinations of levels; or a fraction of those, of two-level axes."""
    blocks: Annotated[
        Annotated[Count, Tag("number")] | Annotated[LookSchedule, Tag("schedule")],
        Discriminator(lambda given: "schedule" if isinstance(given, (dict, LookSchedule)) else "number"),
    ] = 6
    """Number of blocks, or the schedule of looks."""
    halvings: Count = 1
    """Of a `fractional` design: each halves the number of arms; the fraction with the fewest aliases is taken."""
    seed: Annotated[int, Strict(), Field(ge=0)] = 0
    """Names the streams together with the block. Another seed is a replication: new weights, order and noise in every
    block, and a results folder of its own; the data and its held-out items stay."""

    @property
    def looks(self) -> tuple[int, ...] | None:
        """The schedule of looks, or None for a fixed number of blocks."""
        return self.blocks.looks if isinstance(self.blocks, LookSchedule) else None

    @property
    def most_blocks(self) -> int:
        """The largest number of blocks."""
        return self.goals[-1]

    @property
    def goals(self) -> tuple[int, ...]:
        """The numbers of blocks after which the study is judged."""
        if not isinstance(self.blocks, LookSchedule):
            return (self.blocks,)
        looks, beyond = self.blocks.looks, self.blocks.beyond
        return (*looks, looks[-1] + beyond) if beyond else looks
