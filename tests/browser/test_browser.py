from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pretended import fill, study

from harness.dashboard.serving import address, opened
from harness.report.overview import overview_page, overview_rows
from harness.report.write import write
from harness.verdicts.judge import judge_stored

sync_api = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
REBOUND = "rebound.example"
"""What a web page is called whose name resolves to this machine."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"),
)
ASKED = study(
    controls={"negative": "no-ops"},
    claims=[{"id": "one", "quote": "It <b>helps</b>.", "arm": "spectral_norm=convs", "expect": "helps"}],
)
STATUSES = {("spectral_norm=convs+heads", 1): "diverged"}
TRIALS = 4 * 5

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="apt-get install chromium"),
]


@dataclass
class Watched:
    """A page, and all that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    found = Watched(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
    yield found
    page.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / ASKED.study
    fill(path, ASKED, statuses=STATUSES)
    return path


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    store, findings = judge_stored(folder)
    return write(findings, store)["html"]


def test_the_report_shows_question_verdicts_rows_and_pictures_without_asking_for_anything(
    watched: Watched, report: Path
) -> None:
    page = watched.page
    page.goto(report.as_uri())
    assert page.locator("h1").inner_text() == "Does spectral normalisation help?"
    verdict = page.locator("#verdict")
    assert verdict.locator("li .mark").all_inner_texts() == ["helps", "inconclusive"]
    assert (
        "fid_efficientnet 19 % lower (interval"
        in verdict.locator("li", has_text="spectral_norm=convs").first.inner_text()
    )
    assert page.locator("#contrasts tbody tr").count() == 2
    assert page.locator("#arms tbody tr").count() == 5
    assert page.locator("#failures tbody tr").count() == 1
    assert page.locator("#claims tbody tr").inner_text().split("\t")[1] == "It <b>helps</b>."
    assert [f for f in page.locator("figure").all() if f.locator("svg:visible").count() != 1] == []
    # Two halves of a strip, each a whole multiple of its pixels, and three items by each of five rows of a block.
    halves = page.evaluate("[...document.querySelectorAll('.strips svg')].map(e => e.getBoundingClientRect().width)")
    assert halves == [384] * 10
    sheets = page.evaluate("[...document.querySelectorAll('.sheet img')].map(i => [i.naturalWidth, i.naturalHeight])")
    assert sheets[0] == [96, 160]
    assert page.evaluate("getComputedStyle(document.querySelector('#samples img')).imageRendering") == "pixelated"
    assert [url for url in watched.requests if not url.startswith("data:")] == [report.as_uri()]
    assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_figures_stand_out_from_the_paper(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    found = page.evaluate(
        """[...document.querySelectorAll('body, .about, .mark, figure svg text')].map(e => {
            const style = getComputedStyle(e);
            return e.tagName === 'text' ? style.fill : style.color;
        })"""
    )
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    page.close()
    assert (paper > 0.5) == (scheme == "light")
    contrast = [ratio(luminance(colour), paper) for colour in found]
    assert len(contrast) > 40
    assert min(contrast) > 3


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(first: float, second: float) -> float:
    """Contrast ratio (WCAG 2.1)."""
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_page_never_scrolls_sideways_and_the_text_of_its_figures_can_be_read(
    watched: Watched, report: Path, width: int
) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate(
        """[...document.querySelectorAll('figure svg text')].filter(text => text.getClientRects().length).map(text => {
            const svg = text.ownerSVGElement, zoom = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            return parseFloat(getComputedStyle(text).fontSize) * zoom;
        })"""
    )
    assert len(sizes) > 60
    assert min(sizes) >= 11
    kind = "narrow" if width < 768 else "wide"
    assert page.locator(f"figure .{kind} svg:visible").count() == page.locator("figure").count()


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_first_screen_has_verdicts_health_control_margin_and_step(
    watched: Watched, report: Path, width: int
) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": {390: 844, 768: 1024, 1440: 900}[width]})
    page.goto(report.as_uri())
    seen = page.evaluate(
        """[...document.querySelectorAll('h1, #verdict li, .glance, .facts div, #forest')].filter(
            e => e.getClientRects().length && e.getBoundingClientRect().top < innerHeight
        ).map(e => e.innerText).join(' ').toLowerCase()"""
    )
    for text in (
        "does spectral normalisation help?",
        "spectral_norm=convs",
        "spectral_norm=convs+heads",
        "still learning",
        "step 300",
    ):
        assert text in seen
    assert "no difference" in seen
    assert "10%" in seen or "10 %, about" in seen


@pytest.mark.parametrize("width", [390, 1440])
def test_tables_are_cards_on_a_phone_or_say_that_they_scroll(watched: Watched, report: Path, width: int) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    # What is wider than its place is a region that the keyboard reaches, with a line above that says so.
    silent = page.evaluate(
        """[...document.querySelectorAll('section .scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)
        .filter(e => !(e.previousElementSibling?.matches('.hint') && e.previousElementSibling.getClientRects().length))
        .map(e => e.parentElement.id)"""
    )
    assert silent == []
    assert page.locator("#contrasts thead").is_visible() is (width > 768)


def test_a_word_of_statistics_leads_to_its_sentence(watched: Watched, report: Path) -> None:
    page = watched.page
    page.goto(report.as_uri())
    page.locator(".facts a", has_text="margin").first.click()
    assert page.evaluate("location.hash") == "#word-margin"
    assert "smallest difference that matters" in page.locator(":target").inner_text()
    assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top < innerHeight")


def test_the_dashboard_lists_the_trials_with_levels_and_pictures(watched: Watched, folder: Path) -> None:
    page = watched.page
    with opened(folder) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        root = address(server)
        page.goto(f"{root}/dashboard/studies/0/trials?numbers=1")
        page.get_by_text("Trial 1", exact=False).first.wait_for()
        page.locator("img").first.wait_for()
        body = page.locator("body").inner_text()
        assert "discriminator.spectral_norm" in body
        assert "b000-" in body
        size = page.evaluate("[...document.images].map(i => i.naturalWidth)")
        assert max(size) == 384
        page.goto(f"{root}/dashboard/studies/0/smartSelection")
        page.get_by_text(f"of {TRIALS}").first.wait_for()
        page.goto(f"{root}/dashboard/studies/0/note")
        page.get_by_text("Hyperparameter importance is no effect size").first.wait_for()
        # The verdict that holds over all arms and looks, and beside it the uncorrected one.
        assert page.locator("td", has_text="helps").count() == 2
    assert all(url.startswith((root, "data:", "blob:")) for url in watched.requests)
    assert watched.complaints == []


@pytest.mark.usefixtures("drawn")
def test_the_dashboard_opens_on_the_verdicts_and_optunas_pages_carry_them(watched: Watched, folder: Path) -> None:
    page = watched.page
    with opened(folder) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        page.goto(f"{address(server)}/")
        assert page.locator("h1").inner_text().startswith("pretended: ")
        assert page.locator("#verdict .mark").all_inner_texts() == ["helps", "inconclusive"]
        assert page.locator("figure svg").count() == 3
        for width in (390, 768, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.locator("#verdict").bounding_box()["y"] < 450
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="figures").click()
        page.get_by_text("pretended – spectral_norm=convs: helps").first.wait_for()
        for panel in ("verdicts", "blocks", "curves"):
            page.locator(f"[id='user-defined-plot:{panel}'] .main-svg").first.wait_for()
        assert page.get_by_text("Each line is a block").count() == 1
    assert watched.complaints == []


def test_a_web_page_of_another_name_can_neither_read_nor_change_the_dashboard(browser: Any, folder: Path) -> None:
    page = browser.new_page()
    with opened(folder, edits=True) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        elsewhere = f"http://{REBOUND}:{server.bind_addr[1]}"
        reply = page.goto(f"{elsewhere}/dashboard/")
        assert reply.status == 403
        rename = """async ([root, mode]) => {
            const said = {method: 'POST', mode, headers: {'Content-Type': 'text/plain'}, body: '{"study_name": "x"}'};
            try { return (await fetch(`${root}/api/studies/0/rename`, said)).status } catch { return 'refused' }
        }"""
        assert page.evaluate(rename, [elsewhere, "cors"]) == 403
        assert page.evaluate(rename, [address(server), "no-cors"]) in (0, "refused")
        page.goto(f"{address(server)}/dashboard/")
        names = "async () => (await (await fetch('/api/studies')).json()).study_summaries.map(s => s.study_name)"
        (shown,) = page.evaluate(names)
        assert shown.startswith(f"{ASKED.study} – spectral_norm=convs: helps")
        page.close()


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_the_page_over_studies_fits_every_screen_and_shows_each_verdict(
    watched: Watched, tmp_path: Path, width: int
) -> None:
    stores = [fill(tmp_path / name, study(study=name, design={"blocks": 6})) for name in ("first", "second")]
    rows = overview_rows([judge_stored(store) for store in stores], tmp_path)
    (tmp_path / "index.html").write_text(overview_page(rows), encoding="utf-8")
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((tmp_path / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".mark").all_inner_texts() == ["helps", "negligible"] * 2
    assert page.locator("thead").is_visible() is (width > 768)
    assert watched.complaints == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="pip install -e '.[docs]'")
    path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True)
    return path


def test_the_documentation_is_read_and_searched_from_disk_and_asks_for_nothing_else(
    watched: Watched, site: Path
) -> None:
    page = watched.page
    page.goto((site / "decisions" / "index.html").as_uri())
    page.locator("input[name=query]").click()
    page.keyboard.type("positive control")
    page.locator(".md-search-result__item").first.wait_for()
    page.locator(".md-search-result__link").first.click()
    page.get_by_role("heading", name="What a verdict rests on").wait_for()
    for name in ("index", "other-tools"):
        page.goto((site / f"{name}.html").as_uri())
        for width in (390, 768, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    page.goto((site / "gallery.html").as_uri())
    broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
    assert broken == []
    page.get_by_role("link", name="report", exact=True).first.click()
    page.locator("#verdict").wait_for()
    assert all(url.startswith((site.as_uri(), "data:", "blob:")) for url in watched.requests)
    assert watched.complaints == []
