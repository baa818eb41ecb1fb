"""Values of matched blocks in, verdicts out; works on any table of unit, arm and value."""

from harness.statistics import controls
from harness.statistics import power as planning
from harness.statistics.analysis import Analysis, Contrast
from harness.statistics.claims import EXPECTATIONS, settle
from harness.statistics.contrasts import analyse, next_look
from harness.statistics.effect import Effect
from harness.statistics.exploratory import false_discovery
from harness.statistics.factorial import Factorial, effects, factorial
from harness.statistics.group_sequential import boundaries
from harness.statistics.power import blocks_needed, detectable, pilot_sd, plan
from harness.statistics.sentences import render
from harness.statistics.simulation import render_simulation, simulate
from harness.statistics.verdict_rule import VERDICTS, Margin, Verdict

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
