"""What an arm and the baseline do *not* share in a block: said by axis, with what was counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from harness.data import Split
from harness.models import MatchedDropout
from harness.models.alignment import named_weights
from harness.preflight.facts.fact import Fact, Inspected
from harness.trial.trainer import BatchOrder

BLOCK = "0"
"""The block whose order of items is counted in."""
COUNTED = 1000
"""Steps that are counted at the most."""


def unmatched_facts(arms: Sequence[Inspected]) -> Iterable[Fact]:
    """Yield what arms draw or see otherwise than the baseline beside what is meant to change, each thing once."""
    said: set[str] = set()
    for arm in arms[1:]:
        for finding, figures in _differences(arm, arms[0]):
            if finding not in said:
                said.add(finding)
                yield Fact(arm.name, f"not matched: {finding}", figures)


def _differences(arm: Inspected, baseline: Inspected) -> Iterator[tuple[str, dict[str, float]]]:
    mine, theirs = arm.settings.training, baseline.settings.training
    if mine.batch_size != theirs.batch_size:
        kept = min(mine.batch_size, theirs.batch_size)
        yield (
            f"items come in one order, but in batches of {mine.batch_size} and {theirs.batch_size}: after the first "
            f"{kept} the same item comes at another step, {' and '.join(('with other items', *_drawn(arm)))}",
            {"items": kept},
        )
    if mine.discriminator_steps != theirs.discriminator_steps and mine.batch_size == theirs.batch_size:
        equal, steps = _equal_batches(arm, baseline)
        yield (
            f"the generator learns from the last of {mine.discriminator_steps} batches a step, in the baseline of "
            f"{theirs.discriminator_steps}: its batch is the baseline's at {equal:,} of {steps:,} steps",
            {"steps": equal},
        )
    if arm.data.hash != baseline.data.hash:
        yield _other_order(arm.data.train, baseline.data.train)
    yield from _effective_weights(arm, baseline)


def _drawn(arm: Inspected) -> list[str]:
    """Return what is drawn anew for the items of each step."""
    dropouts = (m for net in arm.pair.networks().values() for m in net.modules() if isinstance(m, MatchedDropout))
    drawn = {
        "another augmentation": arm.settings.data.augment != "none",
        "another latent": arm.settings.latent is not None,
        "other dropout masks": any(dropout.probability > 0 for dropout in dropouts),
    }
    return [what for what, used in drawn.items() if used]


def _equal_batches(arm: Inspected, baseline: Inspected) -> tuple[int, int]:
    """Return at how many steps the generator gets the baseline's batch, and of how many steps."""
    steps = min(arm.settings.training.steps, baseline.settings.training.steps, COUNTED)
    a, b = (
        [order.batch((step + 1) * each - 1) for step in range(steps)]
        for order, each in (
            (BatchOrder(len(x.data.train), t.batch_size, BLOCK), t.discriminator_steps)
            for x in (arm, baseline)
            for t in (x.settings.training,)
        )
    )
    return sum(torch.equal(x, y) for x, y in zip(a, b, strict=True)), steps


def _other_order(mine: Split, theirs: Split) -> tuple[str, dict[str, float]]:
    """Compare the items that the first epoch of two data sets brings at each place."""
    count = min(len(mine), len(theirs))
    first, second = (
        [(split.labels[i], int(split.style[i])) for i in BatchOrder(len(split), count, BLOCK).batch(0).tolist()]
        for split in (mine, theirs)
    )
    equal = sum(a == b for a, b in zip(first, second, strict=True))
    return (
        f"it trains on {len(mine):,} items, the baseline on {len(theirs):,}, in another order: of the first {count:,}, "
        f"{equal:,} come at the same place in both (by label and style)",
        {"equal": equal, "items": count},
    )


def _effective_weights(arm: Inspected, baseline: Inspected) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield by how much the weights that are used at the start differ where the weights that are learnt are shared."""
    for net, network in arm.pair.networks().items():
        others = dict(baseline.pair.networks()[net].named_modules())
        ratios = {
            name: _norm(layer) / _norm(others[name])
            for name, layer in network.named_modules()
            if name in others and _bound(layer) != _bound(others[name]) and _shared(layer, others[name])
        }
        if ratios:
            said = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
            yield (
                f"the {net}s learn from the same initial weights but use others: the first weights in use have, by "
                f"spectral normalisation, so many times the baseline's size: {said}",
                ratios,
            )


def _bound(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight")


def _shared(layer: nn.Module, other: nn.Module) -> bool:
    """Return whether two layers learn bit-equal weights."""
    learnt, others = (dict(named_weights(x)).get("weight") for x in (layer, other))
    if learnt is None or others is None:
        return False
    return learnt.shape == others.shape and torch.equal(learnt, others)


@torch.no_grad()
def _norm(layer: nn.Module) -> float:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return float(weight.norm())
