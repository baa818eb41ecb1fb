"""Networks of a user's own: aligned with the baseline's, and drawn as their author draws, from named streams."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import factory
import numpy as np
import own_gans
import pytest
import torch
from torch import nn

from harness.models import NetworkPair, build_pair, matched_fraction, matches
from harness.models.alignment import aligned, named_weights, parts
from harness.models.constructor_draws import build_with_named_draws
from harness.study.settings import TrialSettings

BOTH = ("generator", "discriminator")


def settings(init: str = "own", **options: Any) -> TrialSettings:
    """Return a trial of the ResNet and the PatchGAN; `spectral` goes to both, other options to the PatchGAN."""
    of_both = {key: value for key, value in options.items() if key == "spectral"}
    return TrialSettings.model_validate(
        {
            **factory.PAIRED,
            "generator": {"kind": "own_gans:resnet", "init": init, "options": of_both},
            "discriminator": {"kind": "own_gans:patchgan", "init": init, "options": options},
        }
    )


def built(baseline: NetworkPair | None = None, *, block: str = "0", **options: Any) -> NetworkPair:
    return build_pair(settings(**options), styles=factory.STYLES, block=block, baseline=baseline)


def shares(arm: NetworkPair, baseline: NetworkPair) -> list[float]:
    found = matches(arm.networks(), baseline.networks(), own=BOTH)
    return [matched_fraction(found, net) for net in BOTH]


@pytest.mark.parametrize(
    ("spectral", "author", "init"),
    [
        ("parametrized", False, "own"),
        ("legacy", True, "own"),
        ("wrapped", False, "own"),
        ("parametrized", True, "normal"),
        ("wrapped", True, "default"),
        ("legacy", True, "kaiming"),
    ],
)
def test_own_networks_share_at_least_92_percent_with_their_spectral_norm_arms(
    spectral: str, author: bool, init: str
) -> None:
    baseline = built(author=author, init=init)
    arm = built(baseline, spectral=spectral, author=author, init=init)
    assert min(shares(arm, baseline)) >= 0.92
    by_name = matches(arm.networks(), baseline.networks())
    assert matched_fraction(by_name, "discriminator") < 0.92


def test_an_initialisation_that_does_not_reach_the_weights_of_an_arm_is_seen_and_not_hidden() -> None:
    baseline = built(author=True)
    found = matches(built(baseline, spectral="parametrized", author=True).networks(), baseline.networks(), own=BOTH)
    of_d = [match for match in found if match.net == "discriminator"]
    assert matched_fraction(found, "discriminator") < 0.01
    assert sum(m.numbers for m in of_d if m.counterpart) / sum(m.numbers for m in of_d) > 0.92


def test_no_two_parameters_of_a_network_have_one_stream() -> None:
    baseline = built(author=False, init="default")
    arm = built(baseline, spectral="wrapped", author=False, layers=4, init="default")
    weights = [p.flatten()[:9].tolist() for net in arm.networks().values() for p in net.parameters() if p.ndim > 1]
    assert len({tuple(values) for values in weights}) == len(weights)
    again = built(baseline, spectral="wrapped", author=False, layers=4)
    values = [p.flatten()[:9].tolist() for net in again.networks().values() for p in net.parameters() if p.ndim > 1]
    assert len({tuple(value) for value in values}) == len(values)


def test_the_authors_weights_are_kept_and_come_again_in_every_building_of_a_block() -> None:
    first, again, elsewhere = built(author=True), built(author=True), built(author=True, block="1")
    weights, same, other = (dict(named_weights(pair.discriminator)) for pair in (first, again, elsewhere))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    drawn = weights["model.5.weight"]
    assert not torch.equal(drawn, other["model.5.weight"])
    assert float(drawn.detach().std()) == pytest.approx(0.02, rel=0.05)
    torchs = dict(named_weights(first.generator))["model.4.weight"]
    assert float(torchs.detach().abs().max()) <= 1 / (8 * 9) ** 0.5


def network(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def pairs_of(mine: nn.Module, others: nn.Module) -> dict[str, str]:
    return aligned(parts(mine), parts(others))


class Named(nn.Module):
    """Layers by name, in an order."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, nn.Linear(3, 3))


def test_names_come_before_order_and_order_before_positions() -> None:
    swapped = pairs_of(Named(["b", "a"]), Named(["a", "b"]))
    assert swapped == {name: name for name in ("a.weight", "a.bias", "b.weight", "b.bias")}
    lost = pairs_of(Named(["a", "c"]), Named(["a", "b", "c"]))
    assert lost == {name: name for name in ("a.weight", "a.bias", "c.weight", "c.bias")}
    shifted = pairs_of(
        network(nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 3)), network(nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU())
    )
    assert shifted == {"1.weight": "0.weight", "1.bias": "0.bias", "2.weight": "1.weight", "2.bias": "1.bias"}


def test_only_parts_of_one_kind_leaf_and_shape_stand_for_each_other_and_each_once() -> None:
    mine = network(nn.Linear(3, 3), nn.Conv2d(1, 1, 3), nn.LayerNorm(3), nn.Linear(3, 3))
    others = network(nn.ConvTranspose2d(1, 1, 3), nn.Linear(3, 3), nn.Linear(3, 3, bias=False))
    pairs = pairs_of(mine, others)
    assert pairs == {"0.weight": "1.weight", "0.bias": "1.bias", "3.weight": "2.weight"}
    assert len(set(pairs.values())) == len(pairs)


def test_the_common_sequence_holds_the_most_numbers() -> None:
    mine = network(nn.Linear(9, 9, bias=False), nn.Linear(2, 2, bias=False))
    others = network(nn.Linear(2, 2, bias=False), nn.Linear(9, 9, bias=False), nn.ReLU())
    assert pairs_of(mine, others) == {"0.weight": "1.weight"}


@pytest.mark.parametrize("name", ["weight", "buffer"])
def test_values_that_are_worked_out_of_draws_have_the_stream_of_what_they_end_up_in(name: str) -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5) * 0.1 + 1)
            self.register_buffer("buffer", torch.rand(4).cumsum(0))

    class Holder(nn.Module):
        def __init__(self, before: bool) -> None:
            super().__init__()
            if before:
                torch.randn(5)
                self.first = nn.Linear(5, 5)
            self.layer = Layer()

    def build(before: bool) -> dict[str, torch.Tensor]:
        made = build_with_named_draws(lambda: Holder(before), lambda _: lambda part: part, net="generator", block="0")
        return dict(made.state_dict())

    assert torch.equal(build(True)[f"layer.{name}"], build(False)[f"layer.{name}"])


def test_orthogonal_weights_do_not_depend_on_what_was_drawn_before() -> None:
    def build(first: bool) -> dict[str, torch.Tensor]:
        made = build_with_named_draws(
            lambda: own_gans.orthogonal(image_size=16, channels=1, styles=1, first=first),
            lambda _: lambda part: part,
            net="discriminator",
            block="0",
        )
        return dict(made.named_parameters())

    plain, other = build(False), build(True)
    assert all(torch.equal(plain[name], other[name]) for name in plain)
    weight = plain["model.2.weight"].detach().flatten(1)
    assert torch.allclose(weight @ weight.T, torch.eye(len(weight)), atol=1e-5)


def test_building_leaves_the_global_streams_where_they_were() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    expected = torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    built()
    assert torch.equal(torch.rand(3), expected[0])
    assert (np.random.rand(3) == expected[1]).all()  # noqa: NPY002
    assert random.random() == expected[2]
