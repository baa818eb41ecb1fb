"""Finding font files by name or path, and what they really have: outlines, by character."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import logging
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fontTools import agl
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont, TTLibError

from harness.data.characters import base_letters
from harness.errors import DataError, MissingExtraError, did_you_mean
from harness.study_folder import located

FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")

CJK_FONTS: Mapping[str, str] = MappingProxyType(
    {"NotoSansSC": "NotoSansSC-Regular.otf", "NotoSerifSC": "NotoSerifSC-Regular.otf"}
)
"""Names of the `cjk` extra and their files in the package pylopdf-fonts-zh-cn."""

DEBIAN_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "uming": "fonts-arphic-uming",
        "ukai": "fonts-arphic-ukai",
        "gbsn00lp": "fonts-arphic-gbsn00lp",
        "gkai00mp": "fonts-arphic-gkai00mp",
        "wqy-zenhei": "fonts-wqy-zenhei",
        "wqy-microhei": "fonts-wqy-microhei",
        "lxgwwenkai": "fonts-lxgw-wenkai",
        "notosanscjk": "fonts-noto-cjk",
        "notoserifcjk": "fonts-noto-cjk",
        "cwming": "fonts-cwtex-ming",
        "cwkai": "fonts-cwtex-kai",
        "cwyen": "fonts-cwtex-yen",
        "cwheib": "fonts-cwtex-heib",
        "cwfs": "fonts-cwtex-fs",
        "dejavu": "fonts-dejavu",
    }
)
"""Start of a file's name under /usr/share/fonts, in lower case, and the Debian package that brings it."""

MALFORMED = (
    TTLibError, OSError, EOFError, struct.error, ValueError, LookupError, AssertionError, AttributeError, TypeError,
    ArithmeticError, RecursionError, NotImplementedError,
)  # fmt: skip
"""What fontTools raises on files that are no sound fonts; it checks little before it reads."""

NUMBERED = re.compile(r"[A-Za-z_]*\d[\w.]*")
"""Names of glyphs that say nothing but a number: glyph00036, cid12345, uni0041."""

SAME_NAME = frozenset({("∆", "Δ"), ("Ω", "Ω"), ("µ", "μ")})
"""Adobe's glyph list gives Delta, Omega and mu to the symbols; fonts give them to the letters."""


@dataclass(frozen=True)
class Font:
    """One face of a font file, held in memory so that what is hashed is what is drawn."""

    name: str
    """For people: the file's name without suffix, with ``#1`` for the second face of a collection."""
    where: str
    """As the study names it; opens every message."""
    data: bytes
    index: int

    @property
    def digest(self) -> str:
        """The sha256 of the file's bytes, with the number of the face."""
        return f"{hashlib.sha256(self.data).hexdigest()}#{self.index}"


@dataclass(frozen=True)
class Outline:
    """The drawing of one character."""

    bounds: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax in em."""
    shape: str
    """Hash of the drawing, wherever it stands on the line: equal for homoglyphs."""


@dataclass(frozen=True)
class Inspection:
    """What a font has of the characters that it was asked for."""

    outlines: Mapping[str, Outline]
    dropped: Mapping[str, tuple[str, ...]]
    """Reason, as the end of a sentence -> characters."""


def find_font(text: str) -> Font:
    """Return the font that a study names.

    Args:
        text: The name of a font that matplotlib ships, `NotoSansSC` or `NotoSerifSC` of the `cjk` extra, or the path
            of a TTF, OTF or TTC file; ``file.ttc#1`` is the second face of a collection.

    Raises:
        DataError: No such font, or a file that is none.
        MissingExtraError: A font of a package that is not installed.
    """
    name, _, number = text.partition("#")
    if number and not number.isdecimal():
        raise DataError(f"{text}: '#{number}' is no number of a face; the first face of a collection is #0")
    path = _path_of(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{text}: cannot be read ({error.strerror}); give a TTF, OTF or TTC file") from error
    font = Font(path.stem + (f"#{number}" if number else ""), text, data, int(number or 0))
    with font_tables(font):
        return font


def shipped_fonts() -> dict[str, Path]:
    """Return the fonts in matplotlib's package, by name, without importing matplotlib."""
    folder = _package("matplotlib") / "mpl-data" / "fonts" / "ttf"
    return {path.stem: path for path in sorted(folder.glob("*.ttf"))}


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"{name}: not installed; pip install {name.replace('_', '-')}")
    return Path(spec.origin).parent


def _path_of(name: str) -> Path:
    path = located(name)
    if "/" not in name and path.suffix.lower() not in FONT_SUFFIXES:
        return _by_name(name)
    if not path.is_file():
        raise _missing_file(name, path)
    return path


def _by_name(name: str) -> Path:
    shipped = shipped_fonts()
    if name in shipped:
        return shipped[name]
    if name in CJK_FONTS:
        if importlib.util.find_spec("pylopdf_fonts_zh_cn") is None:
            raise MissingExtraError(f"{name}: not installed; pip install 'gan-ablation-harness[cjk]'")
        return _package("pylopdf_fonts_zh_cn") / CJK_FONTS[name]
    near = did_you_mean(name, [*shipped, *CJK_FONTS]) or "; name one that matplotlib ships, e.g. DejaVuSerif"
    raise DataError(f"{name}: no font of this name{near} (the path of a .ttf, .otf or .ttc file will do too)")


def _missing_file(name: str, path: Path) -> DataError | MissingExtraError:
    low = path.name.lower()
    package = next((package for start, package in DEBIAN_PACKAGES.items() if low.startswith(start)), None)
    if package and path.is_relative_to("/usr/share/fonts"):
        return MissingExtraError(f"{name}: no such file; on Debian and Ubuntu: apt-get install {package}")
    beside = (
        [p.name for p in path.parent.glob("*") if p.suffix.lower() in FONT_SUFFIXES] if path.parent.is_dir() else []
    )
    hint = did_you_mean(path.name, beside) if beside else f"; no font file in {path.parent}"
    if "/" not in name and path.stem in shipped_fonts():
        hint = f"; did you mean '{path.stem}', which matplotlib ships?"
    return DataError(f"{name}: no such file{hint}")


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep fontTools from remarking on old time stamps: nobody can act on them, and only the command line prints."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def font_tables(font: Font) -> Iterator[TTFont]:
    """Open a font's tables for as long as the block lasts.

    Raises:
        DataError: The bytes are no font, or a part of it that the block reads is broken.
    """
    try:
        with (
            _quiet(logging.getLogger("fontTools")),
            TTFont(io.BytesIO(font.data), fontNumber=font.index, lazy=True) as tables,
        ):
            yield tables
    except MALFORMED as error:
        detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{font.where}: not a readable font ({detail}); give a TTF, OTF or TTC file") from error


def character_map(font: Font) -> dict[str, str]:
    """Return the name of the glyph that a font draws for each character it maps.

    Raises:
        DataError: The font maps no Unicode characters, or cannot be read.
    """
    with font_tables(font) as tables:
        best = tables.getBestCmap()
        mapped = {chr(code): glyph for code, glyph in (best or {}).items()}
    if not mapped:
        raise DataError(f"{font.where}: maps no Unicode characters (a symbol font?); choose another font")
    return mapped


def inspect_font(font: Font, characters: Sequence[str]) -> Inspection:
    """Return the outlines of the characters that a font really has, and why the others are dropped.

    A character is kept when the font's cmap has it, its glyph is not blank, does not look like the box for missing
    glyphs, and is not named for another character (the cm* fonts put TeX's ligatures where Latin-1 has letters).

    Raises:
        DataError: The font cannot be read, has no outlines, or maps no Unicode characters.
    """
    mapped = character_map(font)
    drawn = _drawings(font, [".notdef", *(mapped[c] for c in characters if c in mapped)])
    missing = drawn.get(".notdef")
    own_encoding = _has_own_encoding(mapped)
    outlines: dict[str, Outline] = {}
    dropped: dict[str, list[str]] = {}
    for character in characters:
        name = mapped.get(character, ".notdef")
        outline = drawn.get(name)
        if name == ".notdef":
            reason = "not in the font"
        elif outline is None:
            reason = "blank"
        elif missing is not None and outline.shape == missing.shape:
            reason = "drawn as the box for missing glyphs"
        elif _named_for_another(name, character, mapped, own_encoding):
            reason = "drawn by a glyph with the name of something else"
        else:
            outlines[character] = outline
            continue
        dropped.setdefault(reason, []).append(character)
    return Inspection(outlines, {reason: tuple(found) for reason, found in dropped.items()})


def _drawings(font: Font, names: Iterable[str]) -> dict[str, Outline | None]:
    """Return the outline of each glyph, None for a blank one; glyphs that the font lacks are left out."""
    with font_tables(font) as tables:
        if not any(table in tables for table in ("glyf", "CFF ", "CFF2")):
            raise TTLibError("no outlines, only bitmaps")
        glyphs = tables.getGlyphSet()
        em = int(tables["head"].unitsPerEm)
        return {name: _outline(glyphs, name, em) for name in dict.fromkeys(names) if name in glyphs}


def _outline(glyphs: Mapping[str, object], name: str, em: int) -> Outline | None:
    pen = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(pen)  # type: ignore[attr-defined]  # fontTools' glyph objects are untyped
    box = BoundsPen(glyphs)
    pen.replay(box)
    if box.bounds is None:
        return None
    left, low, right, high = box.bounds
    if left == right or low == high:
        return None
    moved = [
        (verb, [None if point is None else (round(point[0] - left, 3), round(point[1] - low, 3)) for point in points])
        for verb, points in pen.value
    ]
    shape = hashlib.sha256(repr(moved).encode()).hexdigest()
    return Outline((left / em, low / em, right / em, high / em), shape)


def _has_own_encoding(mapped: Mapping[str, str]) -> bool:
    """Return whether more than a tenth of a font's Latin-1 glyphs have names that say otherwise."""
    named = [(c, glyph) for c, glyph in mapped.items() if c <= "ÿ" and not NUMBERED.fullmatch(glyph)]
    strange = [c for c, glyph in named if agl.toUnicode(glyph) != c]
    return len(strange) > 0.1 * len(named)


def _named_for_another(glyph: str, character: str, mapped: Mapping[str, str], own_encoding: bool) -> bool:
    """Return whether a glyph's name says another character, which the font does not map to it as well."""
    meant: str = agl.toUnicode(glyph)
    if own_encoding:
        return meant != character
    private = "\ue000" <= meant <= "\uf8ff"
    if len(meant) != 1 or private or mapped.get(meant) == glyph or (meant, character) in SAME_NAME:
        return False
    return base_letters(meant) != base_letters(character)
