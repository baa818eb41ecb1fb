"""Values of matched blocks in, verdicts out; works on any table of unit, arm and value."""

from harness.analysis import controls, planning
from harness.analysis.any_table import compare
from harness.analysis.claims import EXPECTATIONS, settle
from harness.analysis.contrasts import analyse, false_discovery, next_look
from harness.analysis.effect import Effect, Factorial
from harness.analysis.factorials import effects, factorial
from harness.analysis.looks import boundaries
from harness.analysis.planning import blocks_needed, detectable, pilot_sd, plan
from harness.analysis.results import Analysis, Contrast
from harness.analysis.simulation import render_simulation, simulate
from harness.analysis.verdicts import VERDICTS, Margin, Verdict
from harness.analysis.words import render

__all__ = [
    "EXPECTATIONS",
    "VERDICTS",
    "Analysis",
    "Contrast",
    "Effect",
    "Factorial",
    "Margin",
    "Verdict",
    "analyse",
    "blocks_needed",
    "boundaries",
    "compare",
    "controls",
    "detectable",
    "effects",
    "factorial",
    "false_discovery",
    "next_look",
    "pilot_sd",
    "plan",
    "planning",
    "render",
    "render_simulation",
    "settle",
    "simulate",
]
