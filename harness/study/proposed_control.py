"""A positive control for a study that declares none: something known to matter, near what the study asks about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.study.design import arms
from harness.study.network_settings import Zi2ziDiscriminatorSettings
from harness.study.settings import TrialSettings
from harness.study.study import Study


@dataclass(frozen=True)
class ProposedControl:
    """A positive control, and why it goes with a study's axes."""

    positive: Mapping[str, Any] | str
    """Settings by their dotted names, or the name of a control."""
    reason: str

    @property
    def fragment(self) -> str:
        """What to paste into the study file."""
        if isinstance(self.positive, str):
            return f"controls:\n  positive: {self.positive}"
        settings = ", ".join(f"{name}: {json.dumps(value)}" for name, value in self.positive.items())
        return f"controls:\n  positive: {{{settings}}}"


def proposed_control(study: Study, training_items: int | None = None) -> ProposedControl:
    """Return a positive control that goes with a study's axes; it is expected to be worse.

    A question about the discriminator or the training is answered by an experiment that sees the adversarial part go,
    where something else still teaches; one about the generator, that sees half of it go; one about the data, that sees
    half of the items go. Where none of these can be, the generator learns at a tenth of its rate.

    Args:
        study: The study.
        training_items: Items that the baseline is trained on, where the data was loaded.
    """
    baseline = arms(study)[0].settings
    if baseline.trial is not None:
        flags = f"{baseline.trial.flags} --lr 1e-6".strip()
        return ProposedControl({"flags": flags}, "write what is known to harm: this learns nearly nothing")
    groups = {axis.split(".")[0] for axis in study.axes}
    options = (
        (groups & {"discriminator", "training", "failures"} or not groups, _no_adversary(baseline)),
        ("generator" in groups, _half_the_generator(baseline)),
        ("data" in groups, _half_the_items(baseline, training_items)),
    )
    fallback = ProposedControl("planted-harm", "the generator learns at a tenth of its rate")
    return next((control for applies, control in options if applies and control is not None), fallback)


def _no_adversary(baseline: TrialSettings) -> ProposedControl | None:
    """Take the discriminator's part away; only where a target still teaches the generator."""
    loss, data = baseline.training.loss, baseline.data
    if not (loss.adversarial and loss.l1 and data.PAIRED):
        return None
    teaches = isinstance(baseline.discriminator, Zi2ziDiscriminatorSettings) and baseline.discriminator.category_head
    category = {"training.loss.category": 0} if teaches and loss.category else {}
    return ProposedControl(
        {"training.loss.adversarial": 0, **category}, "the generator learns nothing from the discriminator"
    )


def _half_the_generator(baseline: TrialSettings) -> ProposedControl | None:
    channels = getattr(baseline.generator, "channels", None)
    if not isinstance(channels, int) or channels < 2:
        return None
    return ProposedControl({"generator.channels": channels // 2}, "the generator has half its channels")


def _half_the_items(baseline: TrialSettings, items: int | None) -> ProposedControl | None:
    limit = getattr(baseline.data, "limit", None) or items
    if limit is None or limit < 2 or "limit" not in type(baseline.data).model_fields:
        return None
    return ProposedControl({"data.limit": limit // 2}, "it is trained on half the items")
