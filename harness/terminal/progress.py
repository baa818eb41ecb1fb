"""What a person sees while a study runs: stages, then a live table of arms and blocks, or lines without a terminal."""

from __future__ import annotations

import datetime
from types import TracebackType
from typing import Literal, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.driver import Happening, LookDone, Planned, Removed, Retried, SetAside, Stored
from harness.executors.base import ProcessChanged, Started
from harness.preflight.stage import Stage
from harness.statistics.number_format import rough_duration
from harness.study.study import BASELINE
from harness.terminal.time_left import TimeLeft
from harness.trial.task import TrialProgress

MARKS = {
    "complete": ("✓", "green"),
    "collapsed": ("coll", "yellow"),
    "diverged": ("div", "red"),
    "failed": ("fail", "red"),
    "timeout": ("time", "red"),
    "oom": ("oom", "red"),
    "lost": ("lost", "red"),
}
SHOWN = 12
"""Blocks that the live table has room for."""
TENTHS = 10
"""Lines about a trial's progress, where there are any."""
Detail = Literal["quiet", "normal", "verbose"]


class View:
    """Shows what a driver does."""

    def __init__(self, console: Console, *, detail: Detail = "normal", log: TextIO | None = None) -> None:
        """Show on a console.

        Args:
            console: Takes lines and, where it is a terminal that can move its cursor, the live table.
            detail: `quiet` shows only what needs attention; `verbose` each trial's progress in lines.
            log: Takes every line, with its time.
        """
        self.console = console
        self.detail = detail
        self.log = log
        self.planned: Planned | None = None
        self.cells: dict[tuple[str, int], str] = {}
        self.now: dict[str, tuple[str, int, TrialProgress | None]] = {}
        self.wanted: set[tuple[str, int]] = set()
        self.left = TimeLeft(0, None)
        self.look = 0
        moves = console.is_terminal and not console.is_dumb_terminal and detail != "quiet"
        self.live = Live(console=console, refresh_per_second=4, transient=True) if moves else None

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
            case Stage():
                self._stage(event)
            case Planned():
                self._introduce(event)
            case Started(task):
                self.now[task.trial_id] = (task.arm, task.block, None)
                self._line(f"{task.trial_id}: started")
            case TrialProgress():
                self._progress(event)
            case Stored():
                self._stored(event)
            case Retried(task, reason):
                self.now.pop(task.trial_id, None)
                self._say(f"{task.trial_id}: {reason}; begun again", "yellow")
            case ProcessChanged(task, what):
                changed = ", ".join(what)
                self._say(f"{task.trial_id}: left its process changed ({changed}); none follows it there", "yellow")
            case Removed(trial_id):
                self._say(f"{trial_id}: its row is removed, and it is computed again", "yellow")
            case SetAside(path):
                self._say(f"{path}: cannot be read; set aside, and its trial is computed again", "yellow")
            case LookDone():
                self._looked(event)
            case _:
                pass
        if self.live is not None and self.planned is not None:
            self.live.update(self._picture())

    def _stage(self, stage: Stage) -> None:
        """Say what a stage of preflight found; on a terminal also that it is at work."""
        if stage.found is None or stage.seconds is None:
            if self.live is not None:
                self.live.start()
                self.live.update(Text(f"{stage.name} …", "dim"))
            return
        if self.live is not None:
            self.live.update(Text())
        style = "yellow" if stage.warning else "dim"
        self._say(f"{stage.name}: {stage.found} ({rough_duration(stage.seconds)})", style)

    def _introduce(self, planned: Planned) -> None:
        self.planned = planned
        self.wanted = {(t.arm.name, t.block) for t in planned.trials}
        self.cells |= {
            (t.arm.name, t.block): planned.done[t.trial_id] for t in planned.trials if t.trial_id in planned.done
        }
        for note in planned.notes:
            self._say(note, "dim")
        for arm in planned.plans:
            if arm.proof:
                self._say(f"{arm.arm}: {arm.proof} – {arm.reason}", "cyan")
        count = len(planned.trials)
        left = count - len(planned.done)
        seconds = planned.estimated_seconds
        self.left = TimeLeft(
            sum(t.arm.settings.steps for t in planned.trials if t.trial_id not in planned.done),
            None if seconds is None else seconds * left / max(count, 1),
        )
        text = f"{left} of {count} trials to compute"
        looks = planned.study.design.looks
        if looks:
            text += f" to look 1 of {len(looks)} at {looks[0]} blocks"
        if left and seconds:
            text += f", about {rough_duration(seconds * left / max(count, 1))}"
        self._say(text)
        if self.live is not None and left:
            self.live.start()

    def _progress(self, event: TrialProgress) -> None:
        arm, block, before = self.now.get(event.trial_id, ("", 0, None))
        was = before.step if before else 0
        # A command, which is a single step, says only that it lives.
        self.left.done += (event.step - was) * (event.steps > 1)
        self.now[event.trial_id] = (arm, block, event)
        tenth = TENTHS * event.step // event.steps
        if self.detail == "verbose" and event.steps > 1 and tenth > TENTHS * was // event.steps:
            losses = f"loss of D {event.loss_d:.3f}, of G {event.loss_g:.3f}"
            self._say(f"{event.trial_id}: step {event.step} of {event.steps}, {losses}", "dim")

    def _stored(self, event: Stored) -> None:
        row, task = event.rows.trial, event.task
        self.now.pop(task.trial_id, None)
        self.left.done += task.command is not None
        self.cells[task.arm, task.block] = row["status"]
        primary = task.measure.primary
        value = row.get(primary)
        text = f"{primary} {value:.4g}" if value is not None else row.get("error") or ""
        rest = f" – {left}" if (left := str(self.left)) else ""
        if self.live is not None and row["status"] != "complete":
            self._say(f"{task.trial_id}: {row['status']}, {row['error']}", "yellow")
        else:
            self._line(f"{task.trial_id}: {row['status']}, {text}{rest}")

    def _looked(self, event: LookDone) -> None:
        """Say what a look decided, and take in the trials that it asks for."""
        looks = event.findings.study.design.looks or (event.blocks,)
        self.look = looks.index(event.blocks) + 1
        verdicts = ", ".join(f"{c.arm} {c.verdict.value}" for c in event.findings.contrasts)
        self._say(
            f"look {self.look} of {len(looks)} at {event.blocks} blocks: {verdicts or 'nothing to judge'}", "bold"
        )
        if self.planned is None or not event.open_arms or self.look == len(looks):
            return
        blocks = range(event.blocks, looks[self.look])
        further = [arm for arm in self.planned.arms if arm.name in event.open_arms]
        self.wanted |= {(arm.name, block) for arm in further for block in blocks}
        self.left.more(sum(arm.settings.steps for arm in further) * len(blocks))
        still = ", ".join(arm for arm in event.open_arms if arm != BASELINE)
        self._say(f"open: {still}; on to look {self.look + 1} at {looks[self.look]} blocks")

    def _picture(self) -> RenderableType:
        assert self.planned is not None
        blocks = sorted({block for _, block in self.wanted | set(self.cells)})
        shown = blocks_at_work(blocks, {block for _, block, _ in self.now.values()})
        table = Table(box=None, pad_edge=False)
        table.add_column("arm", overflow="ellipsis", no_wrap=True)
        for block in shown:
            table.add_column(str(block), justify="right", no_wrap=True)
        running = {(arm, block): p for arm, block, p in self.now.values()}
        for arm in dict.fromkeys(arm.name for arm in self.planned.arms if any(a == arm.name for a, _ in self.wanted)):
            table.add_row(arm, *(self._cell(arm, block, running) for block in shown))
        parts: list[RenderableType] = [table, Text()]
        parts += [_line_of(trial_id, p) for trial_id, (_, _, p) in self.now.items()]
        return Group(*parts, Text(self._where(blocks, shown), style="dim"))

    def _where(self, blocks: list[int], shown: list[int]) -> str:
        """Return what the table is a part of, which look comes, and how long that takes."""
        assert self.planned is not None
        looks = self.planned.study.design.looks
        counted = f"{len(self.cells)} of {len(self.wanted)} trials"
        parts = [
            counted if len(shown) == len(blocks) else f"blocks {shown[0]} to {shown[-1]} of {len(blocks)}; {counted}"
        ]
        if looks and self.look < len(looks):
            parts.append(f"look {self.look + 1} of {len(looks)} comes at {looks[self.look]} blocks")
        return "; ".join([*parts, *filter(None, [str(self.left)])])

    def _cell(self, arm: str, block: int, running: dict[tuple[str, int], TrialProgress | None]) -> Text:
        if (arm, block) in self.cells:
            mark, style = MARKS[self.cells[arm, block]]
            return Text(mark, style)
        if (arm, block) in running:
            return Text(share_done(running[arm, block]), "cyan")
        return Text("·" if (arm, block) in self.wanted else "", "dim")

    def _say(self, text: str, style: str = "") -> None:
        """Print a line; where nothing but trouble is to be seen, only what is yellow."""
        self._write(text)
        if self.detail != "quiet" or style == "yellow":
            self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        """Print a line that a live table makes needless."""
        if self.live is None or self.detail == "verbose":
            self._say(text)
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        """Write a line into the log, where there is one."""
        if self.log is not None:
            now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            self.log.write(f"{now} {text}\n")
            self.log.flush()


def blocks_at_work(blocks: list[int], running: set[int], most: int = SHOWN) -> list[int]:
    """Return the blocks that a table shows: as many as it has room for, those under way in its last part."""
    if len(blocks) <= most:
        return blocks
    last = max((blocks.index(block) for block in running if block in blocks), default=0)
    start = min(max(0, last - most + 3), len(blocks) - most)
    return blocks[start : start + most]


def share_done(progress: TrialProgress | None) -> str:
    """Return how far a trial is; a command gives signs of life only, more than its one step."""
    return "…" if progress is None or progress.steps <= 1 else f"{100 * progress.step // progress.steps} %"


def _line_of(trial_id: str, progress: TrialProgress | None) -> Text:
    if progress is None:
        return Text(f"{trial_id}: starting", "dim")
    if progress.steps <= 1:
        return Text(f"{trial_id}: running", "dim")
    losses = f"loss of D {progress.loss_d:.3f}, of G {progress.loss_g:.3f}"
    return Text(
        f"{trial_id}: step {progress.step} of {progress.steps}; {losses}", "dim", overflow="ellipsis", no_wrap=True
    )
