from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.data import load, to_range
from harness.metrics import Evaluation, to_unit_range
from harness.metrics.extractors.efficientnet_print import INK, PAPER, printed
from harness.metrics.features import extractor_named
from harness.metrics.ladder import INVISIBLE, OTHERS, of_others
from harness.metrics.sensitivity import DAMAGES, damaged, ladder
from harness.study.data_settings import GlyphSettings


def evaluation(cache: Path | None = None) -> Evaluation:
    data = load(GlyphSettings(image_size=16, characters="abdefghijklmnopqrtuvxyzABCDEFGH", holdout=0.4))
    real, train = (to_unit_range(to_range(split.target)) for split in (data.heldout, data.train))
    return Evaluation(real=real, fake=real, paired=True, train=train, characters=data.heldout.labels, cache=cache)


def pair() -> tuple[Tensor, Tensor]:
    found = evaluation()
    assert found.train is not None
    return found.real, found.train


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_keeps_shape_and_range_and_is_the_same_every_time(name: str) -> None:
    real, train = pair()
    once, again = damaged(name, real, train), damaged(name, real, train)
    assert torch.equal(once, again)
    assert once.shape == real.shape
    assert 0 <= once.min() <= once.max() <= 1
    assert not torch.equal(once, real)


def test_each_damage_is_what_it_is_called() -> None:
    real, train = pair()
    gap = {name: damaged(name, real, train) - real for name in DAMAGES}
    assert gap[INVISIBLE].abs().max() <= 2 / 255 + 1e-6
    assert torch.equal(damaged("shifted by 1 px", real, train)[..., 1:], real[..., :-1])
    assert int((gap["a tenth replaced"].flatten(1).abs().sum(1) > 0).sum()) == max(1, round(len(real) / 10))
    assert bool((gap["a stroke erased"] >= -1e-6).all()), "ink on white paper can only grow lighter"
    assert torch.equal(damaged(OTHERS, real, train), train[torch.arange(len(real)) % len(train)])
    assert len(damaged("one for all", real, train).unique(dim=0)) == 1


def test_the_ladder_of_the_mean_difference_is_its_closed_form_and_is_kept(tmp_path: Path) -> None:
    found = evaluation(tmp_path)
    rungs = {rung.damage: rung for rung in ladder(["l1"], found)}
    assert list(rungs) == list(DAMAGES)
    assert found.train is not None
    for name, rung in rungs.items():
        expected = (damaged(name, found.real, found.train) - found.real).abs().mean().item()
        assert rung.value == rung.cost == pytest.approx(expected, rel=1e-5)
        assert rung.undamaged == 0
    assert len(list(tmp_path.glob("*.npz"))) == 1
    assert {rung.damage: rung for rung in ladder(["l1"], found)} == rungs


def test_costs_count_in_the_direction_of_worse_and_the_share_of_others_is_1_for_others() -> None:
    rungs = ladder(["ssim", "dead_units_g", "area(ssim)"], evaluation())
    assert {rung.metric for rung in rungs} == {"ssim"}
    assert all(rung.cost is not None and rung.cost > 0 for rung in rungs)
    assert of_others(rungs, "ssim", OTHERS) == 1
    share = of_others(rungs, "ssim", INVISIBLE)
    assert share is not None
    assert share < 0.1


def test_print_has_bare_paper_and_full_ink_and_is_linear_between() -> None:
    tones = torch.tensor([0.0, INK, (INK + PAPER) / 2, PAPER, 1.0])
    torch.testing.assert_close(printed(tones), torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))
    assert extractor_named("efficientnet_print").feature_id != extractor_named("efficientnet").feature_id


@pytest.mark.slow
def test_in_print_grain_costs_less_than_a_tenth_of_other_letters_and_plainly_more_than_all() -> None:
    rungs = ladder(["fid_efficientnet", "fid_efficientnet_print"], evaluation())
    plain, print_ = (of_others(rungs, name, INVISIBLE) for name in ("fid_efficientnet", "fid_efficientnet_print"))
    assert plain is not None
    assert print_ is not None
    assert print_ < 0.1
    assert plain > 1
