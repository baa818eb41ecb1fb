"""What a pilot came to, in people's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.metrics.catalogue import metric_named
from harness.preflight.pilot import ALPHA, looks_for
from harness.statistics.decisions import FEWEST_EQUIVALENT
from harness.statistics.number_format import aligned, change, number, p_text, rough_duration

HEAD = (
    "metric",
    "moving average",
    "step",
    "control",
    "p",
    "sd",
    "sd in margins",
    "blocks",
    "to the last look, one core",
)


def render_pilot(document: Mapping[str, Any]) -> str:
    """Return what a pilot came to in people's words: where each metric ended, and what is proposed."""
    groups: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for reading in document["readings"]:
        groups.setdefault((reading["metric"], reading["average"]), []).append(reading)
    rows = [_row(by_step) for by_step in groups.values()]
    came_to = ", ".join(f"{count} {status}" for status, count in document["statuses"].items())
    parts = [
        f"pilot of {document['study']}: {document['blocks']} blocks, trials: {came_to}. The positive control must be "
        f"{WORDS[document['expect']]}. Each line is of the first step from which on it is told apart (by the margin or "
        f"more, p at most {ALPHA}), or of the last step; trials that are not complete are left out.",
        aligned([HEAD, *rows]),
        f"Of {document['blocks']} blocks a standard deviation is a rough guess: looks begin at {FEWEST_EQUIVALENT} "
        "and go on.",
    ]
    proposal = document["proposal"]
    if proposal is None:
        parts.append(
            "By no metric is the control told apart: a study like this could not tell. Train longer, measure more "
            "held-out items, or take a control that differs more."
        )
    else:
        cost = "" if proposal["seconds"] is None else f", about {rough_duration(proposal['seconds'])} on one core"
        parts.append(f"proposed, before any arm is trained{cost}:\n\n{proposal['fragment']}")
    return "\n\n".join(parts)


WORDS = {"worse": "worse", "better": "better", "differs": "different"}


def _row(by_step: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    apart = [r for i, r in enumerate(by_step) if all(later["told_apart"] for later in by_step[i:])]
    r = apart[0] if apart else by_step[-1]
    scale = metric_named(r["metric"]).scale
    blocks = r["blocks"]
    return (
        r["metric"],
        number(r["average"]) if r["average"] else "no",
        f"from {r['step']}" if apart else f"not at {r['step']}",
        change(r["difference"], scale),
        p_text(r["p_value"]),
        number(r["sd"]),
        "-" if r["sd_in_margins"] is None else number(r["sd_in_margins"], 2),
        "-" if blocks is None else str(blocks),
        "-" if blocks is None else rough_duration(looks_for(blocks)[-1] * r["block_seconds"]),
    )
