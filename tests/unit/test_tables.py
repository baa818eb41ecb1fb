"""Foreign tables: conditions, directions, states, settings that vary, and files of every trial."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pretended import fill, study

from harness.errors import DataError
from harness.tables import compare
from harness.tables.conditions import filtered
from harness.tables.directions import direction_of
from harness.tables.reading import read
from harness.verdicts.judge import judge_stored

CELLS = pd.DataFrame(
    {
        "State": ["finished", "failed", None, "finished"],
        "lr": [0.1, 0.01, 0.1, np.nan],
        "metrics.val/fid": ["3", "4", "5", "6"],
        "a == b": ["x,y", "z", "x", "=="],
    }
)
OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def table(**columns: Any) -> pd.DataFrame:
    """Return a long table of three arms in six units, arm b better by 3."""
    draw = np.random.default_rng(0)
    level = draw.normal(50, 3, 6)
    rows = [
        {"seed": seed, "norm": arm, "fid": level[seed] - 3 * (arm == "b") + draw.normal(0, 0.5)}
        for seed in range(6)
        for arm in ("a", "b", "c")
    ]
    return pd.DataFrame(rows).assign(**columns)


def asked(source: Any, **options: Any) -> dict[str, Any]:
    return compare(source, **{"arm": "norm", "value": "fid", "baseline": "a", **options})


def by_arm(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["arm"]: c for c in document["contrasts"]}


# --- conditions -------------------------------------------------------------------------------------------------------


@given(st.sampled_from(list(OPERATORS)), st.integers(-3, 3), st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_a_condition_keeps_the_rows_that_pandas_would(sign: str, value: int, cells: list[int]) -> None:
    frame = pd.DataFrame({"x": cells})
    held = OPERATORS[sign](frame["x"], value)
    if held.any():
        kept, notes = filtered(frame, [f"x {sign} {value}"], "table")
        assert kept.equals(frame[held])
        assert notes == [f"{held.sum()} of {len(frame)} rows have x {sign} {value}."]
    else:
        with pytest.raises(DataError, match="no row has x"):
            filtered(frame, [f"x {sign} {value}"], "table")


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("State == finished", [0, 3]),
        ("State==finished", [0, 3]),
        ("state != 'finished'", [1, 2]),
        ("lr == 1e-1", [0, 2]),
        ("lr in 0.1, 0.01", [0, 1, 2]),
        ("lr in (0.01)", [1]),
        ("fid >= 5", []),
        ("val/fid >= 5", [2, 3]),
        ("'a == b' == 'x,y'", [0]),
        ("`a == b` in ['x,y', '==']", [0, 3]),
    ],
)
def test_conditions_are_read_as_people_write_them(condition: str, kept: list[int]) -> None:
    if not kept:
        with pytest.raises(DataError, match="no column 'fid'"):
            filtered(CELLS, [condition], "table")
    else:
        assert filtered(CELLS, [condition], "table")[0].index.tolist() == kept


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("lr", "where: 'lr' found; write COLUMN, one of"),
        ("lr == 7", "no row has lr == 7; values of 'lr' are 0.01, 0.1"),
        ("State > failed", "compares text"),
        ("stat == failed", "no column 'stat'.*did you mean 'State'"),
        ("__import__('os').getcwd() == 1", "no column"),
    ],
)
def test_conditions_that_cannot_hold_say_why(condition: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        filtered(CELLS, [condition], "table")


# --- direction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "names"),
    [
        (
            "higher",
            ["accuracy", "val/Accuracy", "metrics.test_acc", "psnr", "valAccuracy", "ms_ssim", "recall@5"],
        ),
        (
            "lower",
            ["fid_efficientnet", "metrics.fid", "val_loss", "loss", "config/test/RMSE", "error_rate"],
        ),
        (
            None,
            ["value", "x", "loss_d", "generator/loss", "neg_mean_squared_error", "acc_loss", "1-ssim"],
        ),
    ],
)
def test_a_direction_is_known_by_the_name_or_not_at_all(better: str | None, names: list[str]) -> None:
    assert {name: direction_of(name) for name in names} == dict.fromkeys(names, better)


def test_a_direction_that_nothing_says_is_asked_for() -> None:
    frame = table().rename(columns={"fid": "thing"})
    with pytest.raises(DataError, match="whether a lower or a higher 'thing' is better; say --direction"):
        asked(frame, value="thing")
    assert by_arm(asked(frame, value="thing", better="minimize"))["b"]["verdict"] == "helps"
    assert by_arm(asked(frame, value="thing", better="maximize"))["b"]["verdict"] == "hurts"


# --- settings that vary -----------------------------------------------------------------------------------------------


def test_a_setting_that_varies_within_arms_is_asked_about_and_every_way_out_works() -> None:
    frame = table(lr=[0.1, 0.1, 0.2] * 2 + [0.2, 0.1, 0.1] * 4)
    with pytest.raises(DataError, match=r"'lr' varies within arms \(0.1, 0.2\).*--arm …,lr.*--where.*--ignore lr"):
        asked(frame)
    assert asked(frame, ignore="lr")["contrasts"] == asked(table())["contrasts"]
    assert "3 of 18 rows" not in str(asked(frame, where="lr == 0.1")["reading"])
    with pytest.raises(DataError, match="no arm 'a'"):
        asked(frame, arm="norm,lr")
    assert asked(frame, arm="norm,lr", baseline="a, 0.2")["baseline"] == "norm=a, lr=0.2"


def test_a_setting_that_the_arm_determines_is_said_and_one_of_the_unit_is_not() -> None:
    of_arm = asked(table(lr=[0.1, 0.2, 0.1] * 6))
    assert "Arms differ in 'lr' as well: a 0.1, b 0.2, c 0.1." in of_arm["reading"]
    assert of_arm["contrasts"] == asked(table())["contrasts"]
    of_unit = asked(table(lr=np.repeat([0.1, 0.2, 0.1, 0.2, 0.1, 0.2], 3)))
    assert of_unit["reading"] == asked(table(lr=7.0))["reading"] == asked(table())["reading"]


def test_a_learning_rate_drawn_at_random_is_asked_about_though_no_value_comes_twice() -> None:
    with pytest.raises(DataError, match="'learning_rate' varies within arms"):
        asked(table(learning_rate=np.geomspace(1e-4, 1e-2, 18)))


def test_other_measurements_are_said_to_be_no_settings_but_marked_text_is_one() -> None:
    document = asked(table(loss=np.random.default_rng(1).normal(size=18)))
    assert document["contrasts"] == asked(table())["contrasts"]
    assert "Other columns of numbers are taken as measurements, not settings: loss." in document["reading"]
    with pytest.raises(DataError, match=r"'params.optimizer' varies within arms"):
        asked(table(**{"params.optimizer": ["adam", "sgd", "adam"] * 2 + ["sgd", "adam", "adam"] * 4}))


def test_an_arm_that_nobody_named_is_never_chosen() -> None:
    with pytest.raises(DataError, match=r"no column 'a' of a wide table.*'norm' holds it: --arm norm"):
        compare(table(lr=0.1), baseline="a")
    with pytest.raises(DataError, match="no column 'arm' for the arms"):
        compare(table(), value="fid", baseline="a")


# --- a column per arm -------------------------------------------------------------------------------------------------


def wide(**columns: Any) -> pd.DataFrame:
    return table().pivot_table(index="seed", columns="norm", values="fid").reset_index().assign(**columns)


@pytest.mark.parametrize(
    "columns",
    [
        {"lr": [50.0, 51, 50, 51, 50, 52]},
        {"rate": [1e-3, 2e-3] * 3},
        {"trial": range(6)},
    ],
)
def test_a_column_that_is_no_arm_is_asked_about(columns: dict[str, Any]) -> None:
    with pytest.raises(
        DataError, match=f"column '{next(iter(columns))}' does not look like values of an arm.*--arm b,c"
    ):
        compare(wide(**columns), baseline="a", better="lower")
    chosen = compare(wide(**columns), baseline="a", better="lower", arm="b,c")
    assert [c["arm"] for c in chosen["contrasts"]] == ["b", "c"]


def test_a_column_of_several_that_name_arms_may_be_empty() -> None:
    arms = by_arm(asked(table(tag=np.nan), arm="norm,tag", baseline="norm=a, tag="))
    assert set(arms) == {"norm=b, tag=", "norm=c, tag="}


def test_a_column_of_the_largest_numbers_does_not_look_like_an_arm() -> None:
    with pytest.raises(DataError, match="column 'b' does not look like values of an arm"):
        compare(
            pd.DataFrame({"seed": range(4), "a": [1.0, 2.0, 3.0, 2.5], "b": [1.0, 1e308, 1e308, 1e308]}), baseline="a"
        )


def test_columns_taken_as_arms_are_said_and_constant_ones_left_out() -> None:
    document = compare(wide(d=50.0), baseline="a", better="lower")
    assert [c["arm"] for c in document["contrasts"]] == ["b", "c"]
    assert document["reading"] == [
        "Column 'd' is constant and left out; --arm d compares it.",
        "Every other column is taken as an arm: b, c; --arm names them.",
    ]


def test_the_row_numbers_of_a_filtered_frame_are_no_arm() -> None:
    frame = wide()
    assert [c["arm"] for c in compare(frame[frame["seed"] > 0], baseline="a", better="lower")["contrasts"]] == [
        "b",
        "c",
    ]


def test_options_of_long_tables_are_refused_for_a_column_per_arm() -> None:
    for option in ({"at": "last"}, {"ok": "finished"}, {"step": "seed"}):
        with pytest.raises(DataError, match="one column per arm"):
            compare(wide(), baseline="a", better="lower", **option)


# --- states -----------------------------------------------------------------------------------------------------------


def test_trials_that_are_not_at_an_end_cost_their_pair_and_are_no_failures() -> None:
    states = ["finished"] * 18
    states[4] = "running"
    found = by_arm(asked(table(state=states)))
    assert (found["b"]["n"], found["b"]["pairs_lost"], found["b"]["failures"]["arm"]) == (5, 1, 0)
    assert (found["c"]["n"], found["c"]["pairs_lost"]) == (6, 0)


def test_a_state_that_nobody_knows_is_asked_about_where_it_is_named() -> None:
    frame = table(outcome=["fine"] * 17 + ["odd"])
    with pytest.raises(DataError, match="'fine' in column 'outcome' is no state that is known"):
        asked(frame, failed="outcome")
    assert by_arm(asked(frame, failed="outcome", ok="fine"))["c"]["failures"]["arm"] == 1
    with pytest.raises(DataError, match="no column of states for --ok fine"):
        asked(table(), ok="fine")
    with pytest.raises(DataError, match=r"no row of column 'outcome' is fin.; did you mean 'fine'"):
        asked(frame, failed="outcome", ok="finn")


def test_a_column_named_state_that_holds_something_else_is_left_alone() -> None:
    assert asked(table(state=["Ohio", "Utah", "Iowa"] * 6))["contrasts"] == asked(table())["contrasts"]


def test_a_studys_own_trials_come_to_the_same_verdicts_with_collapsed_failed_and_lost_ones(tmp_path: Path) -> None:
    statuses = {
        ("spectral_norm=convs+heads", 1): "collapsed",
        ("spectral_norm=convs+heads", 5): "failed",
        ("baseline", 3): "diverged",
    }
    store, verdicts = judge_stored(fill(tmp_path / "s", study(design={"blocks": 9}), statuses=statuses, pictures=False))
    assert verdicts.primary is not None
    document = compare(
        store.folder / "trials", value=verdicts.primary.metric, baseline="baseline", scale="log", margin="10%"
    )
    for contrast in verdicts.primary.contrasts:
        own = by_arm(document)[contrast.arm]
        assert own["verdict"] == contrast.verdict
        assert own["p_holm"] == contrast.p_holm
        assert (own["failures"]["arm"], own["failures"]["baseline"]) == (
            contrast.failures.arm,
            contrast.failures.baseline,
        )


# --- several rows a trial ---------------------------------------------------------------------------------------------


def over_steps(*steps: int) -> pd.DataFrame:
    return pd.concat([table().assign(step=step, fid=lambda t, s=step: t["fid"] + 100 / s) for step in steps])


def test_last_best_and_a_step_take_the_row_that_they_say() -> None:
    frame = over_steps(10, 20, 30).assign(fid=lambda t: t["fid"] + 9 * (t["step"] == 30))
    single = asked(table())["contrasts"]
    assert [c["estimate"] for c in asked(frame, at=20)["contrasts"]] == pytest.approx([c["estimate"] for c in single])
    last, best = (by_arm(asked(frame, at=at))["b"] for at in ("last", "best"))
    assert last["mean_arm"] == pytest.approx(by_arm(asked(frame, at=30))["b"]["mean_arm"])
    assert best["mean_arm"] == pytest.approx(by_arm(asked(frame, at=20))["b"]["mean_arm"])
    highest = by_arm(asked(frame, at="best", better="higher"))["b"]
    assert highest["mean_arm"] == pytest.approx(by_arm(asked(frame, at=30))["b"]["mean_arm"])


def test_rows_over_steps_say_what_is_needed() -> None:
    frame = over_steps(10, 20)
    with pytest.raises(DataError, match=r"several rows of a trial, over 'step'; say which: --at last, --at 20 "):
        asked(frame)
    with pytest.raises(DataError, match="no trial has a value at 'step' 15; near it are 10, 20"):
        asked(frame, at=15)
    with pytest.raises(DataError, match="--at sometimes; last, best or a step"):
        asked(frame, at="sometimes")
    with pytest.raises(DataError, match="no column of steps for --at last"):
        asked(table(), at="last")
    with pytest.raises(DataError, match="more than one trial of unit 0, arm a"):
        asked(frame.assign(run=list(range(36))), at="last")
    with pytest.raises(DataError, match="more than one row for unit 0, arm a at 'step' 10"):
        asked(pd.concat([frame, frame]), at="last")


def test_a_trial_has_one_state() -> None:
    frame = over_steps(10, 20)
    frame = frame.assign(state=np.where(frame["step"] == 20, "finished", "crashed"))
    with pytest.raises(DataError, match="rows of unit 0, arm a have different states in 'state'"):
        asked(frame, at="last")


def test_a_trial_that_logged_nothing_has_failed() -> None:
    frame = over_steps(10, 20)
    nothing = (frame["seed"] == 2) & (frame["norm"] == "b")
    for at in ("last", "best", 20):
        found = by_arm(asked(frame.assign(fid=frame["fid"].mask(nothing)), at=at))["b"]
        assert (found["n"], found["failures"]["arm"]) == (5, 1)


def test_a_trial_without_a_value_at_the_step_has_failed_only_if_it_ended_before() -> None:
    frame = over_steps(10, 20, 30)
    of_b = (frame["seed"] == 2) & (frame["norm"] == "b")
    skipped = by_arm(asked(frame[~(of_b & (frame["step"] == 20))], at=20))["b"]
    assert (skipped["n"], skipped["failures"]["arm"]) == (5, 0)
    ended = by_arm(asked(frame[~(of_b & (frame["step"] >= 20))], at=20))["b"]
    assert (ended["n"], ended["failures"]["arm"]) == (5, 1)


def test_a_positive_control_with_stopped_trials_shows_nothing() -> None:
    states = ["complete"] * 18
    states[4] = "pruned"
    document = asked(table(state=states), positive_control="b", expect="better", margin="1%")
    assert document["sensitivity"]["shown"] is False
    assert "were stopped early" in document["sensitivity"]["reason"]
    assert asked(table(), positive_control="b", expect="better", margin="1%")["sensitivity"]["shown"] is True


def test_effects_take_states_and_steps_into_account() -> None:
    cells = pd.DataFrame([{"seed": s, "a": a, "b": b} for s in range(4) for a in "-+" for b in "-+"])
    values = cells.assign(loss=np.random.default_rng(0).normal(5, 0.1, 16) + 2 * (cells["a"] == "+"), state="finished")
    whole = compare(values, factors="a,b", unit="seed", value="loss")
    assert {e["term"]: e["verdict"] for e in whole["effects"]}["a"] == "hurts"
    stepped = pd.concat([values.assign(step=1, loss=0.0), values.assign(step=2)])
    assert compare(stepped, factors="a,b", unit="seed", value="loss", at="last")["effects"] == whole["effects"]
    values.loc[3, "state"] = "crashed"
    assert compare(values, factors="a,b", unit="seed", value="loss")["factorial"]["rows_lost"] == 1
    assert compare(values, factors="a,b", value="loss")["factorial"]["rows_lost"] == 1
    values.loc[3, "state"] = "pruned"
    for unit in ("seed", None):
        with pytest.raises(DataError, match="1 trials were stopped early"):
            compare(values, factors="a,b", unit=unit, value="loss")


# --- a file a trial ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for (arm, seed), rows in over_steps(10, 20).groupby(["norm", "seed"]):
        place = tmp_path / "runs" / str(arm) / f"seed_{seed}"
        place.mkdir(parents=True)
        rows[["step", "fid"]].to_csv(place / "metrics.csv", index=False)
    return tmp_path / "runs"


def test_arm_and_unit_come_from_the_path(folder: Path) -> None:
    document = compare(folder, pattern="{norm}/seed_{seed}", arm="norm", value="fid", baseline="a", at="last")
    assert by_arm(document)["b"]["verdict"] == "helps"
    with pytest.raises(DataError, match=r"the trial 'a/seed_0' does not fit --pattern '{norm}-{seed}'"):
        compare(folder, pattern="{norm}-{seed}", arm="norm", value="fid", baseline="a", at="last")
    for wrong in ("norm", "{norm}/{norm}", "{a b}"):
        with pytest.raises(DataError, match="name its parts"):
            compare(folder, pattern=wrong, value="fid", baseline="a")


def test_arm_and_unit_come_from_the_settings_beside_and_a_trial_without_a_table_has_failed(folder: Path) -> None:
    for place in folder.glob("*/*"):
        seed = place.name.partition("_")[2]
        (place / "hparams.yaml").write_text(f"seed: {seed}\nmodel: {{norm: {place.parent.name}, layers: [1, 2]}}\n")
    (folder / "b" / "seed_2" / "metrics.csv").write_text("")
    (folder / "c" / "seed_3" / "metrics.csv").unlink()
    document = compare(folder, arm="model.norm", value="fid", baseline="a", at="last")
    for arm in ("b", "c"):
        assert (by_arm(document)[arm]["n"], by_arm(document)[arm]["failures"]["arm"]) == (5, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.getcwd []", "cannot be read as settings"),
        ("a: [1, 2", "cannot be read as settings"),
        ("a: " + "x" * 300_000, "more than 256 KiB"),
        ("\n".join(f"a{i}: {i}" for i in range(5_000)), "more than 2000 settings"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_by_name(folder: Path, text: str, message: str) -> None:
    (folder / "a" / "seed_0" / "hparams.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"hparams.yaml: {message}"):
        read(folder)


def test_settings_that_refer_to_themselves_end(folder: Path) -> None:
    levels = ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}" for i in range(1, 60))]
    (folder / "a" / "seed_0" / "hparams.yaml").write_text("\n".join(levels))
    with pytest.raises(DataError, match="more than 2000 settings"):
        read(folder)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 tables found"):
        read(tmp_path)


def test_dictionaries_of_the_wandb_api_are_unpacked_and_never_evaluated(tmp_path: Path) -> None:
    frame = table()
    runs = pd.DataFrame(
        {
            "name": [f"run{i}" for i in range(18)],
            "config": [str({"seed": r.seed, "net": {"norm": r.norm}}) for r in frame.itertuples()],
            "summary": [str({"fid": r.fid, "_step": 20}) for r in frame.itertuples()],
        }
    )
    runs.loc[4, "summary"] = "{'fid': nan, '_step': 20}"
    runs.to_csv(tmp_path / "project.csv")
    document = compare(tmp_path / "project.csv", arm="net.norm", value="fid", baseline="a")
    assert (by_arm(document)["b"]["n"], by_arm(document)["b"]["failures"]["arm"]) == (5, 1)
    without = by_arm(asked(frame.assign(fid=frame["fid"].mask(frame.index == 4))))["b"]
    assert by_arm(document)["b"]["estimate"] == pytest.approx(without["estimate"])
    runs.loc[0, "config"] = "{'seed': __import__('os').getcwd()}"
    with pytest.raises(DataError, match="column 'config', row 1: cannot be read as a dictionary"):
        read(runs)


def test_a_run_that_never_logged_is_not_lost_where_a_history_meets_its_runs(tmp_path: Path) -> None:
    frame = table()
    names = frame["norm"] + frame["seed"].astype(str)
    runs = frame.assign(Name=names, State="finished", fid=np.nan)[["Name", "State", "norm", "seed"]]
    runs.loc[4, "State"] = "crashed"
    columns = {f"{name} - fid": [fid + 1, fid] for name, fid in zip(names, frame["fid"], strict=True)}
    history = pd.DataFrame({"Step": [1, 2], **columns}).drop(columns=f"{names[4]} - fid")
    runs.to_csv(tmp_path / "runs.csv", index=False)
    history.to_csv(tmp_path / "history.csv", index=False)
    found = by_arm(asked([tmp_path / "history.csv", tmp_path / "runs.csv"], at="last"))["b"]
    assert (found["n"], found["failures"]["arm"]) == (5, 1)


def test_columns_of_one_name_and_ambiguous_ones_are_refused() -> None:
    frame = table()
    with pytest.raises(DataError, match="more than one column 'fid'"):
        read(pd.concat([frame, frame[["fid"]]], axis=1))
    both = frame.rename(columns={"fid": "metrics.fid"}).assign(**{"summary.fid": 1.0})
    with pytest.raises(DataError, match=r"'fid' for the values \(--value\) could be 'metrics.fid' or 'summary.fid'"):
        asked(both)


def test_categories_and_texts_are_labels_like_others() -> None:
    assert asked(table().astype({"norm": "category"}))["contrasts"] == asked(table())["contrasts"]


def test_rows_of_several_metrics_are_told_apart() -> None:
    frame = table().rename(columns={"fid": "value"})
    with pytest.raises(DataError, match="values of fid, loss in one column; keep one: --where 'key == fid'"):
        asked(pd.concat([frame.assign(key="fid"), frame.assign(key="loss")]), value="value")
    document = asked(pd.concat([frame.assign(key="fid"), frame.assign(key="loss")]), value="value", where="key == fid")
    assert (document["metric"], document["better"]) == ("fid", "lower")
