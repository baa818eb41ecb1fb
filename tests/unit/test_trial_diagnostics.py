from __future__ import annotations

import factory
import pytest
import torch

from harness.models import Conditions, Judgement, build_pair
from harness.trial.diagnostics import diversity, layer_norms, oscillation, overfitting


class Linear(torch.nn.Module):
    """Judges an image by its mean."""

    def forward(self, image: torch.Tensor, conditions: Conditions) -> Judgement:  # noqa: ARG002
        return Judgement(image.flatten(1).mean(1))


def constant(value: float) -> tuple[Conditions, torch.Tensor]:
    return Conditions(style=torch.zeros(4, dtype=torch.int64)), torch.full((4, 1, 8, 8), value)


@pytest.mark.parametrize(("heldout", "share"), [(1.0, 0.0), (-1.0, 1.0), (0.0, 0.5)])
def test_overfitting_is_0_when_unseen_images_look_real_and_1_when_they_look_generated(
    heldout: float, share: float
) -> None:
    found = overfitting(Linear(), constant(1.0), constant(heldout), constant(-1.0)[1])
    assert found["overfitting"] == pytest.approx(share)
    assert found["d_heldout_logit"] == pytest.approx(heldout)


def test_layer_norms_are_singular_values_of_the_stored_weights_and_change_nothing() -> None:
    pair = build_pair(factory.settings(discriminator={"spectral_norm": "convs+heads"}), styles=3, block="0")
    before = {name: value.clone() for name, value in pair.discriminator.state_dict().items()}
    found = layer_norms(pair.discriminator.train())
    weight = pair.discriminator.convs["conv2"].parametrizations["weight"].original
    assert found["sigma_convs.conv2"] == pytest.approx(torch.linalg.svdvals(weight.flatten(1).double())[0].item())
    assert all(torch.equal(value, before[name]) for name, value in pair.discriminator.state_dict().items())
    assert {"sigma_convs.conv1", "sigma_final", "sigma_binary", "sigma_category"} <= found.keys()


def test_equal_images_have_no_diversity_and_opposite_ones_the_most() -> None:
    assert diversity(torch.ones(5, 1, 4, 4)) == 0
    assert diversity(torch.stack([torch.ones(1, 4, 4), -torch.ones(1, 4, 4)])) == pytest.approx(2.0)


def test_a_steady_loss_does_not_oscillate_and_an_alternating_one_does() -> None:
    assert oscillation([3.0] * 10) == 0
    assert oscillation([0.0, 2.0] * 50) == pytest.approx(2.0, rel=0.02)
    assert oscillation([1.0, 2.0]) is None
