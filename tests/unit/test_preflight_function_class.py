"""What linear algebra settles about discriminators, and that anything it does not know keeps it silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import factory
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from harness.models import Conditions, Judgement, NetworkPair, build_pair
from harness.models.dcgan import DcganDiscriminator
from harness.models.zi2zi import Zi2ziDiscriminator
from harness.preflight.function_class import same_function_class
from harness.preflight.function_probe import probe_inputs
from harness.preflight.settings_read import changed_settings
from harness.preflight.small_networks import Shape
from harness.study.settings import TrialSettings

Change = Callable[[nn.Module], object]
NONE = {"position": "none"}
PAIRS: dict[str, tuple[TrialSettings, TrialSettings]] = {
    "zi2zi without its final conv": tuple(
        factory.settings(data={"image_size": 32}, discriminator={"final_channels": 1, "final_conv": {"kernel_size": k}})
        for k in (0, 5)
    ),
    "zi2zi with a blur before its heads": tuple(
        factory.settings(data={"image_size": 32}, discriminator={"blur": blur})
        for blur in ({"position": "output", "kernel_size": 3}, NONE)
    ),
    "dcgan with a blur before its last convolution": tuple(
        factory.dcgan(discriminator={"blur": blur}) for blur in ({"position": "features", "kernel_size": 3}, NONE)
    ),
}  # type: ignore[assignment]


class BatchDeviation(nn.Module):
    """Minibatch standard deviation, added to the map: no linear layer, though it learns nothing and keeps the shape."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + x.std(0).mean()


def verdict(name: str, change: Change = lambda _: None, *, only_arm: bool = False) -> str | None:
    """Return what is said of a pair whose discriminators were both changed, or the arm's alone."""
    settings = PAIRS[name]
    pairs = [build_pair(s, styles=factory.STYLES, block="0") for s in settings]
    for pair in pairs[: 1 if only_arm else 2]:
        change(pair.discriminator)
    return said_of(settings, pairs)


def said_of(settings: tuple[TrialSettings, TrialSettings], pairs: list[NetworkPair]) -> str | None:
    arm, baseline = settings
    conditions, images = probe_inputs(arm, Shape(factory.STYLES, arm.generator.kind == "unet"), torch.float32)
    return same_function_class(changed_settings(arm, baseline), pairs[0], pairs[1], images, conditions)


@pytest.mark.parametrize("name", PAIRS)
def test_full_rank_maps_next_to_free_linear_heads_are_absorbed(name: str) -> None:
    assert "Each arm can compute every function of the other" in (verdict(name) or "")


def put(attribute: str, layer: Callable[[], nn.Module]) -> Change:
    return lambda network: setattr(network, attribute, layer())


def behind(attribute: str) -> Change:
    """Return a change that puts an unknown layer behind one that the network has."""
    return lambda network: setattr(network, attribute, nn.Sequential(getattr(network, attribute), BatchDeviation()))


def hooked(attribute: str) -> Change:
    return lambda network: getattr(network, attribute).register_forward_hook(lambda _m, _i, output: output.relu())


def hooked_before(attribute: str) -> Change:
    return lambda network: getattr(network, attribute).register_forward_pre_hook(lambda _m, given: (given[0].relu(),))


def bound(attribute: str) -> Change:
    return lambda network: parametrizations.spectral_norm(getattr(network, attribute))


def frozen(attribute: str) -> Change:
    return lambda network: getattr(network, attribute).requires_grad_(False)


def method(attribute: str) -> Change:
    """Return a change that puts another function in the place of a layer's own `forward`."""
    return lambda network: setattr(getattr(network, attribute), "forward", BatchDeviation().forward)


def tied(first: str, second: str) -> Change:
    return lambda network: setattr(getattr(network, second), "bias", getattr(network, first).bias)


TAIL = ("blur_features", "final", "blur_output")
CHANGES: dict[str, dict[str, Change]] = {
    name: {
        **{f"unknown {part}": put(part, BatchDeviation) for part in ("blur_features",)},
        **{f"unknown behind {part}": behind(part) for part in (*TAIL, *heads)},
        **{f"hook on {part}": hooked(part) for part in (*TAIL, *heads)},
        **{f"hook before {part}": hooked_before(part) for part in (*TAIL, *heads)},
        **{f"spectral norm on {part}": bound(part) for part in heads},
        **{f"frozen {part}": frozen(part) for part in heads},
        "a layer's forward": method("blur_features"),
        "a hook on the network": lambda network: network.register_forward_hook(lambda _m, _i, judged: judged),
    }
    for name, heads in (
        ("zi2zi without its final conv", ("binary", "category")),
        ("zi2zi with a blur before its heads", ("binary", "category")),
        ("dcgan with a blur before its last convolution", ("final",)),
    )
}
CHANGES["zi2zi with a blur before its heads"] |= {
    "bound final": bound("final"),
    "heads of one bias": tied("final", "binary"),
}


def cases() -> Iterator[Any]:
    for name, changes in CHANGES.items():
        for what, change in changes.items():
            yield pytest.param(name, change, id=f"{name}: {what}")


@pytest.mark.parametrize(("name", "change"), list(cases()))
@pytest.mark.parametrize("only_arm", [True, False])
def test_a_layer_that_is_not_known_to_be_linear_and_untouched_means_no_proof(
    name: str, change: Change, only_arm: bool
) -> None:
    assert verdict(name, change, only_arm=only_arm) is None


class Between(Zi2ziDiscriminator):
    """Something between the last map and the heads, which the tail does not show."""

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:
        """Judge maps that know of their batch."""
        flat = BatchDeviation()(self.features(image, conditions)).flatten(1)
        return Judgement(self.binary(flat).squeeze(1), self.category(flat))


class InPlace(Zi2ziDiscriminator):
    """The same, done to the map where it lies."""

    def features(self, image: Tensor, conditions: Conditions) -> Tensor:
        """Return the changed map."""
        return super().features(image, conditions).relu_()


class Behind(Zi2ziDiscriminator):
    """Something added to the logits that the tail's map decides."""

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:
        """Judge with a part that no head can absorb."""
        judged = super().forward(image, conditions)
        return Judgement(judged.real + self.features(image, conditions).square().mean((1, 2, 3)), judged.category)


class Twice(Zi2ziDiscriminator):
    """A tail that is gone through twice."""

    def features(self, image: Tensor, conditions: Conditions) -> Tensor:
        """Return the map of a second pass through the tail's last layer."""
        return self.blur_output(super().features(image, conditions).relu())  # type: ignore[no-any-return]


class DcganBetween(DcganDiscriminator):
    """Something between the blur and the last convolution."""

    def forward(self, image: Tensor, conditions: Conditions) -> Judgement:
        """Judge maps that know of their batch."""
        self.final.forward, kept = lambda x: kept(x.relu()), self.final.forward  # type: ignore[method-assign]
        judged = super().forward(image, conditions)
        del self.final.forward
        return judged


@pytest.mark.parametrize("only_arm", [True, False])
@pytest.mark.parametrize("kind", [Between, InPlace, Behind, Twice, DcganBetween])
def test_a_subclass_that_does_something_else_with_its_tail_means_no_proof(
    kind: type[nn.Module], only_arm: bool
) -> None:
    name = (
        "dcgan with a blur before its last convolution"
        if kind is DcganBetween
        else "zi2zi with a blur before its heads"
    )

    def become(network: nn.Module) -> None:
        network.__class__ = kind

    assert verdict(name, become, only_arm=only_arm) is None


@pytest.mark.parametrize(
    "given",
    [
        {"discriminator": {"blur": {"position": "output", "kernel_size": 3, "fade": 0.5}}},
        {"discriminator": {"blur": {"position": "hidden", "kernel_size": 3}}},
        {"discriminator": {"blur": {"position": "input", "kernel_size": 3}}},
        {"discriminator": {"head": "mean", "blur": {"position": "output", "kernel_size": 3}}},
        {"discriminator": {"norm": "none", "blur": {"position": "output", "kernel_size": 3}}},
        {"training": {"loss": {"kind": "hinge"}}, "discriminator": {"blur": {"position": "output", "kernel_size": 3}}},
    ],
)
def test_what_changes_more_than_the_maps_before_the_heads_is_no_matter_for_this_algebra(given: dict[str, Any]) -> None:
    settings = factory.settings(data={"image_size": 32}, **given), factory.settings(data={"image_size": 32})
    assert said_of(settings, [build_pair(s, styles=factory.STYLES, block="0") for s in settings]) is None


def test_two_trunks_that_differ_only_in_a_fade_are_not_one_trunk() -> None:
    blurs: list[dict[str, Any]] = [{"position": "input", "kernel_size": 3, "fade": f} for f in (0.1, 0.2)]
    settings: tuple[TrialSettings, TrialSettings] = tuple(
        factory.settings(discriminator={"final_channels": 1, "blur": b, "final_conv": {"kernel_size": k}})
        for b, k in zip(blurs, (0, 5), strict=True)
    )  # type: ignore[assignment]
    assert said_of(settings, [build_pair(s, styles=factory.STYLES, block="0") for s in settings]) is None
