"""What each set of features sees: how its Fréchet distance grows with blur, noise, wrong style, wrong characters.

Run: OMP_NUM_THREADS=1 python benchmarks/extractors.py [--count 400] [--figure docs/extractors.png]
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from harness.metrics.evaluation import to_unit_range
from harness.metrics.feature_statistics import FeatureStatistics
from harness.metrics.features import extractor_named
from harness.metrics.frechet import frechet_distance

EXTRACTORS = ("efficientnet", "ocr", "random")
SIZE = 32
Glyphs = np.ndarray


def letters(count: int) -> str:
    """Return letters of the Latin alphabet with all its accents, A to ž and beyond, in a seeded order."""
    found = [chr(code) for code in (*range(0x41, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isalpha()]
    return "".join(np.random.default_rng(0).permutation(found)[:count])


def hanzi(count: int) -> str:
    """Return characters of GB2312's first level in a seeded order."""
    found = [bytes([row, cell]).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFA)]
    return "".join(np.random.default_rng(0).permutation(found)[:count])


def render(characters: str, font: Path) -> Glyphs:
    """Return glyphs (N, 32, 32), ink 1 on paper 0."""
    face = ImageFont.truetype(font, int(0.8 * SIZE))
    drawn = []
    for character in characters:
        image = Image.new("L", (SIZE, SIZE), 0)
        ImageDraw.Draw(image).text((SIZE / 2, SIZE / 2), character, font=face, anchor="mm", fill=255)
        drawn.append(np.asarray(image) / 255)
    return np.stack(drawn)


def without_a_stroke(glyphs: Glyphs) -> Glyphs:
    """Erase a band of 7 pixels across the middle of each glyph's ink, upright or level in turn."""
    left = glyphs.copy()
    for index, glyph in enumerate(left):
        row, column = (round(float(centre)) for centre in ndimage.center_of_mass(glyph))
        if index % 2:
            glyph[max(row - 3, 0) : row + 4] = 0
        else:
            glyph[:, max(column - 3, 0) : column + 4] = 0
    return left


def damages(characters: str, other_font: Path) -> Mapping[str, Callable[[Glyphs], Glyphs]]:
    """Return what is done to the generated glyphs, by name."""
    draw = np.random.default_rng(1)

    def noise(by: float) -> Callable[[Glyphs], Glyphs]:
        return lambda x: x + by * draw.normal(size=x.shape)

    def blur(by: float) -> Callable[[Glyphs], Glyphs]:
        return lambda x: ndimage.gaussian_filter(x, (0, by, by))

    return {
        "none (the floor)": lambda x: x,
        "blur, sigma 0.5": blur(0.5),
        "blur, sigma 1": blur(1.0),
        "noise, sd 0.05": noise(0.05),
        "noise, sd 0.2": noise(0.2),
        "a missing stroke": without_a_stroke,
        "wrong style": lambda _: render(characters, other_font),
        "no character (mirrored)": lambda x: x[:, :, ::-1],
        "no character (upside down)": lambda x: x[:, ::-1],
        "collapse to 1 in 4": lambda x: np.repeat(x[: len(x) // 4], 4, axis=0),
        "collapse to 1 in 20": lambda x: np.repeat(x[: len(x) // 20], 20, axis=0),
    }


def as_images(glyphs: Glyphs) -> torch.Tensor:
    """Return black on white (N, 1, 32, 32) in [0, 1], rounded to 8 bits."""
    return to_unit_range(torch.from_numpy(1 - 2 * np.ascontiguousarray(glyphs))[:, None])


def seen(
    characters: str, font: Path, other_font: Path, extractors: tuple[str, ...] = EXTRACTORS
) -> dict[str, dict[str, float]]:
    """Return extractor -> damage -> distance, in multiples of that between two clean halves of the characters."""
    half = len(characters) // 2
    real, fake = render(characters[:half], font), render(characters[half : 2 * half], font)
    found: dict[str, dict[str, float]] = {}
    for name in extractors:
        extractor = extractor_named(name)
        with torch.inference_mode():
            reference = FeatureStatistics.of(extractor.extract(as_images(real)))
            distances = {
                damage: frechet_distance(reference, FeatureStatistics.of(extractor.extract(as_images(apply(fake)))))
                for damage, apply in damages(characters[half : 2 * half], other_font).items()
            }
        floor = distances["none (the floor)"]
        found[name] = {damage: distance / floor for damage, distance in distances.items()}
    return found


def font_pairs() -> dict[str, tuple[Callable[[int], str], Path, Path]]:
    """Return the kinds of characters that there are fonts for here, each with a font and one of another style."""
    sans, serif = (Path(matplotlib.font_manager.findfont(name)) for name in ("DejaVu Sans", "DejaVu Serif"))
    kinds = {"Latin letters, DejaVu Sans (wrong style: Serif)": (letters, sans, serif)}
    package = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    if package and package.origin:
        folder = Path(package.origin).parent
        fonts = folder / "NotoSansSC-Regular.otf", folder / "NotoSerifSC-Regular.otf"
        kinds["Hanzi, Noto Sans SC (wrong style: Serif)"] = (hanzi, *fonts)
    return kinds


def draw_figure(
    file: Path, found: Mapping[str, Mapping[str, Mapping[str, float]]], samples: Mapping[str, Glyphs]
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = list(next(iter(next(iter(found.values())).values())))
    ratios = [1, 2.2] * len(found)
    figure, axes = plt.subplots(
        1, len(ratios), figsize=(7 * len(found), 4.8), width_ratios=ratios, layout="constrained"
    )
    for index, (kind, by_extractor) in enumerate(found.items()):
        strip, dots = axes[2 * index : 2 * index + 2]
        strip.imshow(samples[kind], cmap="gray_r", aspect="auto", extent=(0, 5, len(names) - 0.5, -0.5), vmin=0, vmax=1)
        strip.set_xticks([])
        strip.set_yticks(range(len(names)), names)
        for marker, (name, multiples) in zip("osx", by_extractor.items(), strict=False):
            dots.plot([multiples[n] for n in names], range(len(names)), marker, label=name, markersize=7, alpha=0.85)
        dots.axvline(1, color="grey", linewidth=0.8)
        dots.set(xscale="log", ylim=(len(names) - 0.5, -0.5), xlim=(0.8, 60), xlabel="Fréchet distance / floor")
        dots.set_title(kind, fontsize=10)
        dots.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        dots.set_yticks([])
        dots.grid(axis="x", alpha=0.3)
        dots.legend(loc="upper right", frameon=True, fontsize=9)
    figure.savefig(file, dpi=85)


def sample_strip(characters: str, font: Path, other_font: Path, shown: int = 5) -> Glyphs:
    chosen = characters[:20]
    glyphs = render(chosen, font)
    rows = [np.concatenate(list(apply(glyphs)[:shown]), axis=1) for apply in damages(chosen, other_font).values()]
    return np.clip(np.concatenate(rows), 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400, help="glyphs on each side")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found, samples = {}, {}
    for kind, (choose, font, other_font) in font_pairs().items():
        characters = choose(2 * options.count)
        found[kind] = seen(characters, font, other_font)
        samples[kind] = sample_strip(characters[len(characters) // 2 :], font, other_font)
        print(f"{kind}, {len(characters) // 2} glyphs a side\n\n| damage | " + " | ".join(EXTRACTORS) + " |")
        print("| --- |" + " --- |" * len(EXTRACTORS))
        for damage in found[kind][EXTRACTORS[0]]:
            cells = (f"{found[kind][name][damage]:.1f}" for name in EXTRACTORS)
            print(f"| {damage} | " + " | ".join(cells) + " |")
        print(flush=True)
    if options.figure:
        draw_figure(options.figure, found, samples)


if __name__ == "__main__":
    main()
