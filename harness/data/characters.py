"""Which characters a study asks for, and which of them are forms of one letter."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError
from harness.study_folder import located

SHARED_LETTERS = "shared-letters"
"""The one set that depends on the fonts: every single upper- or lower-case letter that all of them map."""


def is_letter(character: str) -> bool:
    """Return whether this is one upper- or lower-case letter, of any script, and no ligature of several."""
    return unicodedata.category(character) in ("Lu", "Ll") and len(base_letters(character)) == 1


def _span(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


def _script(name: str) -> str:
    return "".join(c for c in map(chr, range(0x20000)) if unicodedata.name(c, "").startswith(name) and is_letter(c))


def _gb2312(first_row: int, last_row: int) -> str:
    """Return the characters of GB 2312-80's rows, in its order; row r, cell c is the byte pair 0xA0 + r, 0xA0 + c."""
    pairs = (bytes([0xA0 + row, 0xA0 + cell]) for row in range(first_row, last_row + 1) for cell in range(1, 95))
    return "".join(pair.decode("gb2312", errors="ignore") for pair in pairs)


NAMED_SETS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "latin": lambda: _script("LATIN "),
        "greek": lambda: _script("GREEK "),
        "cyrillic": lambda: _script("CYRILLIC "),
        "ascii-letters": lambda: string.ascii_letters,
        "ascii-uppercase": lambda: string.ascii_uppercase,
        "ascii-lowercase": lambda: string.ascii_lowercase,
        "digits": lambda: string.digits,
        "kana": lambda: _span(0x3041, 0x3096) + _span(0x30A1, 0x30FA),
        "hiragana": lambda: _span(0x3041, 0x3096),
        "katakana": lambda: _span(0x30A1, 0x30FA),
        "gb2312-1": lambda: _gb2312(16, 55),
        "gb2312-2": lambda: _gb2312(56, 87),
    }
)
"""Sets by name, beside `shared-letters`; level 1 of GB 2312 has the 3,755 everyday hanzi, level 2 the 3,008 others."""


@dataclass(frozen=True)
class CharacterSet:
    """The characters that a study asks for."""

    name: str
    """For messages: the set's name, the file's name, or `characters`."""
    characters: tuple[str, ...] | None
    """In code point order, none twice; None for `shared-letters`, which only the fonts can tell."""


def wanted_characters(text: str) -> CharacterSet:
    """Return the characters that a `characters:` setting stands for.

    In this order: the name of a set; a path that ends in ``.txt`` (UTF-8; all characters in it); anything else is
    the characters themselves. White space and control characters never count, doubles count once.

    Raises:
        DataError: No such file, not UTF-8, no character in it, or a text so near to a set's name that it is
            taken for a slip.
    """
    if text == SHARED_LETTERS:
        return CharacterSet(text, None)
    if text in NAMED_SETS:
        return CharacterSet(text, _distinct(NAMED_SETS[text]()))
    if text.lower().endswith(".txt"):
        return CharacterSet(Path(text).name, _distinct(_read(located(text))))
    near = get_close_matches(text.lower().replace("_", "-"), [SHARED_LETTERS, *NAMED_SETS], n=1, cutoff=0.75)
    if near:
        raise DataError(
            f"data.characters: no set is named '{text}'; did you mean '{near[0]}'? "
            "(to use these characters themselves, put them into a .txt file and give its path)"
        )
    characters = _distinct(text)
    if not characters:
        raise DataError("data.characters: no character given; give a set's name, a .txt file, or the characters")
    return CharacterSet("characters", characters)


def _distinct(text: str) -> tuple[str, ...]:
    return tuple(sorted({c for c in text if unicodedata.category(c)[0] != "Z" and unicodedata.category(c) != "Cc"}))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(
            f"data.characters: no file {path}; give a text file, a set's name, or the characters"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a text file in UTF-8") from error
    if not _distinct(text):
        raise DataError(f"{path}: no character in it; write the characters that you want into it")
    return text


def base_letters(character: str) -> frozenset[str]:
    """Return the letters that a character is a form of; itself when it is none.

    Follows canonical and compatibility decomposition, and the character's name where Unicode has no decomposition:
    what comes before ``WITH`` (Ø, Đ, Ł, ɓ), and the dotted letter of a dotless one. A ligature has several. Upper
    and lower case stay apart, and a Hangul syllable is itself.

    Example:
        >>> sorted(base_letters("ǭ")), sorted(base_letters("Ø")), sorted(base_letters("ﬁ"))
        (['o'], ['O'], ['f', 'i'])
    """
    if "가" <= character <= "힣":
        return frozenset(character)
    parts = unicodedata.normalize("NFKD", character)
    letters = [c for c in parts if unicodedata.category(c) in ("Lu", "Ll", "Lt", "Lo", "Nd", "Nl")]
    if len(letters) > 1:
        return frozenset().union(*(base_letters(c) for c in letters))
    letter = letters[0] if letters else character
    plain = _plain_by_name(letter)
    return frozenset(letter) if plain == character else base_letters(plain)


def _plain_by_name(letter: str) -> str:
    name = unicodedata.name(letter, "")
    plain = name.partition(" WITH ")[0]
    try:
        return unicodedata.lookup(plain if plain != name else name.replace(" DOTLESS ", " "))
    except KeyError:
        return letter
