import hashlib
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from torch import Tensor

from harness.errors import HarnessError, MissingExtraError
from harness.metrics import Evaluation, measure
from harness.metrics import lpips as lpips_metric
from harness.metrics.extractors import efficientnet, inception, ocr, random_convolutions, weights
from harness.metrics.features import extractor_named


def letters(text: str, font: str, size: int = 32) -> Tensor:
    drawn = []
    face = ImageFont.truetype(matplotlib.font_manager.findfont(font), int(0.8 * size))
    for letter in text:
        image = Image.new("L", (size, size), 255)
        ImageDraw.Draw(image).text((size / 2, size / 2), letter, font=face, anchor="mm", fill=0)
        drawn.append(np.array(image))
    return torch.from_numpy(np.stack(drawn))[:, None].float() / 255


@pytest.mark.parametrize(("picture", "label", "least"), [("cat", 285, 0.7), ("coffee", 967, 0.8)])
def test_efficientnet_knows_a_cat_and_a_cup_of_coffee(picture: str, label: int, least: float) -> None:
    image = torch.from_numpy(getattr(data, picture)()).permute(2, 0, 1)[None].float() / 255
    image = torch.nn.functional.interpolate(image, (224, 224), mode="bilinear", antialias=True).clamp(0, 1)
    with torch.inference_mode():
        chances = efficientnet.network().logits(image).softmax(dim=1)[0]
    assert int(chances.argmax()) == label
    assert float(chances[label]) > least


@pytest.mark.parametrize("name", ["efficientnet", "ocr", "random"])
def test_features_do_not_depend_on_the_other_images_of_a_batch(name: str) -> None:
    images = letters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN", "DejaVu Sans")
    extractor = extractor_named(name)
    with torch.inference_mode():
        whole = extractor.extract(images)
        parts = torch.cat([extractor.extract(part) for part in images.split(7)])
    assert whole.dtype == torch.float32
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet", "ocr", "random"])
def test_grey_and_the_same_in_three_channels_have_equal_features(name: str) -> None:
    images = letters("abc", "DejaVu Sans")
    extractor = extractor_named(name)
    with torch.inference_mode():
        assert torch.equal(extractor.extract(images), extractor.extract(images.repeat(1, 3, 1, 1)))


def test_features_have_identities_of_their_own_that_change_with_the_weights(tmp_path: Path) -> None:
    identities = {extractor_named(name).feature_id for name in ("efficientnet", "ocr", "random")}
    assert len(identities) == 3
    assert all(identity.split("-")[0] in ("efficientnet", "ocr", "random") for identity in identities)
    files = []
    for name, content in (("a", b"1"), ("b", b"2")):
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    first, second = (weights_id(file) for file in files)
    assert first != second


def weights_id(file: Path) -> str:
    from harness.metrics.extractors.feature_id import feature_id_of

    return feature_id_of("x", "same", file)


def test_random_convolutions_are_the_same_everywhere() -> None:
    probe = torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)
    with torch.inference_mode():
        found = random_convolutions.features(probe)[0]
    assert found.shape == (256,)
    before = torch.get_rng_state()
    random_convolutions.kernels.cache_clear()
    with torch.inference_mode():
        assert torch.equal(random_convolutions.features(probe)[0], found)
    assert torch.equal(before, torch.get_rng_state())


def test_the_reading_network_reads_letters() -> None:
    text = "ABDEFGHKLMNPQRTabdefghknqrt2345678"
    read = ocr.read(letters(text, "DejaVu Sans"))
    assert np.mean([a == b for a, b in zip(read, text, strict=True)]) > 0.85


def test_the_reading_network_knows_hanzi_and_no_cyrillic() -> None:
    known = ocr.characters()
    assert {"一", "永", "A", "7"} <= known
    assert not set("ЖДЯ") & known


def test_character_accuracy_counts_wanted_characters_that_the_network_knows() -> None:
    real, fake = letters("ABDEFЖ", "DejaVu Serif"), letters("ABXEFЖ", "DejaVu Sans")
    found = measure(["character_accuracy"], Evaluation(real=real, fake=fake, paired=True, characters=tuple("ABDEFЖ")))[
        0
    ]
    assert (found.value, found.floor, found.n_fake) == (0.8, 1.0, 5)
    assert found.feature_id == ocr.feature_id()
    with pytest.raises(HarnessError, match="knows none of the characters"):
        measure(["character_accuracy"], Evaluation(real=real, fake=fake, characters=tuple("ЖДЯЖДЯ")))


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception's shape with weights that nobody trained: the published file cannot be fetched here."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    loaded: dict[str, Tensor] = {}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(torch, "load", lambda *_args, **_more: loaded)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda _, state: state)
        model = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path="none")
    torch.save(model.state_dict(), file)
    return file


def clear() -> None:
    inception.network.cache_clear()
    inception.feature_id.cache_clear()


def test_inception_by_path_gives_torch_fidelitys_features(
    inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    digest = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.URL_INCEPTION_V3", f"x/weights-{digest[:8]}.pth")
    monkeypatch.setenv(inception.VARIABLE, str(inception_file))
    clear()
    images = letters("ab", "DejaVu Sans")
    rgb = (images * 255).round().to(torch.uint8).repeat(1, 3, 1, 1)
    theirs = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file)
    )
    with torch.inference_mode():
        expected, logits = theirs(rgb)
        ours = inception.features(images)
        torch.testing.assert_close(ours, expected)
        torch.testing.assert_close(inception.logits(ours), logits)
    clear()


@pytest.mark.slow
def test_inception_distance_and_score_share_their_features(
    inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.URL_INCEPTION_V3", f"x/weights-{digest[:8]}.pth")
    monkeypatch.setenv(inception.VARIABLE, str(inception_file))
    clear()
    images = letters("abcdefghijkl", "DejaVu Sans")
    fid, score = measure(["fid_inception", "inception_score"], Evaluation(real=images, fake=images.flip(3)))
    assert fid.feature_id == score.feature_id == inception.feature_id()
    assert fid.value is not None
    assert score.value is not None
    assert score.value >= 1
    clear()


def test_another_file_than_the_published_inception_is_refused(
    inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(inception.VARIABLE, str(inception_file))
    with pytest.raises(MissingExtraError, match="the published one begins 6726825d; download"):
        inception.weights_file()


@pytest.mark.parametrize("given", [False, True])
def test_offline_a_message_says_what_to_put_where(given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object, **_more: object) -> None:
        raise weights.URLError("offline")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(inception.VARIABLE, str(tmp_path / "absent.pth") if given else "")
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(MissingExtraError, match=f"put it at {tmp_path}.*6726825d.pth, or set {inception.VARIABLE}"):
        inception.weights_file()
    with pytest.raises(MissingExtraError, match=f"lpips: .* put it at {tmp_path}.*alexnet"):
        lpips_metric.weights_file()


def test_lpips_is_that_of_its_authors_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lpips
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        alexnet = torchvision.models.alexnet(weights=None)
    torch.save(alexnet.state_dict(), tmp_path / "alexnet.pth")
    monkeypatch.setattr(lpips_metric, "weights_file", lambda: tmp_path / "alexnet.pth")
    lpips_metric.network.cache_clear()
    draw = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(5, 3, 70, 70, generator=draw) for _ in range(2))
    with pytest.warns(UserWarning, match="weight"):
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for slice_of_theirs in theirs.net.children():
        for index, layer in slice_of_theirs.named_children():
            layer.load_state_dict(alexnet.features[int(index)].state_dict())
    with torch.inference_mode():
        expected = theirs.eval()(real, fake, normalize=True).flatten()
        np.testing.assert_allclose(lpips_metric.lpips_each(real, fake), expected, rtol=1e-5)
        assert lpips_metric.lpips_each(real, real) == pytest.approx(np.zeros(5), abs=1e-7)
    small = measure(["lpips"], Evaluation(real=real[..., :32, :32], fake=fake[..., :32, :32], paired=True))[0]
    assert small.value is not None
    assert small.value > 0
    assert small.feature_id is not None
    lpips_metric.network.cache_clear()
