"""Drawing: panels, axes and legends, and a drawing as SVG in the page, as an SVG file, and as PDF."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import IO, TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""
SCHEMES = "<style>svg{color:#1f2328}@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
"""What gives a figure that stands in a file of its own the text colour that a page would give it."""


@dataclass(frozen=True)
class Figure:
    """A figure of the report."""

    kind: ClassVar[str] = "figure"
    name: str
    """Short, without spaces: the name of its files."""
    title: str
    caption: str
    """How to read it."""
    alternative: str
    """What it shows, for those who do not see it."""
    drawing: Drawing

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG element without ids that two figures share, in the page's text colour."""
        import matplotlib as mpl

        with _saved(self.drawing), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": self.name}):
            buffer = io.StringIO()
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            _save(self.drawing, buffer, "svg", nothing)
        # Both files have the layout that was computed now; computing it again takes as long as drawing.
        self.drawing.set_layout_engine("none")
        svg = buffer.getvalue()
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", svg)
        return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(self.alternative, quote=True)}" ', 1)

    def files(self) -> dict[str, bytes]:
        """Return the figure's files by name: SVG for Markdown, PDF for LaTeX."""
        svg = re.sub(r"(?<=>)", SCHEMES, self.svg, count=1)
        buffer = io.BytesIO()
        with _saved(self.drawing):
            nothing = {"CreationDate": None, "Creator": None, "Producer": None}
            _save(self.drawing, buffer, "pdf", nothing)
        return {self.address("svg"): svg.encode("utf-8"), self.address("pdf"): buffer.getvalue()}

    def address(self, ending: str) -> str:
        """Return the name of one of its files, seen from the report's folder."""
        return f"figures/{self.name}.{ending}"


def _save(drawing: Drawing, file: IO[Any], kind: str, metadata: Mapping[str, None]) -> None:
    """Have matplotlib draw: a second of work, which tests that look at no figure leave out."""
    drawing.savefig(file, format=kind, metadata=metadata)


@contextmanager
def _saved(drawing: Drawing) -> Iterator[None]:
    drawing.patch.set_alpha(0)
    with warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's font lacks: the SVG carries text, not outlines.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def panels_of(
    panels: int, columns: int, *, width: float, height: float, share: bool = False
) -> tuple[Drawing, list[Axes]]:
    """Return a figure of so many panels in rows, each of a width and height in inches, perhaps with one value axis."""
    from matplotlib.figure import Figure as Drawing

    columns = min(columns, panels)
    lines = math.ceil(panels / columns)
    drawing = Drawing(figsize=(width * columns, height * lines), layout="constrained")
    grid = drawing.subplots(lines, columns, squeeze=False, sharey=share)
    flat: list[Axes] = list(grid.flat)
    for unused in flat[panels:]:
        unused.set_axis_off()
    for axes in flat:
        axes.set_facecolor("none")
        axes.tick_params(colors=INK, labelsize=9)
        for spine in axes.spines.values():
            spine.set_color(INK)
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_color(INK)
            text.set_fontsize(9)
    return drawing, flat[:panels]


def legend_below(drawing: Drawing, arms: Sequence[str], colours: Mapping[str, str], dashed: str) -> None:
    """Put a legend of arms under all panels, `dashed` (the baseline) by a dashed line."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[arm], lw=2, ls="--" if arm == dashed else "-") for arm in arms]
    legend = drawing.legend(
        handles, arms, loc="outside lower center", ncols=min(3, len(arms)), frameon=False, fontsize=9, labelcolor=INK
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def wrapped(name: str) -> str:
    """Return a long arm name in lines, broken after an equals sign or a comma where it has one."""
    if len(name) <= 16:
        return name
    parts = re.split(r"(?<=[=,])", name)
    return "\n".join(part[i : i + 22] for part in parts for i in range(0, len(part), 22))


def value_axis(axes: Axes, scale: str) -> None:
    """Set a value axis: logarithmic for ratios, with a few plain numbers rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    if scale == "log" and low > 0 and high / low > 4:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
