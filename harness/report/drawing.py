"""Drawing: panels, axes and legends for a wide screen and for a phone's, and a drawing as SVG and as PDF."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

from harness.report.svg import compact
from harness.report.table import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""
SCHEMES = "<style>svg{color:#1f2328}@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
"""What gives a figure that stands in a file of its own the text colour that a page would give it."""
TEXT = 9
"""Points of the smallest text, 12 pixels: no figure is shown much smaller than it is drawn."""


class Screen(NamedTuple):
    """What a figure is drawn for."""

    name: str
    width: float
    """Of the whole figure, in inches of 96 pixels."""
    columns: int
    """Small figures side by side."""

    @property
    def narrow(self) -> bool:
        """Whether it is a phone's."""
        return self is NARROW


WIDE = Screen("wide", 7.5, 3)
"""A tablet upright and everything wider, and paper."""
NARROW = Screen("narrow", 3.6, 2)


@dataclass(frozen=True)
class Figure:
    """A figure of the report, drawn twice: nobody reads on a phone what was drawn for a desk."""

    kind: ClassVar[str] = "figure"
    name: str
    """Short, without spaces: the name of its files."""
    title: str
    caption: str
    """How to read it."""
    alternative: str
    """What it shows, for those who do not see it."""
    draw: Callable[[Screen], Drawing]

    @cached_property
    def drawing(self) -> Drawing:
        """The figure as it stands in files."""
        return self.draw(WIDE)

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG element for wide screens, in the page's text colour."""
        svg = self._svg(self.drawing, WIDE)
        # Both files have the layout that was computed now; computing it again takes as long as drawing.
        self.drawing.set_layout_engine("none")
        return svg

    @cached_property
    def narrow_svg(self) -> str:
        """The figure as an SVG element for phones."""
        return self._svg(self.draw(NARROW), NARROW)

    def _svg(self, drawing: Drawing, screen: Screen) -> str:
        import matplotlib as mpl

        with _saved(drawing), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": self.name}):
            buffer = io.StringIO()
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            _save(drawing, buffer, "svg", nothing)
        return compact(buffer.getvalue().replace(INK, "currentColor"), f"{self.name}-{screen.name}", self.alternative)

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


def panels_of(screen: Screen, panels: int, *, height: float, share: bool = False) -> tuple[Drawing, list[Axes]]:
    """Return a figure of so many panels in rows, each of a height in inches, perhaps with one value axis."""
    from matplotlib.figure import Figure as Drawing

    columns = min(screen.columns, panels)
    lines = math.ceil(panels / columns)
    width = screen.width if screen.narrow else screen.width * max(columns / screen.columns, 0.5)
    drawing = Drawing(figsize=(width, height * lines), layout="constrained")
    grid = drawing.subplots(lines, columns, squeeze=False, sharey=share)
    flat: list[Axes] = list(grid.flat)
    for unused in flat[panels:]:
        unused.set_axis_off()
    for axes in flat:
        axes.set_facecolor("none")
        axes.tick_params(colors=INK, labelsize=TEXT)
        for spine in axes.spines.values():
            spine.set_color(INK)
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_color(INK)
            text.set_fontsize(TEXT)
    return drawing, flat[:panels]


def legend_below(
    drawing: Drawing, screen: Screen, arms: Sequence[str], colours: Mapping[str, str], dashed: str
) -> None:
    """Put a legend of arms under all panels, `dashed` (the baseline) by a dashed line."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[arm], lw=2, ls="--" if arm == dashed else "-") for arm in arms]
    columns = 1 if screen.narrow else max(1, min(3, len(arms), 90 // max(map(len, arms))))
    names = [wrapped(arm, 42 if screen.narrow else 60) for arm in arms]
    legend = drawing.legend(
        handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=TEXT, labelcolor=INK
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def wrapped(name: str, width: int = 16) -> str:
    """Return a long arm name in lines, broken after an equals sign or a comma where it has one."""
    if len(name) <= width:
        return name
    parts = re.split(r"(?<=[=,])", name)
    return "\n".join(part[i : i + width + 6] for part in parts for i in range(0, len(part), width + 6))


def value_axis(axes: Axes, scale: str) -> None:
    """Set a value axis: logarithmic for ratios, with a few plain numbers rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    if scale == "log" and low > 0 and high / low > 4:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def step_axis(axes: Axes) -> None:
    """Set an axis of steps: few whole numbers, so that they never run into one another."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("step")


def ratio_label(ratio: float) -> str:
    """Return a ratio as an axis says it: ``+25 %``, ``×5``, 0 for no change."""
    if abs(ratio - 1) < 1e-9:
        return "0"
    return f"{(ratio - 1) * 100:+.0f} %".replace("-", "\N{MINUS SIGN}") if ratio < 1.9 else f"{TIMES}{ratio:.3g}"
