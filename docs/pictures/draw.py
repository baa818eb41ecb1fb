"""Draws the pictures of the explanations from the verdict rule and from stored rows: `python docs/pictures/draw.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import harness
from harness.report.colours import COLOURS
from harness.statistics.verdict_rule import classify

HERE = Path(__file__).parent
CASES = ((-4.2, 1.4), (3.9, 1.5), (0.1, 1.0), (-1.0, 0.7), (-1.4, 2.6))
"""Estimate and half-width of the 95 % interval, in units in which the margin is 2; better is to the left."""
MARGIN, INNER = 2.0, 0.84
"""Half-width of the 90 % interval as a share of the 95 % one, as of a normal estimate (1.645 / 1.960)."""
STUDY, ARM, METRIC = "final_conv", "discriminator=zi2zi", "recognisability"


def verdicts() -> Figure:
    """Draw one interval for each verdict that an interval can come to."""
    drawing = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = drawing.subplots()
    axes.axvspan(-MARGIN, MARGIN, color=COLOURS["equivalent"], alpha=0.15, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    for row, (estimate, half) in enumerate(CASES):
        inner = INNER * half
        verdict = classify(abs(estimate) > half, abs(estimate) + inner < MARGIN, estimate < 0).item()
        colour = COLOURS[verdict]
        axes.plot([estimate - half, estimate + half], [row, row], color=colour, lw=1.6)
        axes.plot([estimate - inner, estimate + inner], [row, row], color=colour, lw=6, alpha=0.55)
        axes.plot([estimate], [row], marker="o", color=colour, ms=8)
        axes.text(6.3, row, verdict, color=colour, fontweight="bold", va="center")
    axes.set(xlim=(-6, 6), ylim=(len(CASES) - 0.4, -0.6), yticks=[], xticks=[-MARGIN, 0, MARGIN])
    axes.set_xticklabels(["−margin", "no difference", "+margin"])
    axes.set_title("← better than the baseline      worse →", fontsize=9)
    _bare(axes)
    return drawing


def pairs() -> Figure:
    """Draw a stored study's blocks as lines, and their differences beside the spread that unmatched trials have."""
    trials = harness.load(HERE.parents[1] / "results" / STUDY).trials
    values = trials.dropna(subset=[METRIC]).pivot(index="block", columns="arm", values=METRIC)
    both = values[["baseline", ARM]].dropna()
    difference = both[ARM] - both["baseline"]
    unmatched = (both[ARM].var() + both["baseline"].var()) ** 0.5
    drawing = Figure(figsize=(7.2, 3.0), layout="constrained")
    left, right = drawing.subplots(1, 2, width_ratios=(1, 1.3))
    for block, row in both.iterrows():
        left.plot([0, 1], row, color=COLOURS["inconclusive"], marker="o", ms=4, lw=1.2)
        left.annotate(f"{block}", (1, row[ARM]), (5, 0), textcoords="offset points", va="center", fontsize=7)
    left.set(xlim=(-0.25, 1.3), xticks=[0, 1], ylabel=METRIC)
    left.set_xticklabels(["baseline", ARM.partition("=")[2]])
    left.set_title(f"{len(both)} blocks, a line each", fontsize=9)
    spreads = ((0, difference.std(), "matched"), (1, unmatched, "as if not matched"))
    for row, spread, name in spreads:
        ends = [difference.mean() - spread, difference.mean() + spread]
        right.plot(ends, [row, row], color=COLOURS["equivalent"], lw=6, alpha=0.4)
        right.text(ends[1] + 0.006, row, f"{name}: sd {spread:.3f}", va="center", fontsize=9)
    right.plot(difference, [0] * len(difference), "o", color=COLOURS["equivalent"], ms=4)
    right.axvline(0, color="black", lw=0.8)
    right.set(
        ylim=(1.6, -0.6),
        yticks=[],
        xticks=[0, 0.05, 0.1],
        xlim=(-0.03, 0.18),
        xlabel=f"difference in {METRIC}, mean ± sd",
    )
    _bare(left)
    _bare(right)
    return drawing


def _bare(axes: Axes) -> None:
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)


def main() -> None:
    """Write each picture as SVG."""
    with mpl.rc_context({"svg.hashsalt": "docs", "svg.fonttype": "none", "font.size": 9}):
        for name, drawing in (("verdicts", verdicts()), ("pairs", pairs())):
            drawing.savefig(HERE / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
