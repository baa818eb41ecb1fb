"""What a report consists of, in the order in which it is read: one line per table, figure or other part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from harness.report import curves, figures, samples, trial_tables, verdict_tables
from harness.report.card_table import card_table
from harness.report.control_table import claim_table, control_table
from harness.report.cost_table import cost_table
from harness.report.drawing import Figure
from harness.report.forest import forest
from harness.report.health_table import health_table
from harness.report.replication_table import replication_table
from harness.report.samples import Samples
from harness.report.study_file import StudyFile, study_file
from harness.report.table import Table
from harness.verdicts.judge import StudyVerdicts


@dataclass(frozen=True)
class Sentences:
    """What was found, a sentence each."""

    kind: ClassVar[str] = "sentences"
    sentences: tuple[str, ...]


def sentences(findings: StudyVerdicts) -> Sentences | None:
    """Return the findings in words; None where the headline says it all."""
    said = verdict_tables.in_words(findings)
    return Sentences(tuple(said)) if len(said) > 1 else None


Section = Table | Figure | Samples | Sentences | StudyFile

CONTENTS: tuple[Callable[[StudyVerdicts], Section | None], ...] = (
    control_table,
    verdict_tables.contrast_table,
    verdict_tables.effect_table,
    replication_table,
    health_table,
    sentences,
    forest,
    samples.samples,
    figures.paired,
    figures.interactions,
    curves.difference,
    curves.course,
    claim_table,
    cost_table,
    trial_tables.arm_table,
    trial_tables.failure_table,
    verdict_tables.trust_table,
    verdict_tables.exploratory_table,
    card_table,
    trial_tables.floor_table,
    trial_tables.provenance_table,
    study_file,
)
"""A function here reaches the page, Markdown and LaTeX; it returns None where a study has nothing of its kind."""


def contents(findings: StudyVerdicts) -> tuple[Section, ...]:
    """Return the parts that a study has something for."""
    return tuple(section for part in CONTENTS if (section := part(findings)) is not None)
