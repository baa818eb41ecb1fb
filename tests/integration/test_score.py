import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import structural_similarity

from harness.errors import DataError, HarnessError
from harness.metrics.extractors import efficientnet
from harness.metrics.score import render_score, score


def crops(count: int, size: int, seed: int, *, noise: float = 0.0) -> list[np.ndarray]:
    """Real photographs: patches of scikit-image's astronaut and cat."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        photo = data.astronaut() if index % 2 else data.cat()
        row, column = (rng.integers(0, side - 3 * size) for side in photo.shape[:2])
        patch = photo[row : row + 3 * size : 3, column : column + 3 * size : 3].astype(float)
        found.append(np.clip(patch + 255 * noise * rng.normal(size=patch.shape), 0, 255).astype(np.uint8))
    return found


def write(folder: Path, images: list[np.ndarray], start: int = 0, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{start + index:03}{suffix}")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("photos")
    clean = crops(24, 32, seed=0)
    rng = np.random.default_rng(1)
    noisy = [np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8) for image in clean]
    return write(root / "real", clean), write(root / "fake", noisy)


def arrays(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]


def test_folders_are_scored_as_the_libraries_would_score_them(photos: tuple[Path, Path]) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    document = score(*photos, metrics=["fid_efficientnet", "ssim", "l1", "psnr"])
    real, fake = (np.stack(arrays(folder)) for folder in photos)
    features = []
    for images in (real, fake):
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            features.append(efficientnet.features(tensor).double())
    fid = fid_statistics_to_metric(*(fid_features_to_statistics(x) for x in features), verbose=False)
    metrics = document["metrics"]
    spread = sum(float(x.var(dim=0).sum()) for x in features)
    assert metrics["fid_efficientnet"] == pytest.approx(fid["frechet_inception_distance"], abs=1e-6 * spread + 1e-3)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    pairs = list(zip(real / 255.0, fake / 255.0, strict=True))
    ssim = np.mean([structural_similarity(a, b, data_range=1.0, **wang) for a, b in pairs])
    assert metrics["ssim"] == pytest.approx(ssim, abs=1e-6)
    assert metrics["l1"] == pytest.approx(np.abs(real / 255.0 - fake / 255.0).mean(), abs=1e-7)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(((real / 255.0 - fake / 255.0) ** 2).mean()), abs=1e-4)
    assert document["n_real"] == document["n_fake"] == 24
    assert document["feature_id"] == efficientnet.feature_id()
    assert document["floor"] > 0


def test_the_usual_metrics_make_a_json_document_and_a_table(photos: tuple[Path, Path]) -> None:
    document = score(*photos)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"fid_efficientnet", "kid_efficientnet", "coverage_efficientnet", "ssim", "l1"} <= set(document["metrics"])
    assert all(entry["better"] in ("lower", "higher") and entry["unit"] for entry in document["measurements"])
    text = render_score(document)
    assert "24 real and 24 generated images of 3 x 32 x 32" in text
    assert "fid_efficientnet" in text
    assert "pairs by file name" in text


def test_scoring_twice_with_and_without_a_cache_gives_the_same(photos: tuple[Path, Path], tmp_path: Path) -> None:
    names = ["fid_efficientnet", "kid_efficientnet", "ssim_diversity"]
    plain, first, second = (score(*photos, metrics=names, cache=cache) for cache in (None, tmp_path, tmp_path))
    assert plain == first == second
    assert list(tmp_path.iterdir())


def test_a_folder_against_itself_is_at_distance_zero(photos: tuple[Path, Path]) -> None:
    metrics = score(photos[0], photos[0], metrics=["fid_efficientnet", "ssim", "l1", "psnr"])["metrics"]
    assert metrics["fid_efficientnet"] <= 1e-9
    assert (metrics["ssim"], metrics["l1"]) == (1.0, 0.0)
    assert metrics["psnr"] == pytest.approx(58.92, abs=0.01)


def test_folders_with_other_names_have_no_pairs(photos: tuple[Path, Path], tmp_path: Path) -> None:
    fake = write(tmp_path / "fake", crops(12, 32, seed=5), start=500)
    document = score(photos[0], fake)
    assert not document["paired"]
    assert "ssim" not in document["metrics"]
    assert document["n_fake"] == 12
    with pytest.raises(HarnessError, match=r"ssim: needs pairs .* without a partner: 000"):
        score(photos[0], fake, metrics=["ssim"])


def test_grey_beside_colour_is_repeated_to_three_channels(photos: tuple[Path, Path], tmp_path: Path) -> None:
    grey = [image.mean(axis=2).astype(np.uint8) for image in arrays(photos[1])]
    same = [np.repeat(image[..., None], 3, axis=2) for image in grey]
    left = score(photos[0], write(tmp_path / "grey", grey), metrics=["l1", "ssim", "fid_efficientnet"])
    right = score(photos[0], write(tmp_path / "same", same), metrics=["l1", "ssim", "fid_efficientnet"])
    assert left["metrics"] == right["metrics"]
    assert any("grey" in note for note in left["notes"])


def test_other_kinds_of_files_and_hidden_ones_are_passed_over(photos: tuple[Path, Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "nested" / "deep", arrays(photos[0])).parent
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("not an image")
    assert score(folder, folder, metrics=["l1"])["n_real"] == 24


def test_transparent_is_white_and_sixteen_bits_become_eight(tmp_path: Path) -> None:
    clear = np.zeros((16, 16, 4), dtype=np.uint8)
    deep = np.full((16, 16), 65535, dtype=np.uint16)
    left, right = write(tmp_path / "clear", [clear]), write(tmp_path / "deep", [deep])
    assert score(left, right, metrics=["l1"])["metrics"]["l1"] == 0


def test_different_sizes_are_refused_unless_one_is_asked_for(photos: tuple[Path, Path], tmp_path: Path) -> None:
    fake = write(tmp_path / "fake", [*crops(20, 32, seed=2), *crops(4, 48, seed=3)])
    with pytest.raises(DataError, match=r"2 sizes \(44 of 32 x 32, 4 of 48 x 48\); give one size .* --size 64"):
        score(photos[0], fake)
    assert score(photos[0], fake, metrics=["l1"], size=32)["shape"] == [3, 32, 32]


def test_a_broken_file_is_named(photos: tuple[Path, Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "broken", arrays(photos[0]))
    (folder / "003.png").write_bytes((folder / "003.png").read_bytes()[:60])
    (folder / "007.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken: cannot read 003\.png .*; 007\.png .*remove or repair"):
        score(photos[0], folder)


def test_empty_missing_and_lonely_folders_are_refused(photos: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no images; allowed: \.bmp"):
        score(photos[0], tmp_path / "empty")
    with pytest.raises(DataError, match="absent: no such folder"):
        score(tmp_path / "absent", photos[0])
    lonely = write(tmp_path / "lonely", crops(1, 32, seed=0), start=900)
    with pytest.raises(DataError, match="lonely: 1 image; at least 2"):
        score(photos[0], lonely)
    with pytest.raises(HarnessError, match="at least 2 of each"):
        score(photos[0], lonely, metrics=["fid_efficientnet"])


def test_few_and_tiny_images_get_what_is_possible_and_a_note(tmp_path: Path) -> None:
    left, right = (write(tmp_path / str(seed), crops(3, 8, seed=seed)) for seed in (0, 1))
    document = score(left, right)
    assert set(document["metrics"]) == {"fid_efficientnet", "kid_efficientnet", "l1", "psnr"}
    assert document["floor"] is None
    assert sum("left out" in note for note in document["notes"]) == 2


def test_unknown_metrics_and_bare_fid_are_refused_with_a_way_out(photos: tuple[Path, Path]) -> None:
    with pytest.raises(HarnessError, match="no 'fid_eficientnet'; did you mean 'fid_efficientnet'"):
        score(*photos, metrics=["fid_eficientnet"])
    with pytest.raises(HarnessError, match="'fid' without its features is not a number; allowed: fid_efficientnet"):
        score(*photos, metrics=["fid"])


@pytest.fixture
def feature_files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", rng.normal(size=(60, 16)).astype(np.float32))
    np.savez(tmp_path / "fake.npz", features=rng.normal(0.5, 1.2, size=(50, 16)), other=np.zeros(3))
    return tmp_path / "real.npy", tmp_path / "fake.npz"


def test_feature_files_are_scored_as_the_libraries_would_score_them(feature_files: tuple[Path, Path]) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    document = score(*feature_files)
    real, fake = np.load(feature_files[0]), np.load(feature_files[1])["features"]
    statistics = (fid_features_to_statistics(torch.from_numpy(x).double()) for x in (real, fake))
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert document["metrics"]["frechet"] == pytest.approx(fid, rel=1e-9)
    assert set(document["metrics"]) == {"frechet", "kid", "precision", "recall", "density", "coverage"}
    assert (document["n_real"], document["n_fake"], document["shape"]) == (60, 50, [16])
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert "60 real and 50 generated feature rows of 16" in render_score(document)


def test_enough_rows_for_their_width_come_with_the_bias(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(400, 4)))
    document = score(tmp_path / "a.npy", tmp_path / "b.npy", metrics=["frechet"])
    bias = document["measurements"][0]["bias"]
    assert bias == pytest.approx(4 * 9 / 800, rel=0.2)
    assert "is bias" in render_score(document)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(5), r"float64 of shape \(5,\); numbers of shape \(N, d\)"),
        (np.zeros((0, 16)), r"shape \(0, 16\)"),
        (np.array([["a", "b"]]), "numbers of shape"),
        (np.full((4, 16), np.nan), "4 of 4 rows hold NaN"),
        (np.zeros((4, 3)), "16 and 3 features; both must come from one extractor"),
        (np.zeros((1, 16)), "1 image; at least 2"),
        (np.array([{"a": 1}], dtype=object), "holds object"),
    ],
)
def test_arrays_that_are_no_features_are_refused(
    content: np.ndarray, message: str, feature_files: tuple[Path, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "other.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        score(feature_files[0], tmp_path / "other.npy")


def test_files_that_are_no_arrays_are_refused(feature_files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    for name, message in (("text.npy", "numpy cannot read"), ("text.npz", "numpy cannot read"), ("two.npz", "a, b")):
        with pytest.raises(DataError, match=message):
            score(feature_files[0], tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        score(feature_files[0], tmp_path / "absent.npy")
    with pytest.raises(DataError, match="one is a file of features"):
        score(feature_files[0], tmp_path)
    with pytest.raises(HarnessError, match="'fid_inception' is not one of features"):
        score(*feature_files, metrics=["fid_inception"])
