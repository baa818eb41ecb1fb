"""The settings of each kind of data; each field is a possible axis of a study."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Strict, Tag, field_validator

from harness.study.fields import DOOR, Count, Settings, Text, kind_tag


class ImageSettings(Settings):
    """What every data set has in common."""

    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 32
    """Height and width in pixels; a power of two."""
    channels: Literal[1, 3] = 1
    """1 for grey, 3 for colour."""
    holdout: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = 0.2
    """Share kept out of training, on which every metric is computed."""
    limit: Count | None = None
    """Train on only so many items, character by character in the order of their content hashes, so that fewer are
    always among more; what is held out stays as it is."""

    PAIRED: ClassVar[bool | None] = False
    """Whether each image is redrawn from a source of its own; None where only the loaded data tells."""
    SOURCED: ClassVar[bool | None] = False
    """Whether there are sources to draw from, of pairs or of another kind of images."""
    CHARACTERS: ClassVar[bool] = False
    """Whether labels are the characters that the images show."""
    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"augment", "limit"})
    """Settings that leave the held-out images as they are: only these can be axes."""

    @field_validator("image_size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            below = 1 << (size.bit_length() - 1)
            raise ValueError(f"{size} is no power of two; the nearest are {below} and {2 * below}")
        return size


class GlyphSettings(ImageSettings):
    """The same characters rendered from a source font and from target fonts."""

    kind: Literal["glyphs"] = "glyphs"
    """`glyphs`: pairs rendered from font files."""
    source: Text = "DejaVuSans"
    """A font that matplotlib ships, by name, or the path of a TTF, OTF or TTC file (`file.ttc#1`: its second face)."""
    targets: Annotated[tuple[Text, ...], Field(min_length=1)] = ("DejaVuSerif",)
    """Fonts to learn; each is a style."""
    characters: Text = "shared-letters"
    """A named set (shared-letters, latin, greek, kana, gb2312-1 …), the path of a text file, or the characters."""
    margin: Annotated[float, Strict(), Field(ge=0.0, lt=0.5)] = 0.06
    """Empty share of the canvas on each side."""
    augment: Literal["none", "zi2zi"] = "none"
    """zi2zi's augmentation of training pairs: joint enlargement by up to 5 %, random crop, occasional blur."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True
    CHARACTERS: ClassVar[bool] = True


class ImagePairSettings(ImageSettings):
    """zi2zi's own formats: a folder of LABEL_NUMBER.jpg|png pairs side by side, or its packed .obj files."""

    kind: Literal["pairs"] = "pairs"
    """`pairs`: source and target in one picture."""
    path: Text
    """A folder of pictures (left half target, right half source), or a folder or file of `train.obj` and `val.obj`."""
    holdout: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the pictures kept out of training, on which every metric is computed."""
    augment: Literal["none", "zi2zi"] = "none"
    """zi2zi's augmentation of training pairs: joint enlargement by up to 5 %, random crop, occasional blur."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True


class ImageFolderSettings(ImageSettings):
    """A tree of image files without pairs: CelebA's folder, or anything that ImageFolder reads."""

    kind: Literal["images"] = "images"
    """`images`: a folder of pictures without sources."""
    path: Text
    """The folder; pictures are found at any depth."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour."""
    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 64
    """Height and width in pixels; a power of two. Pictures are resized and cropped in the middle."""
    limit: Count | None = None
    """Use only so many images, held-out ones included, taken in the order of their content hashes."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half."""

    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"augment"})


class PictureSettings(ImageSettings):
    """What folders of colour pictures have in common."""

    path: Text
    """The folder, laid out as the kind says."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour."""
    image_size: Annotated[int, Strict(), Field(ge=4, le=1024)] = 64
    """Height and width in pixels; a power of two."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half, along with its source."""


class ClassFolderSettings(PictureSettings):
    """A folder for each class, with its pictures at any depth: each class is a style."""

    kind: Literal["classes"] = "classes"
    """`classes`: sub-folders are classes."""


class SideBySideSettings(PictureSettings):
    """pix2pix's data: pictures of A and B side by side, or folders A and B with pictures of equal names."""

    kind: Literal["pix2pix"] = "pix2pix"
    """`pix2pix`: each picture of A with its own of B."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which is the source, and which is to be drawn from it; A is on the left."""

    PAIRED: ClassVar[bool | None] = True
    SOURCED: ClassVar[bool | None] = True


class UnpairedSettings(PictureSettings):
    """CycleGAN's data: pictures of two kinds, none of which belongs to any of the other."""

    kind: Literal["unpaired"] = "unpaired"
    """`unpaired`: folders trainA and trainB, perhaps testA and testB; or A and B."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which are the sources, and which is to be drawn from them."""

    SOURCED: ClassVar[bool | None] = True


class FaceSettings(ImageSettings):
    """The 100 real faces of scikit-image's `lfw_subset`, 25 x 25 grey: a DCGAN study with no download."""

    kind: Literal["faces"] = "faces"
    """`faces`: those of scikit-image."""
    augment: Literal["none", "flip"] = "none"
    """`flip` mirrors each training image with probability one half."""


class CustomDataSettings(ImageSettings):
    """A user's own data set, `package.module:function`."""

    kind: Annotated[str, Field(pattern=DOOR)]
    """The function that returns your data set, `package.module:function`."""
    options: dict[str, Any] = Field(default={})
    """Passed to the function as keyword arguments."""
    augment: Literal["none"] = "none"
    """None but your own."""

    PAIRED: ClassVar[bool | None] = None
    SOURCED: ClassVar[bool | None] = None
    TRAINED_ON: ClassVar[frozenset[str]] = frozenset({"limit", "options"})
    """Whether the options leave the held-out images as they are shows when the data is loaded."""


DataSettings = Annotated[
    Annotated[GlyphSettings, Tag("glyphs")]
    | Annotated[ImagePairSettings, Tag("pairs")]
    | Annotated[ImageFolderSettings, Tag("images")]
    | Annotated[ClassFolderSettings, Tag("classes")]
    | Annotated[SideBySideSettings, Tag("pix2pix")]
    | Annotated[UnpairedSettings, Tag("unpaired")]
    | Annotated[FaceSettings, Tag("faces")]
    | Annotated[CustomDataSettings, Tag("custom")],
    Discriminator(kind_tag),
]
