"""Values of matched blocks in, verdicts out; works on any table of unit, arm and value."""

from harness.analysis.compare import compare
from harness.analysis.contrasts import analyse, false_discovery, next_look
from harness.analysis.effects import Effect, Factorial
from harness.analysis.factorial import effects, factorial
from harness.analysis.looks import boundaries
from harness.analysis.results import Analysis, Contrast
from harness.analysis.verdicts import VERDICTS, Margin, Verdict
from harness.analysis.words import render

__all__ = [
    "VERDICTS",
    "Analysis",
    "Contrast",
    "Effect",
    "Factorial",
    "Margin",
    "Verdict",
    "analyse",
    "boundaries",
    "compare",
    "effects",
    "factorial",
    "false_discovery",
    "next_look",
    "render",
]
