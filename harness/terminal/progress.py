"""What a person sees while a study runs: a live table of arms and blocks, or plain lines without a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.driver import Happening, LookDone, Planned, Removed, Retried, SetAside, Stored
from harness.executors.base import ProcessChanged, Started
from harness.statistics.number_format import rough_duration
from harness.trial.task import TrialProgress

MARKS = {
    "complete": ("✓", "green"),
    "collapsed": ("collapsed", "yellow"),
    "diverged": ("diverged", "red"),
    "failed": ("failed", "red"),
    "timeout": ("timeout", "red"),
    "oom": ("oom", "red"),
    "lost": ("lost", "red"),
}


class View:
    """Shows what a driver does."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.planned: Planned | None = None
        self.cells: dict[tuple[str, int], str] = {}
        self.now: dict[str, tuple[str, int, TrialProgress | None]] = {}
        self.began = time.monotonic()
        self.steps_done = 0.0
        self.steps_planned = 0
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def __call__(self, event: Happening) -> None:
        """Take in one event."""
        match event:
            case Planned():
                self.planned = event
                self._introduce(event)
                self.steps_planned = sum(t.arm.settings.steps for t in event.trials[event.done :])
                self.began = time.monotonic()
                if self.live is not None and event.done < len(event.trials):
                    self.live.start()
            case Started():
                self.now[event.task.trial_id] = (event.task.arm, event.task.block, None)
                self._line(f"{event.task.trial_id}: started")
            case TrialProgress():
                arm, block, before = self.now.get(event.trial_id, ("", 0, None))
                # A command, which is a single step, says only that it lives.
                self.steps_done += (event.step - (before.step if before else 0)) * (event.steps > 1)
                self.now[event.trial_id] = (arm, block, event)
            case Stored():
                self._stored(event)
            case Retried():
                self.now.pop(event.task.trial_id, None)
                self._say(f"{event.task.trial_id}: {event.reason}; begun again", "yellow")
            case ProcessChanged():
                what = ", ".join(event.what)
                self._say(f"{event.task.trial_id}: left its process changed ({what}); none follows it there", "yellow")
            case Removed():
                self._say(f"{event.trial_id}: its row is removed, and it is computed again", "yellow")
            case SetAside():
                self._say(f"{event.path}: cannot be read; set aside, and its trial is computed again", "yellow")
            case LookDone():
                still = (
                    f"open: {', '.join(a for a in event.open_arms if a != 'baseline')}"
                    if event.open_arms
                    else "all decided"
                )
                self._say(f"look at {event.blocks} blocks: {still}", "bold")
            case _:
                pass
        if self.live is not None and self.planned is not None:
            self.live.update(self._picture())

    def _introduce(self, planned: Planned) -> None:
        study = planned.study
        self._say(f"{study.study}: {study.question}" if study.question else study.study, "bold")
        for note in planned.notes:
            self._say(note, "dim")
        for arm in planned.plans:
            if arm.proof:
                self._say(f"{arm.arm}: {arm.proof} – {arm.reason}", "cyan")
        left = len(planned.trials) - planned.done
        text = f"{left} of {len(planned.trials)} trials to compute"
        if left and planned.estimated_seconds:
            text += f", about {rough_duration(planned.estimated_seconds * left / max(len(planned.trials), 1))}"
        self._say(text)

    def _stored(self, event: Stored) -> None:
        row = event.rows.trial
        self.now.pop(event.task.trial_id, None)
        self.steps_done += event.task.command is not None
        self.cells[event.task.arm, event.task.block] = row["status"]
        primary = event.task.measure.primary
        value = row.get(primary)
        text = f"{primary} {value:.4g}" if value is not None else row.get("error") or ""
        left = f" – {rest}" if (rest := self._left()) else ""
        self._line(f"{event.task.trial_id}: {row['status']}, {text}{left}")
        if self.live is not None and row["status"] != "complete":
            self._say(f"{event.task.trial_id}: {row['status']}, {row['error']}", "yellow")

    def _left(self) -> str:
        """Return how long the rest will take, judged by the pace so far."""
        if self.planned is None:
            return ""
        spent = time.monotonic() - self.began
        if self.steps_done < 1 or spent < 1:
            return ""
        rest = max(self.steps_planned - self.steps_done, 0) / self.steps_done * spent
        return f"about {rough_duration(rest)} left" if rest else ""

    def _picture(self) -> RenderableType:
        assert self.planned is not None
        blocks = sorted({trial.block for trial in self.planned.trials} | {block for _, block in self.cells})
        shown = blocks if len(blocks) <= 12 else blocks[-12:]
        table = Table(box=None, pad_edge=False)
        table.add_column("arm")
        for block in shown:
            table.add_column(f"block {block}" if len(shown) <= 8 else str(block), justify="right")
        running = {(arm, block): p for arm, block, p in self.now.values()}
        wanted = {(t.arm.name, t.block) for t in self.planned.trials}
        for arm in dict.fromkeys(t.arm.name for t in self.planned.trials):
            table.add_row(arm, *(self._cell(arm, b, running, wanted) for b in shown))
        current = Table(box=None, pad_edge=False)
        for name in ("now", "step", "loss of D", "loss of G"):
            current.add_column(name, justify="left" if name == "now" else "right", style="dim")
        for trial_id, (_, _, p) in self.now.items():
            if p is None:
                current.add_row(trial_id, "starting", "", "")
            else:
                of_training = (f"{p.step}/{p.steps}", f"{p.loss_d:.3f}", f"{p.loss_g:.3f}")
                current.add_row(trial_id, *(of_training if p.steps > 1 else ("running", "", "")))
        return Group(table, Text(), current, Text(self._left(), style="dim"))

    def _cell(
        self, arm: str, block: int, running: dict[tuple[str, int], TrialProgress | None], wanted: set[tuple[str, int]]
    ) -> Text:
        if (arm, block) in self.cells:
            mark, style = MARKS[self.cells[arm, block]]
            return Text(mark, style)
        if (arm, block) in running:
            progress = running[arm, block]
            known = progress is not None and progress.steps > 1
            return Text(f"{100 * progress.step // progress.steps} %" if progress and known else "…", "cyan")
        return Text("·" if (arm, block) in wanted else "", "dim")

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        """Print a line where there is no live table to show it."""
        if self.live is None:
            self._say(text)
