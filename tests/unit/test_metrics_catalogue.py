import importlib
import subprocess
import sys

import pytest

from harness.errors import HarnessError
from harness.metrics.catalogue import METRICS, metric_named, missing_extra, refusal


def test_every_metric_names_a_function_that_exists() -> None:
    for metric in METRICS.values():
        module, _, function = metric.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), metric.name


def test_every_metric_says_direction_unit_range_and_source() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.citation
        assert metric.range[0] < metric.range[1]


def test_every_distance_is_named_after_its_features() -> None:
    assert "fid" not in METRICS
    for name, metric in METRICS.items():
        if metric.function == "harness.metrics.frechet:fid":
            assert name == f"fid_{metric.features}"
            assert metric.scale == "log"


def test_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys; import harness.metrics.catalogue as c; c.metric_named('fid_ocr');"
        "c.missing_extra(c.METRICS['lpips']);"
        "print([m for m in ('torch', 'numpy', 'scipy', 'skimage', 'pandas', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_measuring_imports_nothing_that_analyses() -> None:
    code = (
        "import sys; from harness.metrics import measure, Evaluation;"
        "print([m for m in ('pandas', 'optuna', 'yaml', 'pyarrow', 'torchmetrics') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_metric_from_elsewhere_says_its_direction_in_its_name() -> None:
    assert metric_named("taste.of_fonts:elegance").better == "lower"
    assert metric_named("taste.of_fonts:elegance:higher").better == "higher"
    assert metric_named("taste.of_fonts:elegance:higher").function == "taste.of_fonts:elegance"


def test_a_distance_on_features_from_elsewhere_keeps_its_family() -> None:
    metric = metric_named("fid@taste.of_fonts:features")
    assert (metric.features, metric.scale, metric.better) == ("taste.of_fonts:features", "log", "lower")
    assert metric_named("coverage@taste:features").better == "higher"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fid", "'fid' without its features is not a number; allowed: fid_efficientnet, fid_efficientnet_print"),
        ("fid_efficientnett", "did you mean 'fid_efficientnet'"),
        ("taste.of_fonts:elegance:upwards", "no 'taste.of_fonts:elegance:upwards'"),
        ("fid@nowhere", "no 'fid@nowhere'"),
        ("", "no ''"),
    ],
)
def test_names_that_are_no_metric_are_refused_with_a_way_out(name: str, message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        metric_named(name)


def test_metrics_of_pairs_are_refused_without_pairs() -> None:
    reason = refusal(METRICS["ssim"], paired=False)
    assert reason is not None
    assert "ssim_diversity" in reason
    assert refusal(METRICS["ssim"], paired=True) is None
    assert refusal(METRICS["fid_efficientnet"], paired=False) is None
    assert "wanted character" in str(refusal(METRICS["character_accuracy"], paired=True, characters=False))
    assert "training images" in str(refusal(METRICS["nearest_neighbour_ratio"], paired=True, train=False))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert missing_extra(METRICS["ssim"]) is None
    expected = "lpips: lpips is not installed; pip install 'gan-ablation-harness[lpips]'"
    assert missing_extra(METRICS["lpips"]) == expected
