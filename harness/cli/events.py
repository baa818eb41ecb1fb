"""`run --events`: what happens to a study, a JSON object a line, for programs that follow it."""

from __future__ import annotations

import datetime
import json
import sys
from typing import Any

from harness.cli.documents import versioned
from harness.driver import Happening, LookDone, Planned, Removed, Retried, SetAside, Stored
from harness.executors.base import ProcessChanged, Started
from harness.preflight.stage import Stage
from harness.verdicts.judge import StudyVerdicts


class Events:
    """Writes an event for each thing that happens to a study; progress within a trial is none."""

    def __init__(self, study: str) -> None:
        self.study = study

    def __call__(self, happening: Happening) -> None:
        """Write the event of one happening, if it has one."""
        match happening:
            case Stage(name, found, seconds) if found is not None and seconds is not None:
                self._write("stage", stage=name, found=found, seconds=round(seconds, 3))
            case Planned():
                seconds = happening.estimated_seconds
                self._write("planned", trials=len(happening.trials), done=len(happening.done), seconds=seconds)
            case Started(task):
                self._write("started", trial_id=task.trial_id, arm=task.arm, block=task.block)
            case Stored(task, rows):
                primary, row = task.measure.primary, rows.trial
                self._write(
                    "trial",
                    trial_id=task.trial_id,
                    arm=task.arm,
                    block=task.block,
                    status=row["status"],
                    metric=primary,
                    value=row.get(primary),
                    seconds=row.get("wall_seconds"),
                    **({"message": row["error"]} if row.get("error") else {}),
                )
            case LookDone():
                looks = happening.findings.study.design.looks or (happening.blocks,)
                still = [arm for arm in happening.open_arms if arm != "baseline"]
                number = looks.index(happening.blocks) + 1
                self._write("look", number=number, of=len(looks), blocks=happening.blocks, open_arms=still)
                self._verdicts(happening.findings)
            case Retried(task, reason):
                self._note(f"{reason}; begun again", task.trial_id)
            case ProcessChanged(task, what):
                self._note(f"left its process changed ({', '.join(what)})", task.trial_id)
            case Removed(trial_id):
                self._note("its row is removed, and it is computed again", trial_id)
            case SetAside(path):
                self._note(f"{path}: cannot be read; set aside, and its trial is computed again")
            case _:
                pass

    def end(self, findings: StudyVerdicts) -> None:
        """Write the verdicts that a study ended with."""
        self._verdicts(findings)

    def _verdicts(self, findings: StudyVerdicts) -> None:
        if findings.primary is None:
            return
        for c in findings.primary.contrasts:
            self._write(
                "verdict",
                arm=c.arm,
                metric=findings.primary.metric,
                verdict=c.verdict.value,
                value=c.estimate,
                low=c.ci.low,
                high=c.ci.high,
                scale=findings.primary.scale,
                message=c.sentence,
            )

    def _note(self, message: str, trial_id: str | None = None) -> None:
        self._write("note", message=message, **({"trial_id": trial_id} if trial_id else {}))

    def _write(self, event: str, **more: Any) -> None:
        now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"schema": versioned("event"), "event": event, "time": now, "study": self.study, **more}
        sys.stdout.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()
