"""Settings in any combination: what is built works, and what does not fit is refused in words."""

from __future__ import annotations

from typing import Any

import factory
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from harness.models import Conditions, NetworkPair, build_pair
from harness.models.cost import conditions_for, cost
from harness.study.settings import TrialSettings
from harness.trial.trainer import Trainer
from harness.trial.training import train

COUNT = 4

generators = st.fixed_dictionaries(
    {
        "kind": st.just("unet"),
        "channels": st.integers(1, 5),
        "levels": st.sampled_from([None, 2, 3, 4, 5]),
        "style_channels": st.integers(1, 5),
        "norm": st.sampled_from(["batch", "instance", "layer", "none"]),
        "upsampling": st.sampled_from(["transposed", "resize", "pixel_shuffle"]),
        "refine": st.booleans(),
        "skip_attention": st.booleans(),
        "innermost": st.fixed_dictionaries(
            {
                "down_stride": st.sampled_from([1, 2]),
                "up_stride": st.sampled_from([1, 2]),
                "compensation": st.sampled_from(["none", "interpolate", "upsample"]),
            }
        ),
    }
)
discriminators = st.fixed_dictionaries(
    {
        "kind": st.just("zi2zi"),
        "channels": st.integers(1, 5),
        "layers": st.sampled_from([3, 4]),
        "norm": st.sampled_from(["batch", "instance", "layer", "none"]),
        "spectral_norm": st.sampled_from(["none", "scaled", "unnormalised", "convs", "convs+heads"]),
        "final_channels": st.sampled_from([None, 1, 3]),
        "final_conv": st.fixed_dictionaries(
            {"kernel_size": st.sampled_from([0, 1, 3, 5]), "in_channels": st.sampled_from([None, 1])}
        ),
        "head": st.sampled_from(["linear", "mean", "patch"]),
        "category_head": st.booleans(),
        "head_channels": st.sampled_from([None, 1]),
        "blur": st.fixed_dictionaries(
            {
                "position": st.sampled_from(["none", "input", "hidden", "features", "output"]),
                "kernel_size": st.sampled_from([1, 3, 5]),
            }
        ),
    }
)
losses = st.sampled_from(["bce", "sigmoid_bce", "hinge", "lsgan", "wgan_gp"])


def built(settings: TrialSettings, conditions: Conditions) -> tuple[NetworkPair | None, str]:
    try:
        pair = build_pair(settings, styles=factory.STYLES, block="0")
        cost(pair, conditions)
    except ValueError as error:
        return None, str(error)
    return pair, ""


@examples(max_examples=12)
@given(generator=generators, discriminator=discriminators, loss=losses)
def test_a_combination_is_refused_in_words_or_gives_images_in_range_and_logits_for_each(
    generator: dict[str, Any], discriminator: dict[str, Any], loss: str
) -> None:
    settings = factory.settings(
        generator=generator, discriminator=discriminator, training={"steps": 1, "loss": {"kind": loss}}
    )
    conditions = conditions_for(1, factory.SIZE, paired=True, latent=None, styles=factory.STYLES, count=COUNT)
    pair, refusal = built(settings, conditions)
    if pair is None:
        assert refusal.startswith(("generator", "discriminator", "training"))
        return
    image, _ = pair.generator(conditions)
    judged = pair.discriminator(image, conditions)
    assert image.shape == (COUNT, 1, factory.SIZE, factory.SIZE)
    assert image.abs().max() <= 1
    side = factory.SIZE // 8
    assert judged.real.shape == ((COUNT, side, side) if discriminator["head"] == "patch" else (COUNT,))
    assert judged.scores.shape == (COUNT,)
    assert (judged.category is None) == (discriminator["head"] != "linear" or not discriminator["category_head"])


@examples(max_examples=12)
@given(
    norm=st.sampled_from(["batch", "instance", "layer", "none"]),
    which=st.sampled_from(["none", "scaled", "unnormalised", "convs", "convs+heads"]),
    loss=losses,
    optimizer=st.sampled_from(["adam", "adamw", "sgd", "rmsprop"]),
    real_and_fake=st.sampled_from(["separate", "joint", "concat"]),
    precision=st.sampled_from(["float32", "bfloat16"]),
)
def test_every_way_of_training_takes_a_step_that_moves_both_networks_and_stays_finite(
    norm: str, which: str, loss: str, optimizer: str, real_and_fake: str, precision: str
) -> None:
    critic_norm = "layer" if (norm, loss) == ("batch", "wgan_gp") else norm
    settings: TrialSettings = factory.settings(
        generator={"norm": norm, "levels": 3},
        discriminator={"norm": critic_norm, "spectral_norm": which},
        training={
            "steps": 1,
            "precision": precision,
            "loss": {"kind": loss, "real_and_fake": real_and_fake},
            "optimizer": {"kind": optimizer},
        },
    )
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    before = [[p.detach().clone() for p in network.parameters()] for network in pair.networks().values()]
    for progress in train(Trainer(pair, settings, factory.split(), block="0")):
        assert torch.tensor([progress.loss_d, progress.loss_g]).isfinite().all()
    for network, old in zip(pair.networks().values(), before, strict=True):
        assert all(p.isfinite().all() for p in network.parameters())
        assert any(not torch.equal(p, q) for p, q in zip(network.parameters(), old, strict=True))
