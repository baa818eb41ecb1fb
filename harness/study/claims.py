"""Statements that a study settles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.study.fields import Axis, Settings, Text


class SpreadClaim(Settings):
    """How far the outcome spreads over the levels of one axis, at one level of another against the baseline's level."""

    over: Axis
    """The axis whose levels the outcome should hardly depend on, e.g. `training.optimizer.lr`."""
    of: Axis
    """The axis that should make it so, e.g. `discriminator.spectral_norm`."""
    level: Text | None = None
    """Its level, by name; the one beside the baseline's unless given."""
    margin: Annotated[float, Field(gt=0.0)] | Text | None = None
    """The smallest ratio of spreads that matters, e.g. `25%`; without one a spread is never called equivalent."""


class Claim(Settings):
    """A statement that the study settles: about one arm, a ranking of arms, an interaction, or a spread."""

    id: Text
    """A short name; those of the shipped studies are in studies/claims/posts.yaml."""
    quote: Text
    """In the words of whoever made it."""
    arm: Text | None = None
    """The arm that it is about, by its name, e.g. `spectral_norm=convs`."""
    order: tuple[Text, ...] = ()
    """Or three arms and more, the best first, `baseline` among them if it is one: Page's test over blocks."""
    interaction: tuple[Axis, Axis] | None = None
    """Or two axes of two levels, of a factorial design: `helps` says that together they do better than their sum."""
    spread: SpreadClaim | None = None
    """Or a spread, of a factorial design: `helps` says that it is smaller."""
    metric: Text | None = None
    """The primary metric unless given."""
    expect: Literal[
        "helps", "hurts", "difference", "no difference", "not worse", "not better", "no-op", "builds", "invalid", None
    ] = None
    """What it says will happen; `harness.statistics.claims` lists the verdicts that support and contradict it. A
    ranking says it by its order."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> Claim:
        about = [name for name in ("arm", "order", "interaction", "spread") if getattr(self, name)]
        if len(about) != 1:
            found = " and ".join(about) or "none of them"
            raise ValueError(f"a claim is about one of arm, order, interaction and spread; found {found}")
        if self.order and (len(self.order) < 3 or len(set(self.order)) < len(self.order)):
            raise ValueError("order: three different arms or more, the best first")
        if bool(self.order) == (self.expect is not None):
            raise ValueError("a ranking takes no expect" if self.order else "expect is missing: helps, hurts, ...")
        return self

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        if self.order:
            return " better than ".join(self.order)
        if self.interaction:
            return " with ".join(self.interaction)
        if self.spread is not None:
            return f"{self.spread.of}: spread over {self.spread.over}"
        return str(self.arm)
