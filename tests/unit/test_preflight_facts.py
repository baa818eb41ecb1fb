"""The figures of studies/claims/posts.yaml that need no training, found by the program at the claims' own sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import factory
import pytest
import torch

from harness.data import Dataset
from harness.models import build_pair
from harness.models.cost import conditions_for, cost
from harness.preflight.facts.fact import Fact, Inspected
from harness.preflight.facts.topics import facts
from harness.preflight.small_networks import Shape, shrinking, shrunk
from harness.study.settings import TrialSettings
from harness.study.study import put

DATA = factory.dataset()
SMALLER = Dataset.of(factory.split(20, seed=1), DATA.heldout, DATA.styles)


def inspected(
    *changes: Mapping[str, Any],
    base: TrialSettings | None = None,
    reduce: bool = False,
    data: Dataset | None = None,
) -> list[Inspected]:
    """Return arms that differ from small settings by dotted changes."""
    found = []
    for number, change in enumerate(changes):
        given = (base or factory.settings()).model_dump()
        for path, value in change.items():
            put(given, path, value)
        s = TrialSettings.model_validate(given)
        paired = s.generator.kind == "unet"
        pair = build_pair(s, styles=factory.STYLES, block="0")
        latent = s.latent
        conditions = conditions_for(
            s.data.channels, s.data.image_size, paired=paired, latent=latent, styles=factory.STYLES
        )
        size = cost(pair, conditions)
        small = shrunk(s, shrinking(size)) if reduce else s
        found.append(Inspected(f"arm{number}", s, small, Shape(factory.STYLES, paired), pair, size, data or DATA))
    return found


def about(found: tuple[Fact, ...], words: str) -> Fact:
    (fact,) = [fact for fact in found if words in f"{fact.subject}: {fact.finding}"]
    return fact


AT_256 = {"data.image_size": 256}


def test_a_blur_of_five_and_sigma_one_lets_through_what_claim_002_1_says() -> None:
    found = facts(inspected({}, {"discriminator.blur.position": "input"}))
    response = about(found, "lets through").figures
    expected = {"at 0.25 pi": 0.748, "at 0.5 pi": 0.294, "at 0.75 pi": 0.057, "at 1 pi": 0.023}
    assert {name: round(response[name], 3) for name in expected} == expected
    assert round(response["line"], 2) == 0.40
    assert response["checkerboard"] == pytest.approx(5.4e-4, rel=0.01)


def test_an_input_blur_erases_nothing_and_makes_one_convolution_of_nine_with_the_first_of_five() -> None:
    """Statements 002-4 and 002-5: full rank, condition number about 1.9e3 at 32 px."""
    found = facts(
        inspected({}, {"discriminator.blur.position": "input"}, base=factory.settings(data={"image_size": 32}))
    )
    undoing = about(found, "condition number")
    assert undoing.figures["rank"] == 32 * 32
    assert undoing.figures["condition"] == pytest.approx(1.9e3, rel=0.01)
    assert "not erased" in undoing.finding
    joined = about(found, "together one convolution").figures
    assert joined["kernel"] == 9
    assert joined["difference"] < 1e-12


def test_an_output_blur_weighs_the_gradients_of_mean_pooling_as_claim_002_7_says() -> None:
    narrow = {"discriminator.channels": 1, "generator.channels": 1}
    found = facts(inspected(AT_256 | narrow, {**AT_256, **narrow, "discriminator.blur.position": "output"}))
    figures = about(found, "under mean pooling of the 32x32 map").figures
    expected = {"corner": 0.49, "edge": 0.70, "next ring": 1.24, "middle": 1.0}
    assert {name: round(value, 2) for name, value in figures.items()} == expected


def test_a_blur_of_kernel_size_one_is_the_identity() -> None:
    found = facts(inspected({}, {"discriminator.blur": {"position": "hidden", "kernel_size": 1}}))
    assert about(found, "is the identity").subject == "blur of kernel size 1, sigma 1"
    assert about(found, "draws nothing from the global random stream")


def test_three_quarters_of_the_innermost_taps_are_dead_at_a_1x1_bottleneck_and_none_at_2x2() -> None:
    found = facts(inspected({}, {"generator.innermost.up_stride": 1}, {"generator.levels": 3}))
    dead = {fact.subject: fact.figures for fact in found if "gradient is always zero" in fact.finding}
    assert dead == {"arm0": {"down": 0.75, "up": 0.75}, "arm1": {"down": 0.75, "up": 0.75}}


def test_kernels_of_four_with_padding_one_and_stride_one_take_or_give_a_pixel() -> None:
    """Statements 003-1 to 003-3, and the last row of 003-10."""
    found = facts(inspected({}, {"generator.levels": 3}))
    assert about(found, "on 4x4 maps").finding == (
        "Conv2d of stride 1: 3; Conv2d of stride 2: 2; ConvTranspose2d of stride 1: 5; ConvTranspose2d of stride 2: 8; "
        "a 3x3 convolution of stride 1 and padding 1: 4"
    )


def test_stride_one_at_a_larger_bottleneck_costs_what_claim_003_6_says() -> None:
    """64 px and 4 down-samplings at zi2zi's widths: 1.56 times the multiply-adds of the generator."""
    wide = {"data.image_size": 64, "generator.channels": 64, "generator.style_channels": 128, "generator.levels": 4}
    base, both = inspected(wide, {**wide, "generator.innermost": {"down_stride": 1, "up_stride": 1}})
    assert both.size.macs_g / base.size.macs_g == pytest.approx(1.56, abs=0.005)
    found = facts([base, both])
    assert about(found, "innermost maps: 8x8 down to 7x7").figures == {"into": 8, "bottleneck": 7, "out": 8}


def test_at_zi2zis_own_sizes_a_stride_of_one_costs_nothing_at_all() -> None:
    base, both = inspected(AT_256, {**AT_256, "generator.innermost": {"down_stride": 1, "up_stride": 1}})
    assert both.size == base.size


def test_sigmoid_and_bce_have_no_gradient_at_a_logit_of_twenty() -> None:
    found = facts(inspected({}, {"training.loss.kind": "sigmoid_bce"}))
    assert about(found, "training.loss.kind sigmoid_bce").figures == {"loss": 100.0, "gradient": 0.0}
    assert about(found, "training.loss.kind bce").figures == {"loss": 20.0, "gradient": 1.0}


def test_separate_and_summed_losses_have_one_gradient_and_a_joined_batch_has_another() -> None:
    joint, concat = ({"training.loss.real_and_fake": level} for level in ("joint", "concat"))
    found = facts(inspected({}, joint, concat))
    assert about(found, "real_and_fake joint").figures["difference"] <= 1e-12
    assert about(found, "real_and_fake concat").figures["difference"] > 0.01
    without = {"discriminator.norm": "none"}
    found = facts(inspected(without, {**without, **concat}))
    assert about(found, "real_and_fake concat").figures["difference"] <= 1e-12


def test_spectral_norm_is_taken_out_again_by_batch_norm_on_three_convolutions_of_five() -> None:
    found = facts(inspected({}, {"discriminator.spectral_norm": "convs+heads"}))
    cancelled = about(found, "takes the scale out again")
    assert "on convs.conv2, convs.conv3, convs.conv4 (" in cancelled.finding
    assert cancelled.finding.endswith("bites on convs.conv1, final, binary, category")
    plain = facts(
        inspected(
            {"discriminator.norm": "none"}, {"discriminator.norm": "none", "discriminator.spectral_norm": "convs"}
        )
    )
    assert about(plain, "no norm takes the scale out again").figures == {"void": 0, "bites": 5}


def test_convolutions_under_spectral_norm_stay_below_the_kernel_size_over_the_stride_but_not_below_one() -> None:
    """Statements 001-1: the weights' norm is 1; that of the convolution is bounded by ceil(k / s)."""
    found = facts(
        inspected({}, {"discriminator.spectral_norm": "convs"}, base=factory.settings(data={"image_size": 32}))
    )
    norms = about(found, "norm of the convolution itself").figures
    bounds = {"convs.conv1": 3, "convs.conv2": 3, "convs.conv3": 3, "convs.conv4": 5, "final": 5}
    assert norms.keys() == bounds.keys()
    assert all(norm <= bounds[name] for name, norm in norms.items())
    assert max(norms.values()) > 1.2
    assert set(about(found, "left free").figures) == {"binary", "category"}


def test_the_posts_expression_for_the_number_of_features_fails_at_250_pixels() -> None:
    found = facts(inspected({}, {"discriminator.spectral_norm": "convs"}))
    figures = about(found, "image_size // 8").figures
    assert [figures[f"{what} at {size}"] for size in (256, 250) for what in ("expression", "map")] == [
        1024,
        1024,
        968,
        1024,
    ]


def test_dcgans_first_layer_makes_four_by_four_of_a_point_and_dense_layers_would_be_huge() -> None:
    """Statements 004-3 and 004-7: 805 M weights in the place of the first convolution, 2.77 M in the whole."""
    base = factory.dcgan(
        data={"image_size": 64, "channels": 3},
        generator={"channels": 64, "latent": 100},
        discriminator={"channels": 64},
    )
    found = facts(inspected({}, base=base, reduce=True))
    assert (
        about(found, "generator: 100x1x1").finding
        == "100x1x1 -> 512x4x4 -> 256x8x8 -> 128x16x16 -> 64x32x32 -> 3x64x64"
    )
    assert about(found, "fully connected").figures == {"dense": 805_306_368, "parameters": 2_765_568}
    assert about(found, "equal bit for bit")


def test_only_the_settings_in_which_arms_differ_are_spoken_of() -> None:
    assert facts(inspected({}, {"training.optimizer.lr": 1e-3})) == ()


def test_what_an_axis_leaves_unmatched_is_said_with_what_was_counted() -> None:
    found = facts(inspected({}, {"training.batch_size": 6}, {"training.discriminator_steps": 2}))
    assert (
        "in batches of 6 and 4: after the first 4 the same item comes at another step"
        in about(found, "one order").finding
    )
    batches = about(found, "at 0 of 3 steps")
    assert batches.finding.startswith("not matched: the generator learns from the last of 2 batches a step")
    wide = {"training.batch_size": 6, "training.discriminator_steps": 2}
    assert not [fact for fact in facts(inspected({}, wide)) if "learns from" in fact.finding]


def test_the_weights_used_at_the_start_under_spectral_norm_are_said_as_multiples_of_the_baselines() -> None:
    arms = inspected({}, {"discriminator.spectral_norm": "convs"})
    ratios = about(facts(arms), "the same initial weights but use others").figures
    assert set(ratios) == {"convs.conv1", "convs.conv2", "convs.conv3", "convs.conv4", "final"}
    used, learnt = (arm.pair.discriminator.convs["conv1"].weight for arm in reversed(arms))  # type: ignore[index, union-attr]
    assert ratios["convs.conv1"] == pytest.approx((used / learnt).mean().item(), rel=1e-3)
    assert ratios["convs.conv1"] == pytest.approx(1 / torch.linalg.matrix_norm(learnt.flatten(1), 2).item(), rel=0.05)


def test_items_of_another_data_set_that_come_at_another_place_are_counted() -> None:
    first, second = inspected({}), inspected({"data.holdout": 0.4}, data=SMALLER)
    fact = about(facts([*first, *second]), "in another order")
    assert "it trains on 20 items, the baseline on 24" in fact.finding
    assert fact.figures["items"] == 20
    assert fact.figures["equal"] < 10
