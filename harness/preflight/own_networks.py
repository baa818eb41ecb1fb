"""Networks of a user's own: do they keep the contract, said in one line, and can they be tried in a moment?"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from harness.models import Conditions, NetworkPair, own_networks
from harness.models.contract import generated_problems, judged_problems, range_problems
from harness.models.cost import NetworkCost, words_for_shapes
from harness.plugins import in_words, place_of
from harness.preflight.function_probe import probe_inputs
from harness.preflight.settings_read import own_parts
from harness.preflight.small_networks import Shape
from harness.study.settings import TrialSettings

TRIED_MACS, TRIED_PARAMETERS = 100_000_000, 10_000_000
"""Multiply-adds per image and parameters beyond which networks that cannot be made smaller are not compared."""


def too_large_to_try(settings: TrialSettings, size: NetworkCost) -> str | None:
    """Return why networks are not compared on small copies, or None."""
    if not own_networks(settings):
        return None
    macs, parameters = size.macs_g + size.macs_d, size.parameters_g + size.parameters_d
    if macs <= TRIED_MACS and parameters <= TRIED_PARAMETERS:
        return None
    return (
        f"not compared: networks of your own are tried as they are, and {macs:,} multiply-adds an image and "
        f"{parameters:,} parameters are too many for that"
    )


@torch.no_grad()
def breach(pair: NetworkPair, settings: TrialSettings, shape: Shape) -> tuple[str | None, tuple[str, ...]]:
    """Return the first way in which networks break the contract, or None, and notes on what they do else.

    Args:
        pair: Both networks at their real size; copies are called.
        settings: The arm's.
        shape: Of the data.
    """
    s = settings.data
    conditions, images = probe_inputs(settings, shape, torch.float32)
    names = {net: getattr(settings, net).kind if net in own_parts(settings) else net for net in pair.networks()}
    called = f"{names['generator']}, called with {_in_words(conditions)}"
    needed = "a Generated(image, code)"
    try:
        generator, discriminator = copy.deepcopy(pair.generator), copy.deepcopy(pair.discriminator)
        with words_for_shapes("generator", generator):
            generated = generator.train()(conditions)
        problems = generated_problems(generator, generated, len(images), s.image_size, s.channels)
        if not problems:
            notes = tuple(f"{called}: {problem}" for problem in range_problems(generated))
            called = f"{names['generator']} in evaluation mode, called with {_in_words(conditions)}"
            drawn = generator.eval()(conditions)
            problems = generated_problems(generator, drawn, len(images), s.image_size, s.channels)
        if problems:
            return f"{called}: {problems[0]}", ()
        if not torch.equal(drawn.image, generator(conditions).image):
            notes += (f"{called}: two calls differ; draw nothing there",)
        called = f"{names['discriminator']}, called with images {tuple(images.shape)} and {_in_words(conditions)}"
        needed = "a Judgement(real, category)"
        with words_for_shapes("discriminator", discriminator):
            judged = discriminator.train()(generated.image, conditions)
        problems = judged_problems(judged, len(images))
    except Exception as error:  # noqa: BLE001 - whatever a user's code may raise
        shapes = isinstance(error, ValueError) and error.__cause__ is not None
        what = f"{error}{place_of(error.__cause__)}" if shapes else f"raised {in_words(error)}"
        return f"{called}: {what}; {needed} is needed", ()
    return (f"{called}: {problems[0]}", ()) if problems else (None, notes)


def _in_words(conditions: Conditions) -> str:
    parts: dict[str, Tensor | None] = conditions._asdict()
    return "Conditions(" + ", ".join(f"{k} {None if x is None else tuple(x.shape)}" for k, x in parts.items()) + ")"
