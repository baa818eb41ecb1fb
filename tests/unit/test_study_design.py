from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.study.design import aliases, arms, short_names, slug, trials
from harness.study.study import BASELINE, Study

AXES: dict[str, list[Any]] = {
    "discriminator.spectral_norm": ["none", "convs", "convs+heads"],
    "discriminator.blur.position": ["none", "input", "output"],
    "training.batch_size": [16, 8],
    "generator.refine": [False, True],
    "training.optimizer.lr": [2e-4, 1e-3],
}


def study(axes: dict[str, Any], controls: Any = None, **design: Any) -> Study:
    return Study.model_validate({"study": "x", "axes": axes, "design": design, "controls": controls or {}})


subsets = st.sets(st.sampled_from(sorted(AXES)), min_size=1).map(lambda names: {n: AXES[n] for n in sorted(names)})


@given(axes=subsets)
def test_one_factor_has_the_baseline_and_each_other_level_once_and_arms_differ_in_one_axis(
    axes: dict[str, Any],
) -> None:
    found = arms(study(axes))
    assert found[0].name == BASELINE
    assert len(found) == 1 + sum(len(levels) - 1 for levels in axes.values())
    for arm in found[1:]:
        assert sum(arm.levels[a] != found[0].levels[a] for a in axes) == 1


@given(axes=subsets)
def test_a_factorial_has_every_cell_once_and_distinct_names(axes: dict[str, Any]) -> None:
    found = arms(study(axes, kind="factorial"))
    assert len(found) == np.prod([len(levels) for levels in axes.values()])
    assert len({tuple(arm.levels.items()) for arm in found}) == len({arm.name for arm in found}) == len(found)
    assert found[0].name == BASELINE


@pytest.mark.parametrize(("count", "halvings"), [(3, 1), (4, 1), (5, 1), (5, 2)])
def test_a_fraction_is_balanced_orthogonal_and_holds_the_baseline(count: int, halvings: int) -> None:
    axes = {name: levels[:2] for name, levels in AXES.items()}
    axes = dict(itertools.islice(axes.items(), count))
    asked = study(axes, kind="fractional", halvings=halvings)
    found = arms(asked)
    assert len(found) == 2 ** (count - halvings)
    assert found[0].name == BASELINE
    signs = np.array([[1 if arm.levels[a] == found[0].levels[a] else -1 for a in axes] for arm in found])
    assert np.array_equal(signs.T @ signs, len(found) * np.eye(count))
    names = list(short_names(axes).values())
    for group in aliases(asked):
        columns = [np.prod([signs[:, names.index(n)] for n in term.split(":")], axis=0) for term in group]
        assert all(abs(columns[0] @ column) == len(found) for column in columns)


def test_a_fraction_of_three_levels_or_too_many_halvings_is_refused() -> None:
    with pytest.raises(HarnessError, match="has 3 levels; fractions need two"):
        arms(
            study(
                {k: AXES[k] for k in ("discriminator.spectral_norm", "training.batch_size", "generator.refine")},
                kind="fractional",
            )
        )
    with pytest.raises(HarnessError, match=r"design\.halvings: 2 is too much for 3 axes"):
        arms(study({k: AXES[k][:2] for k in list(AXES)[:3]}, kind="fractional", halvings=2))


@given(axes=subsets, blocks=st.integers(1, 5))
def test_every_arm_is_in_every_block_once_blocks_are_contiguous_and_ids_distinct(
    axes: dict[str, Any], blocks: int
) -> None:
    found = trials(arms(study(axes)), range(blocks))
    assert [t.block for t in found] == sorted(t.block for t in found)
    assert len({t.trial_id for t in found}) == len({(t.arm.name, t.block) for t in found}) == len(found)


def test_more_blocks_leave_the_ids_of_earlier_trials_alone() -> None:
    few, many = (trials(arms(study(AXES)), range(n)) for n in (2, 3))
    assert [t.trial_id for t in few] == [t.trial_id for t in many[: len(few)]]


def test_a_named_baseline_comes_first() -> None:
    asked = Study.model_validate(
        {"study": "x", "axes": {"training.batch_size": [8, 16]}, "baseline": {"training.batch_size": 16}}
    )
    base, other = arms(asked)
    assert base.settings.training.batch_size == 16
    assert other.name == "batch_size=8"


def test_levels_can_be_groups_with_names_of_their_own() -> None:
    axes = {"generator.innermost": {"both 2": {}, "both 1": {"down_stride": 1, "up_stride": 1}}}
    base, other = arms(study(axes))
    assert other.name == "innermost=both 1"
    assert other.settings.generator.innermost.down_stride == 1  # type: ignore[union-attr]
    assert base.settings.generator.innermost.down_stride == 2  # type: ignore[union-attr]


def test_controls_follow_the_arms_with_the_baselines_levels() -> None:
    found = arms(
        study(
            {"training.batch_size": [16, 8]},
            controls={"positive": "planted-harm", "negative": ["a/a", "no-ops", "one-ulp"]},
        )
    )
    assert [arm.name for arm in found] == [
        BASELINE,
        "batch_size=8",
        "planted-harm",
        "a/a",
        "no-op blur",
        "no-op adamw",
        "one-ulp",
    ]
    base, by_name = found[0], {arm.name: arm for arm in found}
    assert by_name["a/a"].settings == base.settings
    assert by_name["a/a"].streams(3) != base.streams(3)
    assert by_name["one-ulp"].streams(3) == base.streams(3)
    assert by_name["planted-harm"].settings.training.optimizer.lr == pytest.approx(
        base.settings.training.optimizer.lr / 10
    )


def test_adamw_is_a_control_only_where_it_is_a_no_op() -> None:
    for optimizer in ({"kind": "sgd"}, {"kind": "adam", "weight_decay": 0.1}):
        data = {"study": "x", "training": {"optimizer": optimizer}, "controls": {"negative": "no-ops"}}
        found = arms(Study.model_validate(data))
        assert [arm.name for arm in found] == [BASELINE, "no-op blur"]


def test_seed_0_names_the_streams_of_old_and_another_seed_all_others() -> None:
    axes = {"training.batch_size": [16, 8]}
    first, again, second = (arms(study(axes, controls={"negative": "a/a"}, seed=seed)) for seed in (0, 1, 2))
    assert [arm.streams(3) for arm in first] == ["3", "3", "3/a/a"]
    keys = {arm.streams(block) for found in (first, again, second) for arm in found for block in range(20)}
    assert len(keys) == 3 * 2 * 20
    assert len({arm.streams(3) for arm in again[:2]}) == 1


def test_another_seed_is_another_study_with_a_folder_of_its_own() -> None:
    first, again = study({}), study({}, seed=1)
    assert study({}, seed=0).hash == first.hash != again.hash
    assert (first.results_name, again.results_name) == (first.study, f"{first.study}+seed1")


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_slugs_are_file_names_and_keep_names_distinct(left: str, right: str) -> None:
    assert all(c.isalnum() or c in ".=+_,-" for c in slug(left))
    assert (slug(left) == slug(right)) == (left == right)
