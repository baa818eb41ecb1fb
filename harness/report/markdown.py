"""The report as Markdown (GitHub's), with all text escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.report.contents import Section
from harness.report.drawing import Figure
from harness.report.samples import Samples
from harness.report.study_file import StudyFile
from harness.report.table import Table
from harness.report.verdict_tables import headline
from harness.verdicts.judge import StudyVerdicts


def markdown(findings: StudyVerdicts, sections: Sequence[Section], folder: Path) -> str:
    """Return the report; pictures and figures are addressed as seen from a folder."""
    parts = [f"# {escaped(findings.study.question or findings.study.study)}"]
    if not findings.sound:
        parts.append("**A NEGATIVE CONTROL WAS TOLD APART: do not trust the verdicts below before you know why.**")
    parts.append(f"**{escaped(headline(findings))}**")
    parts.append(f"{findings.trials_done} of {findings.trials_planned} trials done.")
    parts += [f"> {escaped(note)}" for note in findings.notes]
    return "\n\n".join([*parts, *(_section(section, folder) for section in sections)]) + "\n"


def _section(section: Section, folder: Path) -> str:
    match section:
        case Table():
            return _table(section)
        case Figure():
            image = f"![{escaped(section.alternative)}](<{section.address('svg')}>)"
            return f"## {escaped(section.title)}\n\n{image}\n\n{escaped(section.caption)}"
        case Samples():
            return "\n\n".join((f"## {escaped(section.title)}", *_strips(section, folder)))
        case StudyFile():
            return _study_file(section)
        case _:
            return "\n".join(f"- {escaped(sentence)}" for sentence in section.sentences)


def _study_file(file: StudyFile) -> str:
    commands = f"The study as `{file.study}.yaml`, then:\n\n```sh\n{chr(10).join(file.commands)}\n```"
    # A fence is closed by as many marks as opened it: more than stand in the text.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", file.text)), default=0))
    return f"## {file.title}\n\n{commands}\n\n{fence}yaml\n{file.text}{fence}"


def _strips(samples: Samples, folder: Path) -> list[str]:
    return [
        f"{escaped(strip.label)}{f' ({escaped(strip.about)})' if strip.about else ''}\n\n"
        f"![{escaped(strip.label)}](<{strip.address(folder)}>)"
        for strip in samples.strips
        if strip.path is not None
    ]


def _table(table: Table) -> str:
    rules = " | ".join(":---" if column.words else "---:" for column in table.columns)
    lines = [f"| {' | '.join(escaped(column.head) for column in table.columns)} |", f"| {rules} |"]
    lines += [f"| {' | '.join(map(escaped, row))} |" for row in table.rows]
    return f"## {escaped(table.title)}\n\n" + "\n".join(lines) + f"\n\n{escaped(table.note)}"


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is; one line.

    Example:
        >>> escaped("a|b_c <script> *x*")
        'a\\|b_c \\<script\\> \\*x\\*'
    """
    text = re.sub(r"[\\`*\[\]<>|#~$&{}]", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
