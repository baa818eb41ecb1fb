"""What is written down beside a study's rows, as JSON: the plan, what was measured without learning, other seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.metrics.ladder import Rung
from harness.results.frozen import first_problem
from harness.results.schema import ArmPlan, References

if TYPE_CHECKING:
    from harness.study.study import Study


def plan_document(folder: Path) -> dict[str, Any]:
    """Return what preflight wrote down; of no arms if it never came to that.

    Raises:
        StoreError: It is damaged.
    """
    path = folder / "plan.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"arms": []}
    except (OSError, ValueError, RecursionError) as error:
        raise _no_plan(path, str(error)) from None
    if not isinstance(document, dict) or "arms" not in document:
        raise _no_plan(path, "it names no arms")
    return document


def plan(folder: Path) -> dict[str, ArmPlan]:
    """Return what preflight wrote down of each arm, by name; nothing if it never came to that.

    Raises:
        StoreError: It is damaged.
    """
    from pydantic import TypeAdapter, ValidationError

    arms = plan_document(folder)["arms"]
    try:
        return {plan.arm: plan for plan in TypeAdapter(list[ArmPlan]).validate_python(arms)}
    except ValidationError as error:
        raise _no_plan(folder / "plan.json", first_problem(error)) from None


def ladder(folder: Path) -> tuple[Rung, ...]:
    """Return what preflight measured of known damages; nothing if it never came to that.

    Raises:
        StoreError: It is damaged.
    """
    rungs = plan_document(folder).get("ladder", ())
    try:
        return tuple(Rung(**rung) for rung in rungs)
    except TypeError as error:
        raise _no_plan(folder / "plan.json", f"ladder: {error}") from None


def replications(folder: Path, study: Study) -> dict[str, dict[str, Any]]:
    """Return the reports of the same study under other seeds that lie beside this one, by name.

    What cannot be read is left out: it is another study's to say so.
    """
    reports = {}
    for path in sorted(folder.parent.glob(f"{study.study}*/report/report.json")):
        name = path.parents[1].name
        if name == folder.name or name.partition("+seed")[0] != study.study:
            continue
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        contrasts = document.get("contrasts") if isinstance(document, dict) else None
        if isinstance(contrasts, list) and all(isinstance(c, dict) for c in contrasts):
            reports[name] = document
    return reports


def references(folder: Path) -> References | None:
    """Return what was measured without learning; None if it never came to that.

    Raises:
        StoreError: It is damaged.
    """
    path = folder / "references.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document is None:
            return None
        metric, *values = (document[name] for name in ("metric", "untrained", "mean_image"))
        untrained, mean_image = (None if value is None else float(value) for value in values)
        return References(str(metric), untrained, mean_image)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it, and `run` makes it again") from None


def shared_draws(folder: Path) -> dict[str, dict[str, Any]]:
    """Return by arm what it drew that the baseline drew too; nothing if it never came to that.

    Raises:
        StoreError: It is damaged.
    """
    path = folder / "shared_draws.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {str(arm): dict(shared) for arm, shared in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it, and `run` makes it again") from None


def _no_plan(path: Path, why: str) -> StoreError:
    return StoreError(f"{path}: is no plan ({why}); delete it, and `run` makes it again")
