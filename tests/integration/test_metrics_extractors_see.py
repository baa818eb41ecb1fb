import importlib.util
from pathlib import Path
from types import ModuleType

import matplotlib.font_manager
import pytest


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "extractors.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_extractors", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_features_see_what_the_page_says_that_they_see(benchmark: ModuleType) -> None:
    sans, serif = (Path(matplotlib.font_manager.findfont(name)) for name in ("DejaVu Sans", "DejaVu Serif"))
    found = benchmark.seen(benchmark.letters(400), sans, serif)
    style, content, control = (found[name] for name in ("efficientnet", "ocr", "random"))
    for multiples in found.values():
        assert multiples["none (the floor)"] == 1
        assert multiples["collapse to 1 in 20"] > multiples["collapse to 1 in 4"] > 1.3
        assert multiples["a missing stroke"] > 2
    assert style["blur, sigma 1"] > 2
    assert content["blur, sigma 1"] < 1.6
    assert style["noise, sd 0.05"] > 3 * content["noise, sd 0.05"]
    assert content["no character (mirrored)"] > 1.5 * style["no character (mirrored)"]
    assert style["wrong style"] > 1.4
    assert control["blur, sigma 1"] > style["blur, sigma 1"]
