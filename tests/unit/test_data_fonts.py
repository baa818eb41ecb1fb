from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

from harness.data import fonts, load
from harness.data.characters import NAMED_SETS, wanted_characters
from harness.data.fonts import CJK_FONTS, find_font, inspect_font, shipped_fonts
from harness.data.glyphs import render
from harness.errors import DataError, MissingExtraError
from harness.study.data_settings import GlyphSettings

SQUARE = ((100, 0), (100, 600), (700, 600), (700, 0))
WIDE = ((50, 0), (50, 300), (900, 300), (900, 0))
TALL = ((300, 0), (300, 800), (400, 800), (400, 0))
MOVED = tuple((x + 37, y + 11) for x, y in WIDE)


def build(path: Path, drawings: dict[str, tuple[tuple[int, int], ...]], names: dict[str, str] | None = None) -> str:
    """Write a font of 1000 units whose glyphs are polygons; an empty tuple is a blank glyph."""
    names = names or {}
    glyphs = {names.get(c, f"uni{ord(c):04X}" if c != ".notdef" else c): points for c, points in drawings.items()}
    glyphs.setdefault(".notdef", SQUARE)
    builder = FontBuilder(1000, isTTF=True)
    order = sorted(glyphs)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(c): names.get(c, f"uni{ord(c):04X}") for c in drawings if len(c) == 1})
    made = {}
    for name, points in glyphs.items():
        pen = TTGlyphPen(None)
        if points:
            pen.moveTo(points[0])
            for point in points[1:]:
                pen.lineTo(point)
            pen.closePath()
        made[name] = pen.glyph()
    builder.setupGlyf(made)
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def reasons(path: str, characters: str) -> dict[str, str]:
    return {c: reason for reason, found in inspect_font(find_font(path), characters).dropped.items() for c in found}


def test_blank_missing_and_notdef_characters_are_dropped_each_with_its_reason(tmp_path):
    path = build(tmp_path / "f.ttf", {"a": WIDE, "b": SQUARE, "c": (), "d": ((100, 5), (100, 5), (100, 5))})
    assert reasons(path, "abcde") == {
        "b": "drawn as the box for missing glyphs",
        "c": "blank",
        "d": "blank",
        "e": "not in the font",
    }


def test_a_glyph_named_for_another_character_is_dropped(tmp_path):
    path = build(tmp_path / "f.ttf", {"À": WIDE, "b": TALL}, {"À": "AE"})
    assert reasons(path, "Àb") == {"À": "drawn by a glyph with the name of something else"}


def test_a_glyph_that_two_letters_share_is_no_misnomer(tmp_path):
    path = build(tmp_path / "f.ttf", {"A": WIDE, "Α": WIDE, "Δ": TALL}, {"A": "A", "Α": "A", "Δ": "Delta"})
    assert reasons(path, "AΑΔ") == {}


def test_computer_modern_keeps_its_52_letters_and_none_of_texs_slots():
    dataset = load(GlyphSettings(source="cmr10", targets=("cmtt10",), image_size=16))
    assert sorted({*dataset.train.labels, *dataset.heldout.labels}) == sorted(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )
    assert any("µÀÁÂÃÄ" in note for note in dataset.notes)


def test_an_outline_is_the_same_wherever_it_stands(tmp_path):
    path = build(tmp_path / "f.ttf", {"a": WIDE, "b": MOVED, "c": TALL})
    outlines = inspect_font(find_font(path), "abc").outlines
    assert outlines["a"].shape == outlines["b"].shape != outlines["c"].shape


def test_one_scale_for_the_font_and_ink_in_the_middle(tmp_path):
    font = find_font(build(tmp_path / "f.ttf", {"a": WIDE, "b": TALL}))
    ink = 255 - render(font, "ab", inspect_font(font, "ab").outlines, 128, 0.1).astype(float)
    wide, tall = ink > 127
    assert abs(np.ptp(np.nonzero(wide)[1]) + 1 - 128 * 0.8) <= 1.5
    assert abs((np.ptp(np.nonzero(tall)[0]) + 1) / (np.ptp(np.nonzero(wide)[1]) + 1) - 800 / 850) < 0.03
    for shape in (wide, tall):
        for axis in (0, 1):
            where = np.nonzero(shape)[axis]
            assert abs((where.min() + where.max()) / 2 - 63.5) <= 0.5


@pytest.mark.parametrize("name", ["DejaVuSans", "DejaVuSerif-Italic", "cmr10", "STIXGeneral", "NotoSerifSC"])
@pytest.mark.parametrize(("size", "margin"), [(16, 0.06), (32, 0.06), (32, 0.2), (64, 0.0), (256, 0.06)])
def test_ink_stays_inside_the_margin_and_reaches_it(name, size, margin):
    font = find_font(name)
    characters = "ABWgjy@%Mi" if name == "NotoSerifSC" else "ABWgjyMiQf"
    characters = "".join(inspect_font(font, characters).outlines)
    images = render(font, characters, inspect_font(font, characters).outlines, size, margin)
    edge = int(size * margin)
    if edge:
        assert (images[:, :edge] == 255).all()
        assert (images[:, -edge:] == 255).all()
        assert (images[:, :, :edge] == 255).all()
        assert (images[:, :, -edge:] == 255).all()
    inner = images[:, edge + 2 : size - edge - 2, edge + 2 : size - edge - 2]
    assert (images < 128).sum() > (inner < 128).sum() or size == 16
    assert images.min() < 60


def test_faces_of_a_collection_are_told_apart_by_number(tmp_path):
    collection = TTCollection()
    collection.fonts = [TTFont(shipped_fonts()[name]) for name in ("DejaVuSans", "DejaVuSerif")]
    collection.save(tmp_path / "two.ttc")
    for index, name in enumerate(("DejaVuSans", "DejaVuSerif")):
        face, alone = find_font(f"{tmp_path}/two.ttc#{index}"), find_font(name)
        assert face.name == f"two#{index}"
        images = [render(f, "aQ", inspect_font(f, "aQ").outlines, 32, 0.1) for f in (face, alone)]
        assert np.array_equal(*images)
    assert find_font(f"{tmp_path}/two.ttc").index == 0
    for wrong in ("2", "99", "x", "-1"):
        with pytest.raises(DataError, match=r"two\.ttc#"):
            find_font(f"{tmp_path}/two.ttc#{wrong}")


@pytest.mark.parametrize("name", list(CJK_FONTS))
def test_the_cjk_extra_has_its_fonts_under_our_names(name):
    pytest.importorskip("pylopdf_fonts_zh_cn")
    assert len(inspect_font(find_font(name), NAMED_SETS["gb2312-1"]()[::20]).outlines) == 188


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setattr(fonts.importlib.util, "find_spec", lambda name: None if "pylopdf" in name else FOUND(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'gan-ablation-harness\[cjk\]'"):
        find_font("NotoSansSC")


FOUND = fonts.importlib.util.find_spec


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("truetype/arphic/ukai.ttc#0", "fonts-arphic-ukai"),
        ("truetype/wqy/wqy-zenhei-missing.ttc", "fonts-wqy-zenhei"),
        ("opentype/noto/NotoSerifCJK-Missing.ttc", "fonts-noto-cjk"),
    ],
)
def test_a_font_of_debian_that_is_missing_names_its_package(path, package):
    with pytest.raises(MissingExtraError, match=f"apt-get install {package}$"):
        find_font(f"/usr/share/fonts/{path}")


def test_unknown_fonts_get_the_nearest_match(tmp_path):
    for name, near in (("DejaVuSan", "DejaVuSans"), ("NotoSansCS", "NotoSansSC"), ("DejaVuSans.ttf", "DejaVuSans")):
        with pytest.raises(DataError, match=f"did you mean '{near}'"):
            find_font(name)
    shutil.copy(shipped_fonts()["cmr10"], tmp_path / "mine.ttf")
    with pytest.raises(DataError, match=r"did you mean 'mine\.ttf'"):
        find_font(str(tmp_path / "mien.ttf"))
    with pytest.raises(DataError, match="no font file in"):
        find_font("/nowhere/a.ttf")


def test_files_that_are_no_fonts_are_refused(tmp_path):
    sound = shipped_fonts()["cmr10"].read_bytes()
    path = tmp_path / "bad.ttf"
    for data in (b"", b"text", sound[:50], sound[:2000], b"ttcf\x00\x01\x00\x00\xff\xff\xff\xff", b"wOFF" + bytes(60)):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"bad\.ttf: "):
            load(GlyphSettings(source=str(path)))


@pytest.mark.parametrize("seed", range(40))
def test_a_font_with_wrong_bytes_is_an_error_of_the_user_or_still_a_font(tmp_path, seed):
    draw = np.random.default_rng(seed)
    data = bytearray(shipped_fonts()["cmtt10"].read_bytes())
    for place in draw.integers(0, len(data), 300):
        data[place] = draw.integers(0, 256)
    (tmp_path / "bad.ttf").write_bytes(data)
    message = ""
    try:
        load(GlyphSettings(source=str(tmp_path / "bad.ttf"), characters="ABCDEFGH", image_size=16))
    except DataError as error:
        message = str(error)
    assert not message or "bad.ttf: " in message or "data.characters" in message


def test_fonttools_remarks_reach_nobody(capfd):
    before = logging.getLogger("fontTools").level
    inspect_font(find_font("cmr10"), "AB")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("fontTools").level == before


def test_fonts_with_nothing_in_common_and_too_few_letters_are_told():
    with pytest.raises(DataError, match=r"no character of 3755 in 'gb2312-1'.*DejaVuSans has 0"):
        load(GlyphSettings(characters="gb2312-1"))
    for few in ("A", "AÀΑ", "oοо"):
        with pytest.raises(DataError, match="two groups or more are needed"):
            load(GlyphSettings(characters=few))


def test_one_font_twice_is_refused_and_two_of_one_name_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="DejaVuSerif, DejaVuSerif are one font"):
        load(GlyphSettings(targets=("DejaVuSerif", "DejaVuSerif")))
    for folder, name in (("a", "DejaVuSerif"), ("b", "cmr10")):
        (tmp_path / folder).mkdir()
        shutil.copy(shipped_fonts()[name], tmp_path / folder / "f.ttf")
    targets = (f"{tmp_path}/a/f.ttf", f"{tmp_path}/b/f.ttf")
    assert len(set(load(GlyphSettings(targets=targets, characters="abcd")).styles)) == 2


def test_a_font_hashes_alike_by_name_and_by_path(tmp_path):
    shutil.copy(shipped_fonts()["DejaVuSerif"], tmp_path / "DejaVuSerif.ttf")
    by_path = load(GlyphSettings(targets=(f"{tmp_path}/DejaVuSerif.ttf",), characters="abcd"))
    assert by_path.hash == load(GlyphSettings(targets=("DejaVuSerif",), characters="abcd")).hash


@pytest.mark.parametrize(
    ("name", "count", "some"),
    [
        ("gb2312-1", 3755, "啊座"), ("gb2312-2", 3008, "亍齄"), ("digits", 10, "09"), ("ascii-letters", 52, "aZ"),
        ("hiragana", 86, "ぁん"), ("katakana", 90, "ァン"), ("kana", 176, "あア"),
    ],
)  # fmt: skip
def test_named_sets_have_their_published_sizes(name, count, some):
    found = wanted_characters(name).characters
    assert len(found) == count
    assert set(some) <= set(found)


def test_the_alphabets_hold_single_letters_of_both_cases_and_one_script():
    assert {*"AzÀøŁ"} <= set(NAMED_SETS["latin"]())
    assert not {*"ﬁĲΑА1ª"} & set(NAMED_SETS["latin"]())
    assert {*"ΑωΆς"} <= set(NAMED_SETS["greek"]())
    assert not {*"AА"} & set(NAMED_SETS["greek"]())
    assert {*"АяЁ"} <= set(NAMED_SETS["cyrillic"]())
    assert not {*"AΑ"} & set(NAMED_SETS["cyrillic"]())


def test_a_text_file_and_the_characters_themselves_say_the_same(tmp_path):
    path = tmp_path / "mine.TXT"
    path.write_text("\ufeffb a\nc\ta\u3000\r\n", encoding="utf-8")
    assert wanted_characters(str(path)).characters == wanted_characters("cab").characters == ("a", "b", "c")


def test_what_is_no_set_and_no_file_is_told(tmp_path):
    (tmp_path / "latin1.txt").write_bytes("é".encode("latin-1"))
    (tmp_path / "blank.txt").write_text(" \n")
    for text, message in (
        ("gb2312_1", "did you mean 'gb2312-1'"),
        ("shared-leters", "did you mean 'shared-letters'"),
        ("Latin", "did you mean 'latin'"),
        (str(tmp_path / "none.txt"), "no file"),
        (str(tmp_path / "latin1.txt"), "byte 0 is not UTF-8"),
        (str(tmp_path / "blank.txt"), "no character in it"),
        (" \t", "no character given"),
    ):
        with pytest.raises(DataError, match=message):
            wanted_characters(text)
