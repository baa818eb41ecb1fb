from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import factory
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, StudyError
from harness.metrics.catalogue import METRICS, metric_named
from harness.metrics.derived import COLUMNS, SIGNALS
from harness.results.derived import derived_values, with_derived
from harness.results.store import Store
from harness.study.reading import read_study
from harness.study.study import Study
from harness.trial.diagnostics import oscillation
from harness.verdicts.judge import judge

STEPS = tuple(range(10, 101, 10))


def tables(**signals: list[float]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return one trial of 100 steps, its ssim at thirds, and signals at every tenth step."""
    trials = pd.DataFrame(
        [
            {
                "trial_id": "a",
                "status": "complete",
                "steps": 100,
                "seconds_per_step": 0.5,
                "epochs": 4.0,
                "peak_bytes": 1 << 20,
            }
        ]
    )
    measured = pd.DataFrame({"trial_id": "a", "step": [20, 60, 100], "metric": "ssim", "value": [0.2, 0.6, 0.8]})
    return trials, measured, pd.DataFrame({"trial_id": "a", "step": STEPS, **signals})


def value(name: str, **signals: list[float]) -> float:
    trials, measured, logged = tables(**signals)
    found = metric_named(name).derivation
    assert found is not None
    return float(derived_values(trials, lambda: measured, lambda: logged, found).iloc[0])


RAMP = [float(step) for step in STEPS]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d_fake_logit:lower", 55.0),
        ("d_fake_logit@first 20%:lower", 15.0),
        ("d_fake_logit@last 20%:lower", 95.0),
        ("d_fake_logit@20%-50%:lower", 40.0),
        ("variation(d_fake_logit)@first 20%", np.std([10, 20], ddof=1) / 15),
        ("oscillation(d_fake_logit)", 0.0),
        ("area(ssim)", (0.4 * 40 + 0.7 * 40) / 80),
        ("mean(ssim)@last 50%", (0.6 + 0.8) / 2),
        ("mean(ssim)", (0.2 + 0.6 + 0.8) / 3),
        ("steps_to(ssim, 0.5)", 60.0),
        ("steps_to(ssim, 0.6)", 60.0),
        ("steps_to(ssim, 0.9)", 100.0),
        ("steps_to(loss_l1, 30)", 10.0),
        ("seconds_per_epoch", 0.5 * 100 / 4),
        ("seconds_per_step", 0.5),
        ("peak_bytes", 1 << 20),
        ("failures", 0.0),
        ("d_fake_gap:higher", -55.0),
    ],
)
def test_each_form_is_its_closed_form(name: str, expected: float) -> None:
    signals = {"d_fake_logit": RAMP, "loss_l1": RAMP, "d_real_logit": [0.0] * 10}
    assert value(name, **signals) == pytest.approx(expected)


def test_the_area_of_a_metric_whose_ratios_count_is_that_of_its_logarithm() -> None:
    trials, _, logged = tables()
    measured = pd.DataFrame(
        {"trial_id": "a", "step": [20, 60, 100], "metric": "fid_random", "value": [1.0, 10.0, 100.0]}
    )
    found = metric_named("area(fid_random)").derivation
    assert found is not None
    assert derived_values(trials, lambda: measured, lambda: logged, found).iloc[0] == pytest.approx(10.0)


def test_the_mean_of_a_metric_whose_ratios_count_is_the_geometric_one() -> None:
    trials, _, logged = tables()
    measured = pd.DataFrame(
        {"trial_id": "a", "step": [20, 60, 100], "metric": "fid_random", "value": [7.0, 10.0, 1000.0]}
    )
    found = metric_named("mean(fid_random)@last 50%").derivation
    assert found is not None
    assert derived_values(trials, lambda: measured, lambda: logged, found).iloc[0] == pytest.approx(100.0)


def test_the_oscillation_of_a_whole_training_is_that_of_the_trials_row() -> None:
    losses = [1.0, 3.0, 2.0, 5.0, 4.0, 1.0, 2.0, 2.5, 1.5, 0.5]
    assert value("oscillation_d", loss_d=losses) == pytest.approx(oscillation(losses))


@given(
    values=st.lists(st.floats(0.1, 10), min_size=10, max_size=10),
    scale=st.floats(0.01, 100),
    name=st.sampled_from(["oscillation", "variation"]),
)
def test_oscillation_and_variation_do_not_depend_on_the_unit(values: list[float], scale: float, name: str) -> None:
    one, other = (value(f"{name}(loss_g)", loss_g=[v * s for v in values]) for s in (1.0, scale))
    assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


def test_what_was_not_logged_has_no_value() -> None:
    assert math.isnan(value("overfitting"))
    assert math.isnan(value("loss_l1", loss_l1=[math.nan] * 10))
    assert math.isnan(value("oscillation_d@first 20%", loss_d=RAMP))


def test_a_failed_trial_counts_in_the_share_of_failures_and_nowhere_else() -> None:
    trials, measured, logged = tables(loss_d=RAMP)
    rows = pd.concat([trials, trials.assign(trial_id="b", status="diverged")], ignore_index=True)
    found = with_derived(rows, lambda: measured, lambda: logged, ["ssim", "failures", "oscillation_d@first 50%"])
    assert found["failures"].tolist() == [0.0, 1.0]
    assert found["oscillation_d@first 50%"].isna().tolist() == [False, True]


@pytest.mark.parametrize("name", [*SIGNALS, *COLUMNS, "sigma_convs.conv1", "oscillation_g", "d_heldout_gap"])
def test_every_signal_and_column_has_a_unit_and_a_direction_or_asks_for_one(name: str) -> None:
    for metric in (metric_named(f"{name}:lower"), metric_named(f"{name}:higher")):
        assert metric.unit
        assert metric.citation
    try:
        assert metric_named(name).better in ("lower", "higher")
    except HarnessError as error:
        assert "neither direction is better; say which one counts as better" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oscilation_d@first 5%", r"no signal 'oscilation_d'"),
        ("loss_l1@early 5%", "'early 5%' is no window; write first 5%, last 20% or 20%-50%"),
        ("loss_l1@50%-20%", "is empty or lies beyond the training"),
        ("loss_l1@first 0%", "is empty"),
        ("area(sim)", "no 'sim'"),
        ("area(d_fake_logit:lower)", "worked out of stored rows itself"),
        ("areas(ssim)", "no function 'areas'; did you mean 'area'"),
        ("steps_to(ssim)", r"write the value to reach, such as steps_to\(ssim, 0\.6\)"),
        ("steps_to(gradient_norm_g, 1)", "neither direction of gradient_norm_g is better"),
        ("failures@first 5%", "one number for a trial and has no window"),
        ("area(ssim)@first 5%", "a window goes with signals, and with the mean of a metric"),
        ("mean(ssim, 3)@last 20%", "mean takes a metric or a signal alone"),
        ("variation(ssim)", "no signal 'ssim'"),
        ("gradient_norm_g@last 20%", "neither direction is better"),
    ],
)
def test_a_slip_is_told_with_the_way_out(name: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        metric_named(name)


def test_a_measure_needs_what_the_metric_it_is_worked_out_of_needs() -> None:
    assert metric_named("area(ssim)").needs == "pairs"
    assert metric_named("steps_to(character_accuracy, 0.5)").extra == "ocr"
    assert metric_named("area(fid_efficientnet)").scale == "log"
    assert all(metric.derivation is None for metric in METRICS.values())


def test_images_are_measured_for_what_a_measure_is_worked_out_of() -> None:
    study = factory.study(measure={"primary": "oscillation_d@first 50%", "also": ["area(ssim)", "l1", "failures"]})
    assert study.measure.metrics == ("oscillation_d@first 50%", "area(ssim)", "l1", "failures")
    assert study.measure.measured == ("ssim", "l1")


def read(folder: Path, **measure: Any) -> Study:
    path = folder / "study.yaml"
    axes = {"training.optimizer.lr": [1e-4, 1e-3]}
    path.write_text(yaml.safe_dump({"study": "x", "training": {"steps": 100}, "axes": axes, "measure": measure}))
    return read_study(path)


def test_a_window_without_logged_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"also: oscillation_d@first 5%: 1 logged steps lie in its window, 3 are needed"
    ):
        read(tmp_path, also=["oscillation_d@first 5%"], signals=20)
    with pytest.raises(StudyError, match=r"overfitting@first 20%: 0 logged steps .* measure\.at"):
        read(tmp_path, also=["overfitting@first 20%"])
    with pytest.raises(StudyError, match=r"mean\(ssim\)@first 20%: 0 logged steps .* measure\.at"):
        read(tmp_path, also=["mean(ssim)@first 20%"], at=["50%", "100%"])
    assert read(tmp_path, also=["oscillation_d@first 5%"], signals=100)


def test_margins_belong_to_further_metrics(tmp_path: Path) -> None:
    study = read(tmp_path, also=["ssim"], margins={"ssim": 0.01})
    assert [study.measure.margin_of(name) for name in ("fid_efficientnet", "ssim", "l1")] == ["10%", 0.01, None]
    assert study.hash == read(tmp_path, also=["ssim"]).hash
    with pytest.raises(StudyError, match="margins: 'sim' is not under also; did you mean 'ssim'"):
        read(tmp_path, also=["ssim"], margins={"sim": 0.01})
    with pytest.raises(StudyError, match="'1 %' is neither a number nor a percentage"):
        read(tmp_path, also=["ssim"], margins={"ssim": "1 %"})


STORED = Path(__file__).parents[1] / "stored" / "format_0" / "tiny"


def test_stored_trials_are_judged_by_measures_they_were_not_run_for(tmp_path: Path) -> None:
    store = Store.at(STORED)
    names = ["oscillation_d@last 50%", "variation(gradient_norm_d)", "area(ssim)", "failures", "seconds_per_step"]
    frozen = store.tables().frozen.study
    study = frozen.model_copy(
        update={"measure": frozen.measure.model_copy(update={"also": tuple(names), "margins": {names[0]: "50%"}})}
    )
    plain = store.tables()
    table = with_derived(plain.trials, lambda: plain.measurements, lambda: plain.signals, names)
    assert table[names].notna().all().all()
    assert np.allclose(
        with_derived(plain.trials, lambda: plain.measurements, lambda: plain.signals, ["oscillation_d"])[
            "oscillation_d"
        ],
        plain.trials["oscillation_d"],
    )
    verdicts = judge(study, plain)
    assert {a.metric for a in verdicts.others} <= set(names)


def test_the_page_names_every_signal_and_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name, quantity in (*SIGNALS.items(), *COLUMNS.items()):
        assert f"| `{name}` | {quantity.better} | {quantity.unit} | {quantity.meaning} |" in page
