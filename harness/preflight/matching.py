"""Which initial weights an arm has in common with the baseline: what `plan STUDY --matching ARM` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data import load
from harness.errors import HarnessError, did_you_mean
from harness.models import Match, build_pair, matched_fraction, matches, own_networks
from harness.results.schema import MATCHED_LITTLE
from harness.results.store import Store
from harness.statistics.number_format import aligned
from harness.study.design import arms
from harness.study.study import Study


def matching_document(study: Study, name: str, *, results: str | Path) -> dict[str, Any]:
    """Return each parameter of an arm and the baseline's whose stream it gets, as JSON's own types.

    Args:
        study: The study.
        name: The arm's.
        results: Where the cache of its data is.

    Raises:
        HarnessError: There is no such arm, its data is missing, or it cannot be built.
    """
    if study.trial is not None:
        raise HarnessError("--matching: the arms are commands, whose weights are not known before they are run")
    baseline, *others = every = arms(study)
    arm = next((arm for arm in every if arm.name == name), None)
    if arm is None:
        known = [other.name for other in others]
        raise HarnessError(f"--matching: no arm '{name}'{did_you_mean(name, known)}; there are {', '.join(known)}")
    data = load(arm.settings.data, Store.at(results, study.results_name).folder.parent / ".cache")
    styles = len(data.styles)
    try:
        theirs = build_pair(baseline.settings, styles=styles, block=baseline.streams(0))
        pair = build_pair(arm.settings, styles=styles, block=arm.streams(0), baseline=theirs)
    except (ValueError, RuntimeError) as error:
        raise HarnessError(f"arm {name}: {error}") from error
    found = matches(pair.networks(), theirs.networks(), own=own_networks(arm.settings))
    return {
        "study": study.study,
        "arm": arm.name,
        "matched_fraction": {net: matched_fraction(found, net) for net in pair.networks()},
        "parameters": [match._asdict() for match in found],
    }


def render_matching(document: Mapping[str, Any]) -> str:
    """Return the same in people's words."""
    shares = ", ".join(f"{share:.2%} of the {net}'s" for net, share in document["matched_fraction"].items())
    rows = [
        (
            f"{item['net']}.{item['name']}",
            "x".join(map(str, item["shape"])) or "1",
            "-" if item["counterpart"] is None else f"{item['net']}.{item['counterpart']}",
            "yes" if item["equal"] else "no" if item["counterpart"] else "-",
        )
        for item in document["parameters"]
    ]
    return "\n\n".join(
        (
            f"{document['arm']}: {shares} initial numbers are bit-equal to the baseline's, in every block",
            aligned([("parameter", "shape", "has the stream of the baseline's", "bit-equal"), *rows]),
        )
    )


def little_matched(found: Sequence[Match]) -> tuple[str, ...]:
    """Return a note for each network of which little is the baseline's, though its arm shares the block's streams."""
    notes = []
    for net in ("generator", "discriminator"):
        share = matched_fraction(found, net)
        if share >= MATCHED_LITTLE:
            continue
        of_net = [match for match in found if match.net == net]
        in_place = sum(m.numbers for m in of_net if m.counterpart is not None) / sum(m.numbers for m in of_net)
        note = (
            f"only {share:.2%} of the {net}'s initial numbers are the baseline's (little is less than "
            f"{MATCHED_LITTLE:.0%}): pairs will gain less; `plan --matching` lists them"
        )
        if in_place >= MATCHED_LITTLE:
            note += (
                f". {in_place:.1%} stand where the baseline has some, and are filled otherwise, as where an "
                f"initialisation does not reach weights behind a parametrisation; {net}.init: normal fills all alike"
            )
        notes.append(note)
    return tuple(notes)
