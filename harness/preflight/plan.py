"""What `plan` shows: arms, trials, proofs, costs and time, and which difference the study can detect."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.metrics.catalogue import metric_named
from harness.metrics.ladder import Rung, card, of_others
from harness.plugins import require_module
from harness.results.schema import ArmPlan, is_trained
from harness.results.store import Store
from harness.statistics import Margin
from harness.statistics.number_format import aligned, number, rough_duration
from harness.statistics.power import pilot_sd
from harness.statistics.power import plan as power_plan
from harness.study.design import aliases, arms, own_code, trials
from harness.study.proposed_control import proposed_control
from harness.study.study import BASELINE, Study
from harness.verdicts.rows import failed_rows, values_of

if TYPE_CHECKING:
    from harness.study.design import Arm


def plan_document(study: Study, *, results: str | Path, workers: int, build: bool) -> dict[str, Any]:
    """Return the plan of a study as JSON's own types.

    Args:
        study: The study.
        results: Where its pilot's rows are, if there are any, and the cache of its data.
        workers: Processes that will compute it.
        build: Whether to build the arms; without it nothing needs torch, and nothing is proved.

    Raises:
        HarnessError: The arms do not go together, or the data is missing.
    """
    every = arms(study)
    store = Store.at(results, study.results_name).fetched()
    if study.trial is not None:
        document, plans = _of_commands(study, every, store)
    elif build:
        from harness.preflight.preflight import preflight
        from harness.preflight.refusal import refuse_if_nothing_can_be_compared

        planned = preflight(study, every, cache=store.folder.parent / ".cache", workers=workers)
        refuse_if_nothing_can_be_compared(study, planned.arms)
        document = planned.document()
        plans = {plan.arm: plan for plan in planned.arms}
    else:
        for door in own_code(study, every):
            require_module(door)
        document = {"estimated_seconds": None, "arms": [_unbuilt(arm) for arm in every]}
        plans = {}
    trained = [arm for arm in every if is_trained(study, arm, plans.get(arm.name))]
    return {
        "study": study.study,
        "question": study.question,
        "blocks": study.design.most_blocks,
        "looks": study.design.looks,
        "trials": len(trials(trained, range(study.design.most_blocks))),
        "workers": workers,
        **document,
        "own_code": list(own_code(study, every)),
        "aliases": [list(group) for group in aliases(study)],
        "primary": study.measure.primary,
        "margin": str(study.measure.margin),
        "positive_control": _positive_control(study, document),
        "detectable": _power(study, store, sum(arm.control is None for arm in trained) - 1),
    }


def _of_commands(study: Study, every: Sequence[Arm], store: Store) -> tuple[dict[str, Any], dict[str, ArmPlan]]:
    """Return the plan of a study of commands, for which nothing is laid out."""
    from harness.scripts.sources import Sources

    aside = store.folder.parent / ".cache"
    aside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=aside, prefix="plan-") as folder:
        sources = Sources(study, every, store.folder, aside=Path(folder))
        return sources.document(), {plan.arm: plan for plan in sources.plans()}


def _positive_control(study: Study, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the study's equivalences will rest on: its positive control, or one that is proposed."""
    control = next((arm for arm in arms(study) if arm.control == "positive"), None)
    if control is None:
        proposed = proposed_control(study, document.get("training_items"))
        return {"arm": None, "untrained": None, "proposed": proposed.fragment, "reason": proposed.reason}
    found = next((arm for arm in document["arms"] if arm["arm"] == control.name), None)
    useless = found is not None and found["proof"] in ("no-op", "invalid", "too-costly")
    untrained = f"{found['proof']}: {found['reason']}" if found is not None and useless else None
    return {"arm": control.name, "untrained": untrained, "proposed": None, "reason": None}


def _unbuilt(arm: Arm) -> dict[str, Any]:
    empty = ArmPlan(arm.name, dict(arm.levels), None, None, None, None, None, None, None, None)
    return dataclasses.asdict(empty)


def _power(study: Study, store: Store, contrasts: int) -> list[dict[str, Any]]:
    """Return what the study's blocks can show, per arm of its stored rows, or in standard deviations without any."""
    metric = metric_named(study.measure.primary)
    margin = Margin.parse(study.measure.margin)
    asked = {
        "blocks": study.design.most_blocks,
        "margin": margin,
        "scale": metric.scale,
        "contrasts": max(1, contrasts),
    }
    rows = store.tables().trials if store.exists else store.trials()
    if not len(rows) or BASELINE not in set(rows["arm"]):
        return [{"arm": None, "pilot_pairs": 0, **power_plan(**asked, sd=None)}]  # type: ignore[arg-type]
    table = values_of(rows, study.measure.primary)
    base = rows[(rows["arm"] == BASELINE) & ~failed_rows(rows)]
    mean = float(base[study.measure.primary].mean())
    pilots = pilot_sd(table, baseline=BASELINE, scale=metric.scale)
    return [
        {"arm": arm, "pilot_pairs": pairs, **power_plan(**asked, sd=sd, baseline_mean=mean)}  # type: ignore[arg-type]
        for arm, (pairs, sd, _) in pilots.items()
        if sd > 0
    ]


def render_plan(document: Mapping[str, Any]) -> str:
    """Return a plan in people's words."""
    blocks = f"{document['blocks']} blocks" + (
        f", looks at {', '.join(map(str, document['looks']))}" if document["looks"] else ""
    )
    most = document.get("trials_at_most", document["trials"])
    counted = f"{document['trials']} trials" + (
        f" to the first look, {most} at most" if most > document["trials"] else ""
    )
    head = f"{document['study']}: {counted} ({len(document['arms'])} arms, {blocks})"
    seconds = document["estimated_seconds"]
    if seconds is not None:
        head += f", about {rough_duration(seconds)} with {document['workers']} workers on this machine"
    rows = [HEAD, *(_row(arm) for arm in document["arms"])]
    parts = [head, aligned([row[:2] for row in rows] if document.get("commands") else rows)]
    parts += [f"{arm['arm']}: {arm['proof'] or 'note'} – {arm['reason']}" for arm in document["arms"] if arm["reason"]]
    parts += ["\n".join(_command_words(command)) for command in document.get("commands", ())]
    parts += [f"{fact['subject']}: {fact['finding']}" for fact in document.get("facts", ())]
    parts += _card(document.get("ladder", ()))
    parts += [f"your own code: {door}" for door in document["own_code"]]
    parts += [f"not told apart by this fraction: {' = '.join(group)}" for group in document["aliases"]]
    parts += [_power_sentence(document, item) for item in document["detectable"]]
    parts += _control_words(document["positive_control"])
    return "\n\n".join(parts)


def _control_words(control: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the positive control, or one to paste where there is none."""
    if control["proposed"] is not None:
        return [
            "No positive control is declared, so nothing can be called equivalent: the experiment is not shown to "
            f"tell. One that goes with these axes ({control['reason']}):\n\n{control['proposed']}"
        ]
    if control["untrained"] is not None:
        return [f"The positive control '{control['arm']}' tells nothing and is not trained ({control['untrained']})."]
    return []


def _command_words(command: Mapping[str, Any]) -> list[str]:
    """Return what is run for an arm, where, and with which variables."""
    commit = command["commit"] + (f", patch {command['patch']}" if command["patch"] else "")
    return [
        f"{command['arm']}, block 0: {command['command']}",
        f"  in {command['directory']} ({commit})",
        f"  with {' '.join(f'{k}={v}' for k, v in command['environment'].items())} and the variables of this session",
    ]


def _card(ladder: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the metrics see, as a share of what other images altogether cost."""
    rungs = [Rung(**rung) for rung in ladder]
    if not rungs:
        return []
    cards = card(rungs)
    damages = list(dict.fromkeys(rung.damage for rung in rungs))
    rows = [(metric, *(_of_others(of_others(rungs, metric, damage)) for damage in damages)) for metric in cards]
    title = "what the metrics see: known damages to held-out images, 1 being as bad as other images altogether"
    return [f"{title}\n{aligned([('metric', *damages), *rows])}"]


def _of_others(share: float | None) -> str:
    return "-" if share is None else number(share, 2)


HEAD = (
    "arm",
    "proof",
    "parameters of G",
    "of D",
    "multiply-adds of G",
    "of D",
    "activations",
    "matched at step 0: G",
    "D",
)


def _row(arm: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        arm["arm"],
        arm["proof"] or "-",
        _count(arm["parameters_g"]),
        _count(arm["parameters_d"]),
        _count(arm["macs_g"]),
        _count(arm["macs_d"]),
        "-" if arm["activation_bytes"] is None else f"{arm['activation_bytes'] / 1024:,.0f} KiB",
        *(_share(arm[f"matched_fraction_{net}"]) for net in "gd"),
    )


def _share(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.2%}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _family(item: Mapping[str, Any]) -> str:
    return "" if item["contrasts"] == 1 else f" (one of {item['contrasts']} contrasts that are judged together)"


def _power_sentence(document: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    share = f"{item['power']:.0%}"
    if item["sd"] is None:
        if item["detectable"] is None:
            return f"{item['blocks']} block tells nothing about chance; use at least 2, better 6."
        return (
            f"With {item['blocks']} blocks a difference of {item['detectable']:.2f} standard deviations of the paired "
            f"differences is found in {share} of studies{_family(item)}; "
            f"how large that is in {document['primary']}, a pilot's rows will tell."
        )
    found = item["detectable"]
    size = (
        "no difference"
        if found is None
        else f"a change of {item['detectable_change']:.1%}"
        if item["detectable_change"] is not None
        else f"a difference of {found:.3g}"
    )
    text = (
        f"{item['arm']}: judged by {item['pilot_pairs']} pairs, {item['blocks']} blocks find {size} "
        f"in {document['primary']} in {share} of studies{_family(item)}"
    )
    if item["blocks_for_equivalence"] is not None:
        text += (
            f"; a true change as large as the margin takes {item['blocks_for_difference']} blocks to show, "
            f"no difference takes {item['blocks_for_equivalence']}"
        )
    return f"{text}."
