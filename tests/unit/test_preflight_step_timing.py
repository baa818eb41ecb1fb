"""How steps are timed: whole, on fewer images where they are long, or worked out where even that would not end."""

from __future__ import annotations

import factory
import pytest
import torch

from harness.metrics import Evaluation, measure
from harness.metrics.value import Measurement
from harness.models import build_pair
from harness.models.cost import NetworkCost, conditions_for, cost
from harness.preflight import step_timing as pace
from harness.study.measure_settings import MeasureSettings
from harness.study.settings import TrialSettings


def size_of(settings: TrialSettings) -> NetworkCost:
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    return cost(pair, conditions_for(1, factory.SIZE, paired=True, latent=None, styles=factory.STYLES))


def paces(settings: TrialSettings) -> tuple[dict[str, pace.StepTiming], dict[str, str]]:
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    return pace.step_paces({"arm": (settings, pair, size_of(settings), factory.dataset())})


def test_steps_are_timed_as_they_are_while_they_are_short() -> None:
    found, failures = paces(factory.settings())
    assert found["arm"].how == "measured"
    assert 0 < found["arm"].seconds < 5
    assert not failures


def test_long_steps_are_timed_on_fewer_images_and_endless_ones_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = factory.settings(training={"batch_size": 16})
    monkeypatch.setattr(pace, "multiply_adds_per_second", lambda: 1e9)
    expected = pace.step_multiply_adds(settings, size_of(settings)) / 1e9
    monkeypatch.setattr(pace, "SLOW_STEP", expected / 3)
    assert paces(settings)[0]["arm"].how == "measured on 2 and 5 images of 16"
    monkeypatch.setattr(pace, "SLOW_STEP", expected / 100)
    assert paces(settings)[0]["arm"].how == "measured on 2 images of 16"
    monkeypatch.setattr(pace, "ENDLESS_STEP", expected / 100)
    assert paces(settings)[0]["arm"] == pace.StepTiming(expected, "worked out from multiply-adds")


def test_a_step_that_fails_is_told_from_one_that_is_timed() -> None:
    settings = factory.settings(discriminator={"final_channels": 3, "final_conv": {"kernel_size": 5, "in_channels": 1}})
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    found, failures = pace.step_paces({"arm": (settings, pair, size_of(factory.settings()), factory.dataset())})
    assert not found
    assert failures["arm"].startswith("the first training step fails: ")


def test_a_step_costs_what_its_passes_add_up_to() -> None:
    """One generator step: G forward, D forward and backward twice over, then G's and D's backward with D's forward."""
    settings = factory.settings(training={"generator_steps": 1, "batch_size": 4})
    size = NetworkCost(parameters_g=0, parameters_d=0, macs_g=100, macs_d=10, activation_bytes=0)
    assert pace.step_multiply_adds(settings, size) == 4 * (100 + 6 * 10 + 2 * 100 + 2 * 10)
    more = factory.settings(training={"generator_steps": 2, "batch_size": 4})
    assert pace.step_multiply_adds(more, size) - pace.step_multiply_adds(settings, size) == 4 * (3 * 100 + 2 * 10)


def test_metrics_of_the_networks_themselves_are_in_the_time_of_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = factory.settings()
    pair = build_pair(settings, styles=factory.STYLES, block="0")
    before = {name: value.clone() for net in pair.networks().values() for name, value in net.state_dict().items()}
    measured: list[tuple[str, ...]] = []

    def watched(names: tuple[str, ...], evaluation: Evaluation) -> list[Measurement]:
        measured.append(tuple(names))
        return measure(names, evaluation)

    monkeypatch.setattr(pace, "measure", watched)
    also = ("shift_error_g", "shift_error_d", "d_category_accuracy", "dead_units_d")
    plan = MeasureSettings(primary="ssim", margin=0.01, also=also)
    assert pace.time_evaluation(plan, factory.dataset(), pair, None).each > 0
    assert measured == [("ssim", *also)] * 2
    after = {name: value for net in pair.networks().values() for name, value in net.state_dict().items()}
    assert all(torch.equal(before[name], value) for name, value in after.items())
