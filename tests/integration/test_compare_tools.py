"""Tables that the tools themselves wrote (`tests/stored/tables/README.md`): the same experiment, the same verdicts."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from subprocess import run

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import harness
from harness.statistics import render
from harness.statistics.sentences import contrast_rows
from harness.tables.reading import read

TABLES = Path(__file__).parents[1] / "stored" / "tables"
ASKED = {"arm": "spectral_norm", "baseline": "none", "value": "fid"}
NAMED = {"baseline": "none", "pattern": "{arm}-seed{seed}"}

FAILED = {
    "wandb runs": ("wandb_runs.csv", ASKED),
    "wandb history beside its runs": (["wandb_history.csv", "wandb_runs.csv"], {**ASKED, "at": "last"}),
    "wandb history at a step": ("wandb_history.csv", {**NAMED, "value": "fid", "at": 300}),
    "mlflow csv": ("mlflow_runs.csv", ASKED),
    "mlflow parquet": ("mlflow_runs.parquet", ASKED),
    "mlflow history": ("mlflow_history.csv", {**ASKED, "value": "value", "at": "last"}),
    "lightning": ("lightning", {**ASKED, "at": "last"}),
    "tensorboard": ("tensorboard", {**NAMED, "pattern": "{arm}_seed{seed}", "value": "val_fid", "at": "300"}),
    "aim": ("aim_metrics.csv", {**ASKED, "value": "value", "at": 300}),
}
"""Tables in which one trial of `heads` failed, or did not reach the step that was asked for."""
STOPPED = {
    "optuna": ("optuna_trials.csv", {**ASKED, "value": "value", "better": "lower"}, 2),
    "ray": ("ray_results.csv", ASKED, 2),
    "ray's folders": ("ray", {**ASKED, "at": "last"}, 2),
    "wandb history": ("wandb_history.csv", {**NAMED, "value": "fid", "at": "last"}, 1),
    "tensorboard": ("tensorboard", {**NAMED, "pattern": "{arm}_seed{seed}", "value": "val_fid", "at": "last"}, 1),
    "aim": ("aim_metrics.csv", {**ASKED, "value": "value", "at": "last"}, 1),
}
"""Tables that leave open why a trial of `heads` ended early, or in which a pruner ended it; pairs lost."""


def compared(names, **options):
    paths = [TABLES / name for name in ([names] if isinstance(names, str) else names)]
    return harness.compare(paths[0] if len(paths) == 1 else paths, **options)


def contrasts(document):
    return {c["arm"]: c for c in document["contrasts"]}


@pytest.fixture(scope="module")
def truth():
    """FID at the last step, seeds by arms, as the experiment's script has it."""
    scope = {"__name__": "make_tables", "__file__": str(TABLES / "make_tables.py")}
    exec((TABLES / "make_tables.py").read_text(), scope)
    return pd.DataFrame({arm: [scope["fid"](arm, seed, 300) for seed in range(6)] for arm in scope["ARMS"]})


@pytest.mark.parametrize(("names", "options"), FAILED.values(), ids=FAILED)
def test_each_tools_table_gives_the_paired_t_test_and_its_failure(names, options, truth):
    found = contrasts(compared(names, **options))
    reference = stats.ttest_rel(truth["convs"], truth["none"])
    assert found["convs"]["t"] == pytest.approx(reference.statistic, rel=1e-3)  # TensorBoard keeps float32
    assert found["convs"]["verdict"] == "helps"
    without = truth.drop(4)
    assert found["heads"]["t"] == pytest.approx(stats.ttest_rel(without["heads"], without["none"]).statistic, rel=1e-3)
    assert (found["heads"]["n"], found["heads"]["failures"]["arm"]) == (5, 1)
    assert found["heads"]["verdict"] == "inconclusive"


@pytest.mark.parametrize(("names", "options", "lost"), STOPPED.values(), ids=STOPPED)
def test_trials_that_were_stopped_leave_no_verdict_and_no_p_value(names, options, lost):
    document = compared(names, **options)
    found = contrasts(document)
    assert found["convs"]["verdict"] == "helps"
    heads = found["heads"]
    assert (heads["verdict"], heads["decided"], heads["n"], heads["pairs_lost"]) == (
        "inconclusive",
        False,
        6 - lost,
        lost,
    )
    assert {heads[name] for name in ("p_value", "p_holm", "p_max_t", "p_sign_flip", "t")} == {None}
    assert heads["ci"]["low"] is None
    assert heads["equivalence"]["p_value"] is None
    assert "--ok complete" in heads["sentence"]


def test_accuracy_is_better_when_it_is_higher_and_loss_when_it_is_lower():
    document = compared("mlflow_runs.csv", **{**ASKED, "value": "accuracy"})
    assert document["better"] == "higher"
    assert contrasts(document)["convs"]["verdict"] == "helps"
    assert "Higher accuracy is taken as better, by its name; --direction says otherwise." in document["reading"]
    turned = compared("mlflow_runs.csv", **{**ASKED, "value": "accuracy"}, better="lower")
    assert contrasts(turned)["convs"]["verdict"] == "hurts"


def test_states_say_how_many_trials_are_complete_and_how_many_failed():
    assert (
        "States in 'status': 17 finished (complete), 1 failed (failures)."
        in compared("mlflow_runs.csv", **ASKED)["reading"]
    )


def test_pruned_trials_count_as_the_user_says():
    options = {**ASKED, "value": "value", "better": "lower"}
    failures = contrasts(compared("optuna_trials.csv", **options, ok="complete"))["heads"]
    assert (failures["failures"]["arm"], failures["n"]) == (2, 4)
    assert failures["p_value"] is not None
    values = contrasts(compared("optuna_trials.csv", **options, ok="COMPLETE,pruned"))["heads"]
    assert (values["failures"]["arm"], values["n"]) == (1, 5)
    dropped = compared("optuna_trials.csv", **options, where="state != PRUNED")
    assert dropped["reading"][0].startswith("17 of 18 rows have state != PRUNED. Trials that are left out by how")
    assert contrasts(dropped)["heads"]["n"] == 4


def test_trials_that_ended_early_count_as_the_user_says():
    failures = contrasts(compared("ray_results.csv", **ASKED, ok="complete"))["heads"]
    assert (failures["failures"]["arm"], failures["n"]) == (2, 4)
    values = contrasts(compared("ray_results.csv", **ASKED, ok="complete,short"))["heads"]
    assert (values["failures"]["arm"], values["n"]) == (0, 6)


def test_at_a_step_that_all_reached_a_stopped_trial_has_its_value():
    found = contrasts(compared("wandb_history.csv", **NAMED, value="fid", at=200))["heads"]
    assert (found["n"], found["failures"]["arm"]) == (6, 0)
    assert found["p_value"] is not None


def test_the_best_over_steps_is_said_to_be_optimistic():
    document = compared("mlflow_history.csv", **{**ASKED, "value": "value"}, at="best")
    assert any("optimistic in all arms" in note and "heads 2.83" in note for note in document["reading"])


def test_a_value_that_became_nan_is_a_failure_of_its_trial_even_where_the_best_is_taken():
    for at in ("last", "best"):
        heads = contrasts(compared("lightning", **ASKED, at=at))["heads"]
        assert (heads["failures"]["arm"], heads["n"]) == (1, 5)


def test_optuna_is_compared_live(truth):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.GridSampler({"norm": ["none", "convs", "heads"], "seed": list(range(6))})
    )

    def objective(trial):
        arm, seed = trial.suggest_categorical("norm", ["none", "convs", "heads"]), trial.suggest_int("seed", 0, 5)
        trial.report(truth[arm][seed] + 10, 1)
        if (arm, seed) == ("heads", 2):
            raise optuna.TrialPruned
        if (arm, seed) == ("heads", 4):
            raise FloatingPointError
        return float(truth[arm][seed])

    study.optimize(objective, n_trials=18, catch=(FloatingPointError,))
    document = harness.compare(study.trials_dataframe(), arm="norm", baseline="none", better="lower")
    found = contrasts(document)
    assert found["convs"]["t"] == pytest.approx(stats.ttest_rel(truth["convs"], truth["none"]).statistic)
    assert (found["heads"]["verdict"], found["heads"]["p_holm"], found["heads"]["n"]) == ("inconclusive", None, 4)


def test_several_files_are_one_table(tmp_path):
    table = pd.read_csv(TABLES / "mlflow_runs.csv")
    for at, part in enumerate((table.iloc[:7], table.iloc[7:])):
        part.to_csv(tmp_path / f"{at}.csv", index=False)
    whole, parts = harness.compare(table, **ASKED), harness.compare([tmp_path / "0.csv", tmp_path / "1.csv"], **ASKED)
    assert whole["contrasts"] == parts["contrasts"]


def test_an_arm_of_several_columns_is_named_by_all_of_them():
    document = compared("mlflow_runs.csv", arm="spectral_norm,batch_size", value="fid", baseline="none, 16")
    assert document["baseline"] == "spectral_norm=none, batch_size=16"
    assert set(contrasts(document)) == {"spectral_norm=convs, batch_size=16", "spectral_norm=heads, batch_size=16"}


def test_units_of_several_columns_are_matched_by_all_of_them():
    whole = compared("mlflow_runs.csv", **ASKED)["contrasts"]
    assert compared("mlflow_runs.csv", **ASKED, unit="seed,batch_size")["contrasts"] == whole


def test_the_command_exits_2_where_it_has_to_ask():
    def command(*arguments):
        code = "import sys; from harness.cli import main; main(sys.argv[1:])"
        return run([sys.executable, "-c", code, "compare", *arguments], capture_output=True, text=True, check=False)

    asked = command(str(TABLES / "optuna_trials.csv"), "--arm", "spectral_norm", "--baseline", "none")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr.startswith(
        "error: optuna_trials.csv: nothing says whether a lower or a higher 'value' is better"
    )
    answered = command(
        *(str(TABLES / "ray"), "--arm", "spectral_norm", "--baseline", "none", "--value", "fid"),
        *("--at", "last", "--ok", "complete", "--where", "lr == 0.0002", "--json"),
    )
    assert answered.returncode == 0, answered.stderr
    assert contrasts(json.loads(answered.stdout))["heads"]["failures"]["arm"] == 2
    assert "51 of 51 rows have lr == 0.0002." in answered.stderr


@pytest.mark.parametrize("width", [60, 80, 121])
def test_every_cell_and_word_is_there_within_the_width_of_a_terminal(width):
    document = compared("wandb_runs.csv", **ASKED, scale="log", margin="5%")
    whole, fitted = render(document), render(document, width=width)
    assert max(map(len, fitted.splitlines())) <= width < max(map(len, whole.splitlines()))
    for row in contrast_rows(document):
        assert all(cell in fitted for cell in row)
    prose = [line for line in whole.splitlines() if line.endswith(".")]
    assert all(line in " ".join(fitted.split()) for line in prose)


def test_reading_keeps_every_logged_value():
    assert len(read(TABLES / "wandb_history.csv").frame.dropna(subset="fid")) == 53
    steps = read(TABLES / "ray").frame.groupby("run")["training_iteration"].apply(list)
    assert sorted(map(len, steps)) == [1, 2, *([3] * 16)]
    assert all(a < b for each in steps for a, b in pairwise(each))
    assert np.isfinite(pd.to_numeric(read(TABLES / "tensorboard").frame["val_fid"])).all()


def pruned_study(optuna, number, blocks=12):
    """Trials of arms that end equal; `slow` is 6 points behind when a median pruner looks."""
    draw = np.random.default_rng(number)
    level, noise = draw.normal(60, 5, blocks), draw.normal(0, 1, (2, 2, blocks))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=number))
    for block in range(blocks):
        for arm in ("quick", "slow"):
            study.enqueue_trial({"arm": arm, "seed": block})

    def objective(trial):
        arm, block = trial.suggest_categorical("arm", ["quick", "slow"]), trial.suggest_int("seed", 0, blocks - 1)
        early, end = noise[int(arm == "slow"), :, block]
        trial.report(level[block] + 30 + 6 * (arm == "slow") + early, 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        return level[block] + end

    study.optimize(objective, n_trials=2 * blocks)
    return study.trials_dataframe()


@pytest.mark.slow
def test_a_median_pruner_makes_an_arm_that_ends_equal_hurt_unless_verdicts_are_withheld():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ways = {"withheld": {}, "as failures": {"ok": "complete"}, "last values": {"ok": "complete,pruned"}}
    hurts = dict.fromkeys(ways, 0)
    for number in range(60):
        table = pruned_study(optuna, number)
        for way, options in ways.items():
            (contrast,) = harness.compare(table, arm="arm", baseline="quick", better="lower", **options)["contrasts"]
            hurts[way] += contrast["verdict"] == "hurts"
    assert hurts["withheld"] == 0
    assert hurts["as failures"] > 0.05 * 60
    assert hurts["last values"] > 0.9 * 60
