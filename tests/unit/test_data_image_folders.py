from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from harness.data import check_dataset, load
from harness.data.pixels import fit
from harness.errors import DataError
from harness.image_files import decode
from harness.study.data_settings import FaceSettings, ImageFolderSettings, ImagePairSettings


def noise(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    depth = 3 if mode == "RGB" else 1
    array = np.random.default_rng(seed).integers(0, 256, (height, width, depth), dtype=np.uint8)
    return Image.fromarray(array.squeeze())


def celeba(folder: Path, count: int = 10) -> Path:
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    for number in range(count):
        noise(number, 89, 109).save(images / f"{number:06d}.jpg")
    return folder


def pairs(folder: Path, styles: int = 3, characters: int = 6, size: int = 256, suffix: str = "jpg") -> Path:
    folder.mkdir()
    for character in range(characters):
        source = noise(100 + character, size, size, "L")
        for style in range(styles):
            both = Image.new("L", (2 * size, size))
            both.paste(noise(1000 * style + character, size, size, "L"), (0, 0))
            both.paste(source, (size, 0))
            both.convert("RGB").save(folder / f"{style}_{character:05d}.{suffix}")
    return folder


@pytest.mark.parametrize(("width", "height"), [(178, 218), (218, 178), (64, 64), (65, 64), (31, 200), (20, 33)])
def test_resizing_and_cropping_equal_torchvisions(width, height):
    image = noise(width, width, height)
    theirs = v2.Compose([v2.Resize(64, interpolation=v2.InterpolationMode.BILINEAR), v2.CenterCrop(64)])(image)
    assert np.array_equal(np.asarray(fit(image, 64)), np.asarray(theirs))


def test_celebas_layout_gives_images_without_sources(tmp_path):
    dataset = load(ImageFolderSettings(path=str(celeba(tmp_path)), image_size=32))
    assert not dataset.paired
    assert dataset.train.target.shape == (8, 3, 32, 32)
    assert len(dataset.heldout) == 2
    check_dataset(dataset)
    assert load(ImageFolderSettings(path=str(tmp_path), image_size=32, channels=1)).channels == 1


def test_content_decides_and_not_names_of_folders_or_times(tmp_path):
    first = load(ImageFolderSettings(path=str(celeba(tmp_path / "a"))))
    other = celeba(tmp_path / "b")
    (other / "img_align_celeba").rename(other / "class one")
    for file in (other / "class one").iterdir():
        os.utime(file, (1, 1))
    assert load(ImageFolderSettings(path=str(other))).hash == first.hash


def test_a_changed_pixel_or_size_or_share_changes_the_hash(tmp_path):
    folder = celeba(tmp_path)
    hashes = [
        load(ImageFolderSettings(path=str(folder), image_size=16)).hash,
        load(ImageFolderSettings(path=str(folder), image_size=32)).hash,
    ]
    hashes.append(load(ImageFolderSettings(path=str(folder), image_size=32, holdout=0.5)).hash)
    noise(99, 89, 109).save(folder / "img_align_celeba" / "000003.jpg")
    hashes.append(load(ImageFolderSettings(path=str(folder), image_size=32)).hash)
    assert len(set(hashes)) == 4


def test_a_limit_takes_the_first_by_hash_and_a_larger_one_keeps_them(tmp_path):
    folder = celeba(tmp_path)
    few, more = (load(ImageFolderSettings(path=str(folder), limit=limit, holdout=0.5)) for limit in (4, 7))
    names = [set(d.train.labels) | set(d.heldout.labels) for d in (few, more)]
    assert (len(names[0]), len(names[1])) == (4, 7)
    assert names[0] < names[1]


def test_copies_of_a_picture_stay_on_one_side(tmp_path):
    folder = celeba(tmp_path, 6)
    for copy in range(6):
        noise(3, 89, 109).save(folder / f"copy {copy}.jpg")
    dataset = load(ImageFolderSettings(path=str(folder), holdout=0.5))
    check_dataset(dataset)
    assert "6 pictures are copies" in dataset.notes[1]


def test_all_broken_pictures_are_named(tmp_path):
    folder = celeba(tmp_path) / "img_align_celeba"
    (folder / "cut.jpg").write_bytes((folder / "000001.jpg").read_bytes()[:500])
    (folder / "text.png").write_text("no picture")
    (folder / "none.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 pictures cannot be read") as caught:
        load(ImageFolderSettings(path=str(tmp_path)))
    assert all(name in str(caught.value) for name in ("cut.jpg", "text.png", "none.png"))


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    folder = celeba(tmp_path)
    (folder / "._000001.jpg").write_bytes(b"a Mac wrote this")
    (folder / "readme.txt").write_text("text")
    assert len(load(ImageFolderSettings(path=str(folder))).train) == 8


def test_a_folder_that_is_missing_empty_or_holds_one_picture_is_told(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        load(ImageFolderSettings(path=str(tmp_path / "none")))
    with pytest.raises(DataError, match="no pictures"):
        load(ImageFolderSettings(path=str(tmp_path)))
    noise(1, 30, 30).save(tmp_path / "one.png")
    for count in (2, 3):
        with pytest.raises(DataError, match=r"picture.* to be held out, and distances between sets of images need 2"):
            load(ImageFolderSettings(path=str(tmp_path)))
        noise(count, 30, 30).save(tmp_path / f"{count}.png")


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims any size: a header, no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(9000, 9000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_picture_that_claims_too_many_pixels_is_refused(width, height):
    with pytest.raises(DataError, match=r"bomb\.png: cannot be read.* pixels"):
        decode(bomb(width, height), "bomb.png", 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_parts_are_white(channels):
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(stream, "PNG")
    assert np.asarray(decode(stream.getvalue(), "x", channels)).min() == 255


def test_sixteen_bits_are_rounded_and_not_clipped():
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(stream, "PNG")
    assert np.asarray(decode(stream.getvalue(), "x.png", 1)).tolist() == [[round(40_000 / 257)] * 4] * 4


def test_values_of_no_known_range_are_refused():
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(stream, "TIFF")
    with pytest.raises(DataError, match="mode F has no known range"):
        decode(stream.getvalue(), "x.tif", 1)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_the_left_half_is_the_target_and_the_right_half_the_source(tmp_path, suffix):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in range(4):
        image = Image.new("L", (64, 32), 250)
        image.paste(10, (0, 0, 32, 32))
        image.putpixel((40, number), 0)
        image.save(folder / f"0_{number:05d}.{suffix}")
    dataset = load(ImagePairSettings(path=str(folder), image_size=32))
    assert dataset.train.target.max() < 60
    assert dataset.train.source.float().mean() > 200


def test_a_character_is_held_out_in_all_styles(tmp_path):
    dataset = load(ImagePairSettings(path=str(pairs(tmp_path / "pairs")), image_size=32, holdout=0.34))
    numbers = [{label.split("_")[1] for label in split.labels} for split in (dataset.train, dataset.heldout)]
    assert not numbers[0] & numbers[1]
    assert len(dataset.heldout) == 6
    assert dataset.styles == ("0", "1", "2")
    check_dataset(dataset)


def test_pairs_hash_alike_wherever_they_are(tmp_path):
    first = load(ImagePairSettings(path=str(pairs(tmp_path / "a", size=32)), image_size=32)).hash
    assert load(ImagePairSettings(path=str(pairs(tmp_path / "b", size=32)), image_size=32)).hash == first


def test_wrong_names_and_shapes_of_pairs_are_told(tmp_path):
    folder = pairs(tmp_path / "pairs", size=32)
    noise(0, 64, 32).save(folder / "A.png")
    with pytest.raises(DataError, match=r"1 pictures are not named LABEL_NUMBER.*A\.png"):
        load(ImagePairSettings(path=str(folder)))
    (folder / "A.png").unlink()
    noise(0, 50, 32).save(folder / "0_99.png")
    with pytest.raises(DataError, match=r"0_99\.png: 50 x 32 is not twice as wide"):
        load(ImagePairSettings(path=str(folder)))


def test_paths_that_are_no_pairs_are_told(tmp_path):
    (tmp_path / "x.txt").write_text("text")
    for path, message in (("none", "no file or folder"), ("x.txt", "neither a folder"), ("", "no LABEL_NUMBER")):
        with pytest.raises(DataError, match=message):
            load(ImagePairSettings(path=str(tmp_path / path)))


def test_the_faces_are_a_hundred_and_look_like_their_originals():
    from skimage.data import lfw_subset

    dataset = load(FaceSettings(image_size=32, holdout=0.2))
    assert (len(dataset.train), len(dataset.heldout)) == (80, 20)
    check_dataset(dataset)
    number = int(dataset.train.labels[0].removeprefix("face "))
    small = torch.nn.functional.interpolate(
        torch.from_numpy(lfw_subset()[number])[None, None], size=(32, 32), mode="bilinear", align_corners=False
    )
    assert (dataset.train.target[0].double() / 255 - small).abs().max() < 0.01
    assert torch.equal(load(FaceSettings(channels=3)).train.target[:, 2:], load(FaceSettings()).train.target)
