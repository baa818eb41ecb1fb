"""Pairs of the same character rendered from a source font and from target fonts."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont, features

from harness.data.characters import CharacterSet, base_letters, is_letter, wanted_characters
from harness.data.dataset import Dataset, Split, stack_styles
from harness.data.dataset_cache import cached, key_of
from harness.data.fonts import Font, Inspection, Outline, character_map, find_font, inspect_font
from harness.data.split import groups_of, hold_out
from harness.errors import DataError
from harness.study.data_settings import GlyphSettings

Pixels = npt.NDArray[np.uint8]


def load_glyphs(settings: GlyphSettings, cache: Path | None = None) -> Dataset:
    """Return glyph pairs, black on white: one item per character and target font, source on one side.

    Items are in the order of code points, then of `targets`. Characters that share a base letter, or look the same in
    any of the fonts, are held out together (`base_letters`, `split.hold_out`).

    Raises:
        DataError: A font is missing or unreadable, the fonts have nothing in common, or too few characters are left.
        MissingExtraError: A font of a package that is not installed.
    """
    source = find_font(settings.source)
    targets = [find_font(name) for name in settings.targets]
    names = _style_names(targets)
    wanted = wanted_characters(settings.characters)
    key = key_of(
        kind="glyphs",
        fonts=[source.digest, *(font.digest for font in targets)],
        styles=names,
        characters=wanted.characters,
        names=[source.name, wanted.name],
        settings=settings.model_dump(include={"image_size", "channels", "holdout", "margin"}),
        freetype=features.version("freetype2"),
    )
    return cached(cache, key, lambda: _make(settings, source, targets, wanted))


def _style_names(targets: Sequence[Font]) -> tuple[str, ...]:
    """Return the fonts' names, told apart by a piece of their hash where two files have one name."""
    names = [font.name for font in targets]
    digests = [font.digest for font in targets]
    doubles = [font.where for font in targets if digests.count(font.digest) > 1]
    if doubles:
        raise DataError(f"data.targets: {', '.join(doubles)} are one font; each style needs a font of its own")
    return tuple(
        name if names.count(name) == 1 else f"{name} {digest[:8]}" for name, digest in zip(names, digests, strict=True)
    )


def _make(settings: GlyphSettings, source: Font, targets: Sequence[Font], wanted: CharacterSet) -> Dataset:
    fonts = [source, *targets]
    asked, notes = _candidates(fonts, wanted)
    inspections = [inspect_font(font, asked) for font in fonts]
    for font, inspection in zip(fonts, inspections, strict=True):
        notes += [_dropped(font, reason, found) for reason, found in inspection.dropped.items()]
    kept = [c for c in asked if all(c in inspection.outlines for inspection in inspections)]
    if not kept:
        raise DataError(_nothing_in_common(fonts, inspections, wanted))
    pixels = [
        render(font, kept, inspection.outlines, settings.image_size, settings.margin)
        for font, inspection in zip(fonts, inspections, strict=True)
    ]
    links = _links(kept, inspections, pixels)
    held = hold_out(f"data.characters ({wanted.name})", kept, links, settings.holdout)
    groups = len(set(groups_of(links).tolist()))
    notes.append(
        f"{len(kept)} characters, {groups} after counting accented forms and homoglyphs as one: "
        f"{int((~held).sum())} for training, {int(held.sum())} held out, each in "
        f"{len(targets)} style{'s' if len(targets) != 1 else ''}."
    )
    train, heldout = (_split(kept, pixels, mask, settings.channels) for mask in (~held, held))
    return Dataset.of(train, heldout, _style_names(targets), tuple(notes))


def _candidates(fonts: Sequence[Font], wanted: CharacterSet) -> tuple[tuple[str, ...], list[str]]:
    if wanted.characters is not None:
        return wanted.characters, []
    letters = [{c for c in character_map(font) if is_letter(c)} for font in fonts]
    shared = set.intersection(*letters)
    left_out = len(letters[0] - shared)
    note = f"{wanted.name}: {len(shared)} letters that all {len(fonts)} fonts map; "
    return tuple(sorted(shared)), [f"{note}{left_out} others of {fonts[0].name} are missing from a target font."]


def _dropped(font: Font, reason: str, found: Sequence[str]) -> str:
    some = "".join(found[:12]) + ("…" if len(found) > 12 else "")
    return f"{font.name}: {len(found)} character{'s' if len(found) != 1 else ''} dropped, {reason}: {some}"


def _nothing_in_common(fonts: Sequence[Font], inspections: Sequence[Inspection], wanted: CharacterSet) -> str:
    counts = ", ".join(f"{font.where} has {len(i.outlines)}" for font, i in zip(fonts, inspections, strict=True))
    asked = "" if wanted.characters is None else f" of {len(wanted.characters)}"
    return (
        f"data.characters: no character{asked} in '{wanted.name}' is in every font ({counts}); "
        "choose other characters, or fonts of the same script"
    )


def _links(
    characters: Sequence[str], inspections: Sequence[Inspection], pixels: Sequence[Pixels]
) -> list[list[Hashable]]:
    """Return what each character has in common with others: base letters, outlines, and images, in any font."""
    return [
        [
            *base_letters(character),
            *((number, inspection.outlines[character].shape) for number, inspection in enumerate(inspections)),
            *((number, images[item].tobytes()) for number, images in enumerate(pixels)),
        ]
        for item, character in enumerate(characters)
    ]


def render(font: Font, characters: Sequence[str], outlines: Mapping[str, Outline], size: int, margin: float) -> Pixels:
    """Return uint8 (N, size, size): each character black on white, its ink in the middle of the canvas.

    One scale for the whole font, so that letters keep their relative sizes: the longest side of any of the characters
    fills the canvas between the margins. Drawn several times larger and averaged, which leaves no hinting behind.

    Raises:
        DataError: FreeType cannot draw the font.
    """
    factor = max(2, 256 // size)
    canvas = size * factor
    inner = canvas * (1 - 2 * margin) - 2
    boxes = [outlines[character].bounds for character in characters]
    scale = inner / max(max(right - left, high - low) for left, low, right, high in boxes)
    images = np.empty((len(characters), size, size), dtype=np.uint8)
    try:
        face = ImageFont.truetype(
            io.BytesIO(font.data), size=scale, index=font.index, layout_engine=ImageFont.Layout.BASIC
        )
        for item, (character, (left, low, right, high)) in enumerate(zip(characters, boxes, strict=True)):
            image = Image.new("L", (canvas, canvas), 255)
            x = round(canvas / 2 - scale * (left + right) / 2)
            y = round(canvas / 2 + scale * (low + high) / 2)
            ImageDraw.Draw(image).text((x, y), character, fill=0, font=face, anchor="ls")
            images[item] = np.asarray(image.reduce(factor))
    except (OSError, ValueError) as error:
        raise DataError(f"{font.where}: FreeType cannot draw it ({error}); choose another font") from error
    return images


def _split(characters: Sequence[str], pixels: Sequence[Pixels], mask: npt.NDArray[np.bool_], channels: int) -> Split:
    source, *targets = (torch.from_numpy(images[mask]) for images in pixels)
    shape = (-1, channels, *source.shape[1:])
    count, styles = len(source), len(targets)
    chosen = [character for character, chosen in zip(characters, mask, strict=True) if chosen]
    return Split(
        target=torch.stack(targets, dim=1).reshape(count * styles, 1, *source.shape[1:]).expand(shape).contiguous(),
        source=source.repeat_interleave(styles, dim=0).unsqueeze(1).expand(shape).contiguous(),
        style=stack_styles(count, styles),
        labels=tuple(character for character in chosen for _ in range(styles)),
    )
