"""What each arm of a study of commands runs: revision, patch and words, checked before anything is run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.atomic_write import atomic_write
from harness.errors import DataError, HarnessError, did_you_mean
from harness.named_draws.command import Matching, matched_environment
from harness.randomness import seed_for
from harness.results.schema import ArmPlan, is_trained
from harness.scripts.environment import STATED
from harness.scripts.repository import Repository, is_work_tree
from harness.scripts.shared_draws import TRACED, trace_of
from harness.scripts.source_files import python_digest, same_syntax
from harness.study.command import NO_PATCH, WORKING_TREE, CommandSettings, filled
from harness.study.design import Arm, Trial, trains_no_op
from harness.study.study import BASELINE, Study
from harness.study_folder import located
from harness.trial.command_task import CommandTask

FOLDER = "revisions"
"""In the results of a study; it is gone when the study is done."""


@dataclass(frozen=True)
class ArmSource:
    """What one arm runs."""

    arm: Arm
    commit: str | None
    """In the clone, patched; None where git does not keep the directory."""
    said: str
    """The commit before the patch, or a digest of files."""
    patch: str | None
    """Digest of the patch."""
    files: str
    """Digest of all files: arms of which it is equal run the same code."""

    @property
    def command(self) -> CommandSettings:
        """The arm's settings."""
        assert self.arm.settings.trial is not None
        return self.arm.settings.trial


class Sources:
    """What the arms of one study run, and where."""

    def __init__(self, study: Study, arms: Sequence[Arm], results: Path, *, aside: Path | None = None) -> None:
        """Find every revision and patch, and check all that can be checked without running anything.

        Args:
            study: A study whose trials are commands.
            arms: Its arms, the baseline first.
            results: The study's folder of results; what was frozen there before stays as it was.
            aside: Folder in which git works instead of there, where nothing is to be laid out.

        Raises:
            HarnessError: A folder, a revision, a patch or a program is missing, or a patch does not apply.
        """
        assert study.trial is not None
        self.study, self.results = study, results.absolute()
        self.directory = located(study.trial.directory).absolute()
        if not self.directory.is_dir():
            raise HarnessError(f"trial.directory: {study.trial.directory}: no such folder")
        self._check_real()
        self.recorded = self._read_record()
        self.repository: Repository | None = None
        if is_work_tree(self.directory):
            self.repository = Repository(self.directory, aside or self.results / FOLDER, before=self.results / FOLDER)
        self.arms = {arm.name: self._source(arm) for arm in arms}
        for source in self.arms.values():
            self._check_program(source)
            self._check_links(source.command)

    # ---- what each arm is -------------------------------------------------------------------------------------------

    def _source(self, arm: Arm) -> ArmSource:
        command = arm.settings.trial
        assert command is not None
        if self.repository is None:
            if command.revision not in (None, WORKING_TREE) or command.patch != NO_PATCH:
                raise HarnessError(f"trial.directory: {self.directory}: revisions and patches need a git repository")
            digest = f"files {python_digest(self.directory)}"
            self._keep(WORKING_TREE, digest, f"the Python files of {self.directory} changed")
            return ArmSource(arm, None, digest, None, digest)
        commit = self._commit(self.repository, command.revision or WORKING_TREE)
        said = self.repository.said(commit)
        patch = None
        if command.patch != NO_PATCH:
            path = located(command.patch)
            commit = self.repository.patched(commit, path)
            patch = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            self._keep(f"patch {command.patch}", patch, f"{path} changed")
        return ArmSource(arm, commit, said, patch, self.repository.tree(commit))

    def _commit(self, repository: Repository, revision: str) -> str:
        """Return the commit of a revision: the one with which the study started, if it has."""
        before = self.recorded.get(revision)
        if before is not None and repository.has(before):
            return before
        now = repository.frozen() if revision == WORKING_TREE else repository.commit(revision)
        self._keep(revision, now, f"{revision} is another one now ({now[:12]})")
        return now

    def _keep(self, name: str, value: str, changed: str) -> None:
        before = self.recorded.setdefault(name, value)
        if before != value:
            raise HarnessError(
                f"{changed} since the study started ({before[:20]}), and trials of both would not belong together; put "
                f"it back, or give the study another name, e.g. --set study={self.study.study}-2"
            )

    def _read_record(self) -> dict[str, str]:
        path = self.results / "sources.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): str(value) for name, value in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            raise HarnessError(
                f"{path}: cannot be read ({error}); restore it, or give the study another name"
            ) from None

    # ---- checks -----------------------------------------------------------------------------------------------------

    def _check_real(self) -> None:
        real = self.study.real
        if real is None:
            return
        if not located(real).is_dir():
            raise DataError(f"real: {real}: no such folder")
        from harness.image_files import SUFFIXES  # its PIL takes time that a finished study does not have

        if not any(path.suffix.lower() in SUFFIXES for path in located(real).rglob("*")):
            raise DataError(f"real: {real}: holds no images; allowed: {', '.join(sorted(SUFFIXES))}")

    def _check_program(self, source: ArmSource) -> None:
        word = source.command.arguments({"directory": str(self.directory)})[0]
        path = source.command.environment.get("PATH", os.environ.get("PATH"))
        relative = "/" in word and not Path(word).is_absolute()
        if not relative and shutil.which(word, path=path) is None:
            raise HarnessError(f"trial.command: {word}: no such program")

    def _check_links(self, command: CommandSettings) -> None:
        for name in command.links:
            there = self.directory / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise HarnessError(f"trial.links: {name}: a name below {self.directory} is needed")
            if not there.exists():
                near = [path.name for path in self.directory.iterdir()]
                raise HarnessError(f"trial.links: {there}: no such file or folder{did_you_mean(name, near)}")

    # ---- what is known before ---------------------------------------------------------------------------------------

    def plans(self) -> tuple[ArmPlan, ...]:
        """Return what is known of each arm before anything is run: which are the same as the baseline."""
        baseline = self.arms[BASELINE]
        return tuple(self._plan(source, baseline) for source in self.arms.values())

    def _plan(self, source: ArmSource, baseline: ArmSource) -> ArmPlan:
        same = None
        if source is not baseline and source.arm.control != "a/a":
            same = self._same(source, baseline)
        others = [
            f"the same as arm {other.arm.name}: equal files and words"
            for other in self.arms.values()
            if same is None and other is not source and other is not baseline and self._equal(source, other)
        ]
        kept = same is not None and trains_no_op(self.study, source.arm)
        return ArmPlan(
            arm=source.arm.name,
            levels=source.arm.levels,
            proof=None if same is None else "no-op",
            reason="; ".join([*([same] if same else []), *(["run all the same"] if kept else []), *others]) or None,
            parameters_g=None,
            parameters_d=None,
            macs_g=None,
            macs_d=None,
            activation_bytes=None,
            matched_fraction=None,
        )

    def _equal(self, one: ArmSource, other: ArmSource) -> bool:
        return one.files == other.files and _called(one) == _called(other)

    def _same(self, source: ArmSource, baseline: ArmSource) -> str | None:
        """Return why an arm runs what the baseline runs; None where it does not."""
        if _called(source) != _called(baseline):
            return None
        if source.files == baseline.files:
            return "runs what the baseline runs: equal files and words"
        if self.repository is None or source.commit is None or baseline.commit is None:
            return None
        changed = self.repository.changed(baseline.commit, source.commit)
        texts = {f: [self.repository.content(c, f) for c in (baseline.commit, source.commit)] for f in changed}
        if changed and all(same_syntax(file, *pair) for file, pair in texts.items()):
            return f"runs what the baseline runs: only comments and layout differ, in {', '.join(changed)}"
        return None

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON's own types: of each arm what is known, and what is run in block 0."""
        plans = self.plans()
        count = sum(is_trained(self.study, self.arms[plan.arm].arm, plan) for plan in plans)
        return {
            "study": self.study.study,
            "arms": [dataclasses.asdict(plan) for plan in plans],
            "trials": count * self.study.design.goals[0],
            "trials_at_most": count * self.study.design.most_blocks,
            "estimated_seconds": None,
            "commands": self.commands(),
        }

    def notes(self) -> Iterator[str]:
        """Yield what is to be said of what is run, before it is."""
        left = [path.name for path in (self.results / "out").glob("*") if path.is_dir()]
        done = {path.stem for path in (self.results / "trials").glob("*.parquet")}
        if again := sorted(set(left) - done):
            yield f"interrupted, and run again from scratch: {', '.join(again)}"

    def commands(self) -> list[dict[str, Any]]:
        """Return what is run for each arm in block 0."""
        return [
            {
                "arm": name,
                "command": shlex.join(task.words),
                "directory": task.directory,
                "commit": source.said,
                "patch": source.patch,
                "environment": dict(task.environment),
                "log": f"{task.out}.txt",
            }
            for name, source in self.arms.items()
            for task in [self.task(Trial(source.arm, 0))]
        ]

    # ---- one trial --------------------------------------------------------------------------------------------------

    def lay_out(self, arms: Sequence[Arm]) -> None:
        """Write down what was found, and lay out the revisions of some arms.

        Raises:
            GitError: It cannot be laid out.
        """
        with atomic_write(self.results / "sources.json") as file:
            file.write(json.dumps(self.recorded, indent=1).encode())
        for source in (self.arms[arm.name] for arm in arms):
            if self.repository is None or source.commit is None:
                continue
            place = self.repository.laid_out(source.commit)
            for name in source.command.links:
                link = place / name
                if not link.exists():
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(self.directory / name)

    def task(self, trial: Trial) -> CommandTask:
        """Return the command of one trial."""
        source = self.arms[trial.arm.name]
        command, out = source.command, self.results / "out" / trial.trial_id
        place = self.directory
        if self.repository is not None and source.commit is not None:
            place = self.results / FOLDER / source.commit[:12] / self.repository.below
        names = _names(trial) | {
            "out": str(out),
            "directory": str(self.directory),
            "real": "" if self.study.real is None else str(located(self.study.real).absolute()),
        }
        words = {name: str(word) for name, word in command.words.items()}
        symbolic = {name: f"{{{name}}}" for name in ("out", "directory", "real")}
        values = command.values
        environment = {**STATED, **{k: filled(v, names | words) for k, v in command.environment.items()}}
        if command.matched:
            matching = Matching(
                block=trial.arm.streams(trial.block), trace=str(trace_of(out)) if trial.block == TRACED else None
            )
            environment |= matched_environment(matching, {**os.environ, **environment})
        return CommandTask(
            words=command.arguments(names | words),
            directory=str(place),
            environment=environment,
            deadline=None if self.study.budget.trial_minutes is None else 60 * self.study.budget.trial_minutes,
            out=str(out),
            generated=None if command.generated is None else filled(command.generated, names | words),
            values=None if values is None or values.file is None else filled(values.file, names | words),
            real=names["real"] or None,
            commit=source.said,
            patch=source.patch,
            shown=shlex.join(command.arguments(names | words | symbolic)),
        )

    def changed(self, name: str) -> dict[str, set[str]]:
        """Return the files in which an arm differs from the baseline, with the paths that they have in both."""
        source, baseline = self.arms[name], self.arms[BASELINE]
        if self.repository is None or source.commit is None or baseline.commit is None:
            return {}
        roots = [(self.results / FOLDER).resolve() / commit[:12] for commit in (source.commit, baseline.commit)]
        files = self.repository.changed(baseline.commit, source.commit)
        return {file: {str(root / file) for root in roots} for file in files}

    def remove(self, *, everything: bool) -> None:
        """Remove what was laid out; everything else of the clone too when the study is done."""
        folder = self.results / FOLDER
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name == "repository.git" and not everything:
                continue
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if everything:
            shutil.rmtree(folder, ignore_errors=True)


def _names(trial: Trial) -> dict[str, str]:
    """Return what the names in a command stand for that no folder is."""
    seed = seed_for(trial.arm.streams(trial.block), "command") % 2**31
    return {"seed": str(seed), "block": str(trial.block), "arm": trial.arm.name}


def _called(source: ArmSource) -> tuple[Any, ...]:
    """Return how an arm calls its files, whatever the block: the words, and what else the command is given."""
    command = source.command
    words = {name: str(word) for name, word in command.words.items()}
    return command.arguments(words), tuple(sorted(command.environment.items())), command.links, command.matched
