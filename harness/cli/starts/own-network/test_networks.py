"""The networks of every arm of the study keep the harness's contract; run it with `python -m pytest` in this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.models import build_pair
from harness.models.contract import check_networks, example_conditions
from harness.study.design import Arm, arms
from harness.study.reading import read_study

STUDY = Path(__file__).with_name("study.yaml")


@pytest.mark.parametrize("arm", arms(read_study(STUDY)), ids=lambda arm: arm.name)
def test_networks_keep_the_contract(arm: Arm) -> None:
    read_study(STUDY)  # modules are looked for beside the study that was read last
    s = arm.settings
    size = {"image_size": s.data.image_size, "channels": s.data.channels}
    pair = build_pair(s, styles=1, block="0")
    conditions = example_conditions(4, styles=1, latent=s.latent, **size)
    check_networks(pair.generator, pair.discriminator, conditions, **size)
