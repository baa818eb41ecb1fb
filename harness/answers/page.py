"""The answers as a page of Markdown: surprises, a table a post with a row a statement, the studies behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.answers.answers import AGAIN, Answer, Evidence, StoredStudy
from harness.answers.statements import Post, Statements
from harness.report.markdown import escaped
from harness.report.verdict_tables import headline

COMMAND = "python -m harness answers"


def page(statements: Statements, studies: Mapping[str, StoredStudy], answers: Sequence[Answer], root: Path) -> str:
    """Return the page.

    Args:
        statements: The posts and what they say.
        studies: Results, by name.
        answers: One a statement.
        root: The folder of the results, as the command was given it.
    """
    settled = sum(answer.settled for answer in answers)
    open_ = [answer.statement.id for answer in answers if not answer.settled]
    parts = [
        "# What came out",
        f"Made by `{COMMAND} {root.as_posix()}` from the rows and plans in these folders; a test says whether it is up "
        f"to date. {settled} of {len(answers)} statements are settled"
        + (f"; open or not told apart: {', '.join(open_)}." if open_ else "."),
        "*Supported*, *contradicted*: by a verdict on the contrast, at the data, size and training of that study. "
        "*Untested*: the study could not have told. *Not settled*: it did not tell. A verdict corrects for the arms of "
        "its study, not for the number of studies.",
        "## What surprised",
        *_surprises(answers, studies),
    ]
    for key, post in statements.posts.items():
        own = [answer for answer in answers if answer.statement.id.split("-")[0] == key]
        parts += _post(key, post, own, studies)
    parts += ["## The studies", _studies(studies)]
    return "\n\n".join(parts) + "\n"


def _surprises(answers: Sequence[Answer], studies: Mapping[str, StoredStudy]) -> Iterator[str]:
    lines = [
        f"- **{answer.statement.id}** {escaped(evidence.says)} – *contradicted*: {escaped(evidence.finding)}."
        for answer in answers
        for evidence in answer.evidence
        if evidence.outcome == "contradicted"
    ]
    for name, study in studies.items():
        lines += [
            f"- **{name}**: {escaped(control.sentence)}"
            for control in study.findings.controls
            if control.kind == "positive" and control.passed is False and control.decided
        ]
        if not AGAIN.fullmatch(name):
            lines += [f"- **{name}**: {escaped(sentence)}" for sentence in study.findings.disagreements()]
    yield "\n".join(lines) if lines else "Nothing: no statement is contradicted by a verdict."


def _post(key: str, post: Post, answers: Sequence[Answer], studies: Mapping[str, StoredStudy]) -> Iterator[str]:
    yield f"## Post {key}: {escaped(post.title)}"
    if post.study in studies:
        figure = f"{post.study}/report/figures/forest.svg"
        yield f"**{escaped(headline(studies[post.study].findings))}**"
        yield f"![{escaped(f'Changes and intervals of {post.study}')}](<{figure}>)"
    rows = [
        f"| {answer.statement.id} | {_prose(answer.statement.says)} | {escaped(answer.outcome)} | {_cell(answer)} |"
        for answer in answers
    ]
    yield "\n".join(["| id | the post says | answer | evidence |", "| --- | --- | --- | --- |", *rows])


def _cell(answer: Answer) -> str:
    known = [_prose(answer.statement.known)] if answer.statement.known else []
    reason = [f"Not here: {escaped(answer.statement.not_here)}"] if answer.statement.not_here else []
    return "<br>".join([*known, *map(_line, answer.evidence), *reason]) or "none yet"


def _prose(text: str) -> str:
    """Return a statement as it was written, Markdown's code marks included; only a bar would end its cell."""
    return " ".join(text.split()).replace("|", r"\|")


def _line(evidence: Evidence) -> str:
    match evidence.kind:
        case "test":
            return f"Test: `pytest {evidence.source}`"
        case "proof":
            return f"Plan of [{evidence.source}]({evidence.source}/plan.json): {escaped(evidence.finding)}"
        case "text":
            return "Read in the post's own code."
    again = f" Under other seeds the same: {evidence.again}." if evidence.again else ""
    return (
        f"[{evidence.source}]({evidence.source}/report/report.md): {escaped(evidence.says)} – *{evidence.outcome}*: "
        f"{escaped(evidence.finding)}.{again}"
    )


def _studies(studies: Mapping[str, StoredStudy]) -> str:
    lines = [
        "| study | blocks | trials | trained for | on | hours of trials | positive control | baseline | again by |",
        "| --- | ---: | ---: | --- | --- | ---: | --- | --- | --- |",
    ]
    for name, study in studies.items():
        own = study.findings.study
        trials = study.findings.tables.trials
        hours = float(trials["wall_seconds"].sum()) / 3600
        epochs = study.findings.health.epochs if study.findings.health is not None else None
        length = f"{own.horizon} steps of {own.training.batch_size}" + (f", {epochs:.2g} epochs" if epochs else "")
        lines.append(
            f"| [{name}]({name}/report/report.md) | {int(trials['block'].nunique())} | {len(trials)} | {length} | "
            f"{escaped(own.data.kind)}, {own.data.image_size} px | {hours:.2f} | "
            f"{study.control.removeprefix('control ')} | {study.health} | "
            f"`{_command(name, own.design.seed)} --results again` |"
        )
    return "\n".join(lines)


def _command(name: str, seed: int) -> str:
    """Return what computes a folder of results again."""
    match = AGAIN.fullmatch(name)
    study = match["study"] if match else name
    if study.endswith(".pilot"):
        return f"python -m harness plan studies/{study.removesuffix('.pilot')}.yaml --pilot"
    return f"python -m harness run studies/{study}.yaml" + (f" --set design.seed={seed}" if seed else "")
