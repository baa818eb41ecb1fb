import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from harness.errors import DataError, HarnessError
from harness.metrics import Evaluation, content_id, measure, to_unit_range
from harness.metrics.array_cache import kept
from harness.metrics.features import extractor_named
from harness.metrics.ssim_ink import ssim_ink_each

CHEAP = ["fid_random", "kid_random", "precision_random", "ssim", "ssim_ink", "l1", "rmse", "psnr", "ssim_diversity"]


def glyphs(seed: int, count: int = 40, size: int = 24) -> Tensor:
    """Dark bars on white."""
    rng = np.random.default_rng(seed)
    images = np.ones((count, 1, size, size), dtype=np.float32)
    for image in images:
        for _ in range(3):
            row, column, long = [*rng.integers(2, size - 10, 2).tolist(), int(rng.integers(4, 9))]
            image[0, row : row + 2, column : column + long] = 0
            image[0, column : column + long, row : row + 2] = 0
    return torch.from_numpy(images)


def noisy(images: Tensor, seed: int, by: float = 0.1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return to_unit_range(2 * images - 1 + 2 * by * torch.randn(images.shape, generator=draw))


@pytest.fixture
def evaluation() -> Evaluation:
    real = glyphs(0)
    return Evaluation(real=real, fake=noisy(real, 1), paired=True, train=glyphs(2), real_id="glyphs")


@pytest.fixture
def streams() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def pixel_means(images: Tensor) -> Tensor:
    """Features of a user's own: 4 x 4 block means."""
    return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


def darkness(evaluation: Evaluation) -> float:
    return float(1 - evaluation.fake.mean())


def undefined(evaluation: Evaluation) -> float:
    return float("nan")


def drawing(evaluation: Evaluation) -> float:
    return float(torch.rand(()))


def scalars(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


def test_images_map_to_eight_bits_between_zero_and_one() -> None:
    mapped = to_unit_range(torch.tensor([-3.0, -1.0, -0.999, 0.0, 1.0, 7.0]))
    np.testing.assert_allclose(mapped * 255, [0, 0, 0, 128, 255, 255])
    levels = torch.arange(256) / 127.5 - 1
    assert torch.equal((to_unit_range(levels) * 255).round(), torch.arange(256.0))


@pytest.mark.usefixtures("streams")
def test_measuring_leaves_streams_threads_and_gradients_alone(evaluation: Evaluation) -> None:
    threads = torch.get_num_threads()
    measure([*CHEAP, f"{__name__}:drawing"], evaluation)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_measuring_does_not_depend_on_the_global_stream_or_on_autocast(evaluation: Evaluation) -> None:
    names = [*CHEAP, "nearest_neighbour_ratio", f"{__name__}:drawing"]
    first = measure(names, evaluation)
    with torch.random.fork_rng(), torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(99)
        assert measure(names, evaluation) == first


def test_values_carry_what_is_needed_to_read_them(evaluation: Evaluation) -> None:
    fid, ssim = measure(["fid_efficientnet", "ssim"], evaluation)
    assert (fid.metric, fid.n_real, fid.n_fake) == ("fid_efficientnet", 40, 40)
    assert fid.feature_id == extractor_named("efficientnet").feature_id
    assert fid.bias is None
    assert fid.floor is not None
    assert fid.floor > 0
    assert fid.evaluation_sd is not None
    assert fid.evaluation_sd > 0
    assert ssim.feature_id is None


def test_one_metric_alone_has_the_value_that_it_has_beside_others(evaluation: Evaluation) -> None:
    together = measure(CHEAP, evaluation)
    assert tuple(measure([name], evaluation)[0] for name in CHEAP) == together


def test_pixel_metrics_are_those_of_scikit_image_and_torchmetrics(evaluation: Evaluation) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
    from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

    found = {m.metric: m.value for m in measure(["ssim", "l1", "rmse", "psnr"], evaluation)}
    real, fake = evaluation.real.double(), evaluation.fake.double()
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    each = [structural_similarity(a[0].numpy(), b[0].numpy(), **wang) for a, b in zip(real, fake, strict=True)]
    assert found["ssim"] == pytest.approx(np.mean(each), rel=1e-12)
    assert found["l1"] == pytest.approx(float(mean_absolute_error(fake.flatten(), real.flatten())), rel=1e-6)
    squared = float(mean_squared_error(fake.flatten(), real.flatten(), squared=False))
    assert found["rmse"] == pytest.approx(squared, rel=1e-6)
    assert found["psnr"] == pytest.approx(float(torch_psnr(fake, real, data_range=1.0)), rel=1e-6)
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(real.numpy(), fake.numpy(), data_range=1.0), rel=1e-9)


def test_multi_scale_ssim_is_that_of_torchmetrics_and_refuses_small_images(evaluation: Evaluation) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    real = torch.nn.functional.interpolate(evaluation.real[:3], 176, mode="bilinear").clamp(0, 1)
    fake = noisy(real, 3)
    found = measure(["ms_ssim"], Evaluation(real=real, fake=fake, paired=True))[0].value
    theirs = multiscale_structural_similarity_index_measure(fake.double(), real.double(), data_range=1.0)
    assert found == pytest.approx(float(theirs), abs=1e-9)
    with pytest.raises(DataError, match="24 x 24 pixels; at least 161"):
        measure(["ms_ssim"], evaluation)


def test_equal_pairs_are_perfect(evaluation: Evaluation) -> None:
    same = Evaluation(real=evaluation.real, fake=evaluation.real, paired=True)
    found = {m.metric: m.value for m in measure(CHEAP, same)}
    assert (found["ssim"], found["l1"], found["rmse"]) == (1.0, 0.0, 0.0)
    assert found["ssim_ink"] == pytest.approx(1)
    assert found["psnr"] == pytest.approx(58.92, abs=0.01)
    assert found["fid_random"] == pytest.approx(0, abs=1e-12)
    assert found["precision_random"] == 1


def test_white_background_hides_a_wrong_glyph_from_ssim_but_not_from_ssim_in_the_ink() -> None:
    small, large = (torch.ones(1, 1, size, size) for size in (24, 96))
    other = [images.clone() for images in (small, large)]
    for images, wrong in zip((small, large), other, strict=True):
        images[..., 8:16, 10:12] = 0
        wrong[..., 10:12, 8:16] = 0
    values = [ssim_ink_each(a, b)[0] for a, b in zip((small, large), other, strict=True)]
    assert values[0] == pytest.approx(values[1], abs=0.05)
    plain = [
        measure(["ssim"], Evaluation(real=a, fake=b, paired=True))[0].value
        for a, b in zip((small, large), other, strict=True)
    ]
    assert plain[1] > plain[0] + 0.3 > values[1] + 0.3


def test_a_stray_stroke_on_empty_paper_counts_in_the_ink() -> None:
    paper = torch.ones(1, 1, 24, 24)
    stray = paper.clone()
    stray[..., 10:12, 4:20] = 0
    assert ssim_ink_each(paper, paper)[0] == 1
    assert ssim_ink_each(paper, stray)[0] < 0.5


def test_collapse_shows_in_the_diversity_and_not_in_the_precision() -> None:
    real = glyphs(0)
    collapsed = noisy(real[:1].repeat(40, 1, 1, 1), 4, by=0.01)
    names = ["ssim_diversity", "precision_random", "coverage_random"]
    diversity, precision, coverage = measure(names, Evaluation(real=real, fake=collapsed))
    assert diversity.value is not None
    assert diversity.floor is not None
    assert diversity.value > 0.9 > diversity.floor
    assert precision.value == 1
    assert coverage.value is not None
    assert coverage.value < 0.3


def test_memorised_training_images_are_nearer_to_the_training_set() -> None:
    real, train = glyphs(0), glyphs(2)
    copies = 0.99 * train.flip(0)
    fresh = glyphs(6)
    copied, new = (
        measure(["nearest_neighbour_ratio"], Evaluation(real=real, fake=fake, train=train))[0].value
        for fake in (copies, fresh)
    )
    assert copied is not None
    assert new is not None
    assert copied < 0.6
    assert 0.8 < new < 1.25


def test_a_users_own_metric_gets_the_evaluation(evaluation: Evaluation) -> None:
    own, nothing = measure([f"{__name__}:darkness:higher", f"{__name__}:undefined"], evaluation)
    assert own.value == pytest.approx(float(1 - evaluation.fake.mean()))
    assert own.metric == f"{__name__}:darkness:higher"
    assert nothing.value is None


def test_a_users_own_features_have_an_identity_and_a_distance(evaluation: Evaluation) -> None:
    fid, kid = measure([f"fid@{__name__}:pixel_means", f"kid@{__name__}:pixel_means"], evaluation)
    assert fid.feature_id == kid.feature_id
    assert fid.feature_id is not None
    assert fid.feature_id.startswith("pixel_means-")


def test_what_a_user_names_wrongly_is_said(evaluation: Evaluation) -> None:
    with pytest.raises(HarnessError, match=r"'no\.such:thing' cannot be imported"):
        measure(["no.such:thing"], evaluation)
    with pytest.raises(HarnessError, match="finite \\(N, d\\) is needed"):
        measure([f"fid@{__name__}:scalars"], evaluation)


def test_pairs_characters_and_training_images_are_asked_for(evaluation: Evaluation) -> None:
    unpaired = Evaluation(real=evaluation.real, fake=evaluation.fake)
    for name, message in (
        ("ssim", "needs pairs .* ssim_diversity"),
        ("l1", "needs pairs"),
        ("nearest_neighbour_ratio", "needs the training images"),
        ("character_accuracy", "needs the wanted character"),
    ):
        with pytest.raises(HarnessError, match=f"{name}: {message}"):
            measure([name], unpaired)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fake": torch.zeros(40, 2, 24, 24)}, "expected N x 1 or 3 x H x W"),
        ({"fake": torch.zeros(0, 1, 24, 24)}, "at least one image"),
        ({"fake": torch.zeros(40, 1, 24, 24, dtype=torch.float64)}, "expected float32"),
        ({"fake": torch.full((40, 1, 24, 24), -1.0)}, "to_unit_range"),
        ({"fake": torch.full((40, 1, 24, 24), float("nan"))}, "expected 0 to 1"),
        ({"fake": torch.zeros(39, 1, 24, 24)}, "expected equally many"),
        ({"fake": torch.zeros(40, 3, 24, 24)}, "differ in more than number"),
        ({"characters": ("a",)}, "one for each of 40"),
    ],
)
def test_images_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    fields = {"real": glyphs(0), "fake": glyphs(1), "paired": True} | change
    with pytest.raises(ValueError, match=message):
        Evaluation(**fields)


def test_real_features_come_from_the_folder_and_the_folder_can_go(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    stored = Evaluation(real=evaluation.real, fake=evaluation.fake, paired=True, real_id="glyphs", cache=folder)
    first = measure(CHEAP, stored)
    assert first == measure(CHEAP, evaluation)
    extracted: list[int] = []
    module = "harness.metrics.extractors.random_convolutions"
    features = extractor_named("random").function
    monkeypatch.setattr(f"{module}.features", lambda images: extracted.append(len(images)) or features(images))
    assert measure(CHEAP, stored) == first
    assert sum(extracted) == 40
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert measure(CHEAP, stored) == first
    for file in folder.iterdir():
        file.unlink()
    assert measure(CHEAP, stored) == first


def test_other_real_images_under_another_identity_do_not_meet_in_the_folder(tmp_path: Path) -> None:
    fake = glyphs(9)
    for seed in (0, 1):
        real = glyphs(seed)
        with_folder = measure(
            ["fid_random"], Evaluation(real=real, fake=fake, real_id=content_id(real), cache=tmp_path)
        )
        assert with_folder == measure(["fid_random"], Evaluation(real=real, fake=fake))


def test_racing_writers_leave_one_whole_file(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    found: list[np.ndarray] = []

    def write() -> None:
        barrier.wait()
        found.append(kept(tmp_path, ("same",), lambda: {"x": np.arange(50_000)})["x"])

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(x, np.arange(50_000)) for x in found)
    assert [file.suffix for file in tmp_path.iterdir()] == [".npz"]
    assert not any(file.name.startswith(".scratch") for file in tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match="cannot be kept here"):
        kept(tmp_path / "file", ("key",), lambda: {"x": np.zeros(1)})


def test_few_images_are_refused_where_they_are_too_few(evaluation: Evaluation) -> None:
    three = Evaluation(real=evaluation.real[:3], fake=evaluation.fake[:3], paired=True)
    one = Evaluation(real=evaluation.real[:1], fake=evaluation.fake[:1], paired=True)
    assert [m.floor for m in measure(["fid_random"], three)] == [None]
    assert measure(["l1", "ssim", "rmse", "psnr"], one)[0].standard_error is None
    with pytest.raises(DataError, match="at least 6 of each"):
        measure(["coverage_random"], three)
    for name in ("fid_random", "kid_random", "ssim_diversity"):
        with pytest.raises(DataError, match="at least 2"):
            measure([name], one)
    tiny = Evaluation(real=evaluation.real[..., :8, :8], fake=evaluation.fake[..., :8, :8], paired=True)
    with pytest.raises(DataError, match="8 x 8 pixels; at least 11 x 11"):
        measure(["ssim"], tiny)
