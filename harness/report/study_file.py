"""The study as a file, and the commands that make it again: what a reader needs to repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import yaml

from harness.study.study import Study
from harness.verdicts.judge import StudyVerdicts


@dataclass(frozen=True)
class StudyFile:
    """The study that the rows are of."""

    kind: ClassVar[str] = "study_file"
    title: ClassVar[str] = "Make it again"
    name: str
    """Of its results."""
    study: str
    text: str
    """YAML, from which the same study is read."""
    amended: bool
    """Whether it was changed after its first row; the text is as it is now."""

    @property
    def commands(self) -> tuple[str, ...]:
        """What is typed."""
        return (f"python -m harness run {self.study}.yaml", f"python -m harness report {self.name}")


def study_file(findings: StudyVerdicts) -> StudyFile:
    """Return the study of what was found."""
    study = findings.study
    return StudyFile(study.results_name, study.study, study_yaml(study), bool(findings.history))


def study_yaml(study: Study) -> str:
    """Return a study as YAML without the settings that have their defaults."""
    written = study.written
    first = [name for name in ("study", "question") if name in written]
    ordered = {name: written[name] for name in dict.fromkeys((*first, *written))}
    text: str = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text
