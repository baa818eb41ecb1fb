from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
from PIL import Image
from pretended import FIDS, fill, strip, study

import harness
from harness.errors import StoreError
from harness.report import contents
from harness.report.curves import differences_by_step
from harness.report.drawing import Figure, Screen, panels_of
from harness.report.first_screen import margin_in_both_units
from harness.report.latex import escaped as latex_escaped
from harness.report.markdown import escaped as markdown_escaped
from harness.report.samples import samples
from harness.report.study_file import study_yaml
from harness.report.table import NONE, Column, Table, large, short, spread, table
from harness.report.write import document, write
from harness.results.store import Store
from harness.statistics.number_format import between, duration, rough_duration, span
from harness.study.reading import read_study
from harness.verdicts.judge import ArmSummary, StudyVerdicts, judge_stored

NASTY = "</style><script>alert(1)</script> | _x_ \\ $y$ {z} & % # ~ ^ `c` *d* <!-- 漢"
FAILED = {("spectral_norm=convs+heads", 1): "diverged", ("spectral_norm=convs+heads", 3): "timeout"}


def written(folder: Path, **options: Any) -> dict[str, str]:
    fill(folder, options.pop("asked", study()), **options)
    store, findings = judge_stored(folder)
    return {ending: path.read_text(encoding="utf-8") for ending, path in write(findings, store).items()}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return written(tmp_path_factory.mktemp("usual"))


class Seen(HTMLParser):
    """What a browser would find in a page: tags with attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_all_four_files_carry_the_verdict_of_every_arm(usual: dict[str, str]) -> None:
    files = usual
    assert sorted(files) == ["html", "json", "md", "tex"]
    page = Seen(files["html"]).text
    for text in (page, files["md"], files["tex"].replace("\\_", "_")):
        assert re.search(r"spectral_norm=convs\W+helps", text)
        assert re.search(r"spectral_norm=convs\+heads\W+hurts", text)
    verdicts = {c["arm"]: c["verdict"] for c in json.loads(files["json"])["contrasts"]}
    assert verdicts["spectral_norm=convs"] == "helps"


def test_the_page_answers_its_question_before_anything_else(tmp_path: Path) -> None:
    asked = study(axes={"discriminator.spectral_norm": ["none", "convs"]})
    text = Seen(written(tmp_path, asked=asked)["html"]).text
    body = text[text.index("study pretended") :]
    assert body.index("Does spectral normalisation help?") < body.index("'spectral_norm=convs' helps:") < 200


def test_the_page_needs_no_other_file_no_script_and_no_request(usual: dict[str, str]) -> None:
    page = usual["html"]
    tags = Seen(page).tags
    assert not {"script", "iframe", "object", "embed"} & {tag for tag, _ in tags}
    addresses = [a[k] or "" for _, a in tags for k in ("src", "href", "xlink:href", "srcset") if k in a]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\((?!#)", page)


def test_two_pages_of_the_same_rows_are_equal_to_the_byte(usual: dict[str, str], tmp_path: Path, drawn: None) -> None:
    assert written(tmp_path) == usual


def test_ids_are_unique_in_the_page_and_every_link_leads_to_one(usual: dict[str, str]) -> None:
    tags = Seen(usual["html"]).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [str(attrs["href"]).removeprefix("#") for tag, attrs in tags if tag == "a"]
    assert {"word-margin", "word-interval", "word-helps", "word-family-wise", "word-paired-difference"} <= set(links)
    assert set(links) <= set(ids)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ({"margin": "10%"}, r"10 %, about ([\d.]+) of the baseline's fid_efficientnet of ([\d.]+)"),
        ({"primary": "ssim", "margin": 0.05}, r"0\.05, which is ([\d.]+) % of the baseline's ssim of ([\d.]+)"),
        ({"primary": "ssim", "margin": "5%"}, r"5 %, about ([\d.]+) of the baseline's ssim of ([\d.]+)"),
    ],
)
def test_the_margin_is_given_in_both_units(tmp_path: Path, measure: dict[str, Any], expected: str) -> None:
    fill(tmp_path, study(measure=measure))
    _, findings = judge_stored(tmp_path)
    said = margin_in_both_units(findings)
    found = re.fullmatch(expected, said)
    assert found, said
    other, mean = map(float, found.groups())
    of_baseline = findings.arms[0].values[findings.study.measure.primary].mean
    assert mean == pytest.approx(of_baseline, rel=0.01)
    written = float(str(measure["margin"]).removesuffix("%"))
    share = written / 100 if "%" in str(measure["margin"]) else None
    assert other == pytest.approx(share * of_baseline if share else 100 * written / of_baseline, rel=0.05)


def test_the_difference_on_the_way_ends_where_the_verdict_is(tmp_path: Path) -> None:
    fill(tmp_path, study(), statuses=FAILED)
    _, findings = judge_stored(tmp_path)
    by_arm = differences_by_step(findings)
    for c in findings.contrasts:
        last = by_arm[c.arm][-1]
        assert (last.step, last.pairs) == (300, c.n)
        assert last.mean == pytest.approx(c.estimate)
        assert last.low < last.mean < last.high


@pytest.mark.parametrize("path", sorted((tiny.ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_study_at_the_end_of_the_page_is_read_as_the_same_study(path: Path, tmp_path: Path) -> None:
    asked = read_study(path)
    (tmp_path / "again.yaml").write_text(study_yaml(asked), encoding="utf-8")
    assert read_study(tmp_path / "again.yaml") == asked


@pytest.mark.slow
def test_a_page_of_six_arms_is_small(tmp_path: Path, drawn: None) -> None:
    levels = {f"level-{number}": number * 1.5 for number in range(1, 7)}
    fids = {f"sigma=level-{number}": 60.0 + 4 * number for number in range(1, 7)}
    files = written(tmp_path, asked=study(axes={"discriminator.blur.sigma": levels}, design={"blocks": 9}), fids=fids)
    assert len(files["html"].encode()) < 300_000


def test_every_figure_is_made_for_wide_and_for_narrow_screens(usual: dict[str, str]) -> None:
    names = {str(a["id"]) for tag, a in Seen(usual["html"]).tags if tag == "svg" and "id" in a}
    assert names == {f"{f}-{w}" for f in ("forest", "paired", "difference", "course") for w in ("wide", "narrow")}


def test_text_of_the_study_is_text_in_every_file(tmp_path: Path) -> None:
    arm = f"spectral_norm={NASTY}"
    asked = study(
        question=NASTY,
        axes={"discriminator.spectral_norm": {"none": "none", NASTY: "convs"}},
        claims=[{"id": "c|1", "quote": NASTY, "arm": arm, "expect": "helps"}],
    )
    files = written(tmp_path, asked=asked, statuses={(arm, 1): "diverged"})
    seen = Seen(files["html"])
    assert "script" not in {tag for tag, _ in seen.tags}
    assert seen.text.count(NASTY) >= 5
    assert json.loads(files["json"])["question"] == NASTY
    rows = [line for line in files["md"].splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows]
    blocks = re.findall(r"(?:^\|.*\n)+", files["md"], re.MULTILINE)
    assert all(len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in b.splitlines()}) == 1 for b in blocks)
    assert len(bars) > 10
    [(fence, code)] = re.findall(r"^(`{3,})yaml$(.*?)^\1$", files["md"], re.MULTILINE | re.DOTALL)
    assert NASTY in code.replace("\n  ", " ")
    assert fence not in code
    assert "<script" not in re.sub(r"\\<", "", files["md"].replace(code, ""))
    body = files["tex"].split("\n", 1)[1]
    assert r"\textless{}script\textgreater{}" in body
    assert not re.search(r"(?<!\\)[#^~]|(?<!\\)_", body)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"blocks": 0}, "No verdict yet: 0 of 12 trials are done"),
        ({"blocks": 1}, "One block only"),
        ({"blocks": 2}, "6 of 12 trials"),
        ({"pictures": False}, "Does spectral normalisation help?"),
        ({"statuses": {("baseline", b): "diverged" for b in range(4)}}, "has no value in any block"),
        ({"statuses": {(a, b): "failed" for a in ("baseline", "spectral_norm=convs") for b in range(4)}}, "4 failed"),
        ({"asked": study(axes={})}, "No verdict yet: 4 of 4 trials are done"),
    ],
    ids=["nothing", "one block", "two blocks", "no pictures", "no baseline", "most failed", "one arm"],
)
def test_partial_results_are_shown_as_far_as_they_go(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    files = written(tmp_path, **options)
    assert expected in Seen(files["html"]).text
    assert "nan" not in files["md"].replace("losses nan", "").lower()
    json.loads(files["json"], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_failed_trials_are_listed_with_what_happened_and_counted_beside_the_verdict(tmp_path: Path) -> None:
    files = written(tmp_path, statuses=FAILED)
    seen = Seen(files["html"])
    assert seen.text.count("losses nan and <b>1|2</b> at step 120") == 2
    assert "b" not in {tag for tag, attrs in seen.tags if tag == "b" and "1|2" in str(attrs)}
    row = next(line for line in files["md"].splitlines() if line.startswith("| spectral_norm=convs+heads |"))
    head = next(line for line in files["md"].splitlines() if line.startswith("| arm |"))
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert (cells["pairs"], cells["lost"]) == ("2", "2")


def test_a_failed_control_marks_the_whole_report(tmp_path: Path) -> None:
    files = written(tmp_path, asked=study(controls={"negative": "a/a"}), fids={**FIDS, "a/a": 90.0})
    assert not json.loads(files["json"])["sound"]
    assert "A negative control was told apart" in Seen(files["html"]).text
    assert "<title>CONTROL FAILED" in files["html"]
    assert "A NEGATIVE CONTROL WAS TOLD APART" in files["md"].split("##")[0]


def test_a_sound_report_carries_no_alarm(tmp_path: Path) -> None:
    asked = study(controls={"negative": "no-ops"})
    files = written(tmp_path, asked=asked)
    assert json.loads(files["json"])["sound"]
    assert "control failed" not in (files["html"] + files["md"]).lower().replace(".failed", "")


def test_each_claim_is_shown_with_its_outcome(tmp_path: Path) -> None:
    claims = [
        {"id": "one", "quote": "It helps.", "arm": "spectral_norm=convs", "expect": "helps"},
        {"id": "two", "quote": "It hurts.", "arm": "spectral_norm=convs", "expect": "hurts"},
    ]
    files = written(tmp_path, asked=study(claims=claims))
    text = Seen(files["html"]).text
    assert re.search(r"one It helps\. .*? helps helps supported", text)
    assert re.search(r"two It hurts\. .*? hurts helps contradicted", text)
    assert [c["outcome"] for c in json.loads(files["json"])["claims"]] == ["supported", "contradicted"]


def test_pictures_come_from_one_block_and_say_which(tmp_path: Path) -> None:
    store = fill(tmp_path, study())
    for arm in ("baseline", "spectral_norm=convs"):
        (store.samples / f"b000-{arm}.png").unlink()
    _, findings = judge_stored(tmp_path)
    page = Seen(write(findings, store)["html"].read_text(encoding="utf-8"))
    assert "The same held-out items, block 1" in page.text
    strips = [attrs for tag, attrs in page.tags if tag == "svg" and "width" in attrs and "id" not in attrs]
    labels = [attrs["aria-label"] for attrs in strips if "aria-label" in attrs]
    assert labels == ["source", "target", "baseline", "spectral_norm=convs", "spectral_norm=convs+heads"]
    assert {attrs["width"] for attrs in strips} == {"384"}


def test_the_best_the_median_and_the_worst_items_are_the_same_in_all_arms(tmp_path: Path) -> None:
    store = fill(tmp_path, study())
    _, findings = judge_stored(tmp_path)
    found = samples(findings)
    assert found is not None
    assert [sheet.block for sheet in found.sheets] == [0, 2, 3]
    (sheet, *_) = found.sheets
    assert sheet.rows == ("source", "target", "baseline", "spectral_norm=convs", "spectral_norm=convs+heads")
    target, *drawn = (
        pixels(store.samples / f"{name}.png") for name in ("target", *(f"b000-{a}" for a in sheet.rows[2:]))
    )
    errors = np.mean([abs(d - target).reshape(32, 12, 32).mean(axis=(0, 2)) for d in drawn], axis=0) / 255
    order = np.argsort(errors)
    assert [item - 1 for item in sheet.items] == [order[0], order[5], order[11]]
    assert sheet.errors == pytest.approx([min(errors), errors[order[5]], max(errors)])
    shown = pixels(io.BytesIO(base64.b64decode(sheet.uri.partition(",")[2])))
    first = pixels(store.samples / "b000-baseline.png")
    places = [slice(32 * (item - 1), 32 * item) for item in sheet.items]
    assert np.array_equal(shown[64:96], np.hstack([first[:, place] for place in places]))


def pixels(path: Any) -> Any:
    return np.asarray(Image.open(path).convert("L")).astype(float)


def test_a_damaged_picture_does_not_stop_the_report(tmp_path: Path) -> None:
    store = fill(tmp_path, study())
    (store.samples / "b000-baseline.png").write_bytes(strip(1)[:50])
    (store.samples / "target.png").write_bytes(b"no picture")
    _, findings = judge_stored(tmp_path)
    assert "picture damaged" in Seen(write(findings, store)["html"].read_text(encoding="utf-8")).text


def test_the_report_goes_where_it_is_asked_to_go_and_its_pictures_are_found_from_there(tmp_path: Path) -> None:
    store = fill(tmp_path / "results", study())
    _, findings = judge_stored(tmp_path / "results")
    paths = write(findings, store, tmp_path / "elsewhere" / "deep")
    assert not (tmp_path / "results" / "report").exists()
    addresses = re.findall(r"\(<(.+?\.png)>\)", paths["md"].read_text(encoding="utf-8"))
    assert len(addresses) == 5
    assert all((paths["md"].parent / address).is_file() for address in addresses)
    assert {path.name for path in paths["md"].parent.iterdir()} == {
        "figures",
        *(f"report.{e}" for e in ("html", "md", "tex", "json")),
    }


def test_figures_stand_beside_markdown_and_latex_as_files_that_read_on_light_and_dark(
    tmp_path: Path, drawn: None
) -> None:
    text = written(tmp_path)
    folder = tmp_path / "report"
    vectors = re.findall(r"\(<(figures/.+?\.svg)>\)", text["md"])
    papers = re.findall(r"\\includegraphics\{(.+?\.pdf)\}", text["tex"])
    assert (
        [Path(v).stem for v in vectors]
        == [Path(p).stem for p in papers]
        == [*("forest", "paired", "difference", "course")]
    )
    assert all((folder / p).read_bytes().startswith(b"%PDF") for p in papers)
    for vector in vectors:
        assert ElementTree.parse(folder / vector).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme:dark" in (folder / vector).read_text(encoding="utf-8")


def test_a_table_and_a_figure_reach_every_format_by_a_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: None
) -> None:
    def blocks_table(findings: StudyVerdicts) -> Table | None:
        columns: tuple[Column[ArmSummary], ...] = (
            Column("arm", lambda arm: arm.name, words=True),
            Column("blocks done", lambda arm: f"{arm.blocks}"),
        )
        return table("blocks", "Blocks by arm", "Counted.", columns, findings.arms)

    def blocks_figure(findings: StudyVerdicts) -> Figure:
        def draw(screen: Screen) -> Any:
            drawing, (axes,) = panels_of(screen, 1, height=2)
            axes.bar([arm.name for arm in findings.arms], [arm.blocks for arm in findings.arms])
            return drawing

        return Figure("blocks", "Blocks as bars", "Higher is more.", "bars of blocks", draw)

    monkeypatch.setattr(contents, "CONTENTS", (*contents.CONTENTS, blocks_table, blocks_figure))
    text = written(tmp_path, blocks=2)
    for ending in ("html", "md", "tex"):
        assert "blocks done" in text[ending], ending
        assert "Blocks as bars" in text[ending], ending


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    store = fill(tmp_path, study(), blocks=1)
    _, findings = judge_stored(tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="a file is in the way"):
        write(findings, store, tmp_path / "file")


def test_the_document_has_what_compare_has_and_the_study_beside_it(tmp_path: Path) -> None:
    fill(tmp_path, study(), statuses=FAILED)
    _, findings = judge_stored(tmp_path)
    found = document(findings)
    assert findings.primary is not None
    assert found["contrasts"] == findings.primary.to_dict()["contrasts"]
    assert (found["metric"], found["better"], found["unit"]) == (
        "fid_efficientnet",
        "lower",
        "squared feature distance",
    )
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "spectral_norm=convs", "spectral_norm=convs+heads"]
    assert {a["metric"] for a in found["exploratory"]} == {"ssim"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_report_needs_neither_torch_nor_pyplot_and_the_dashboard_loads_optuna_late(tmp_path: Path) -> None:
    fill(tmp_path, study(), blocks=2)
    code = (
        "import sys; from pathlib import Path; "
        "from harness.verdicts.judge import judge_stored; from harness.report.write import write;"
        "import harness.dashboard;"
        f"store, found = judge_stored(Path({str(tmp_path)!r})); write(found, store);"
        "print([m for m in ('torch', 'optuna', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a|b", "a\\|b"), ("fid_efficientnet", "fid_efficientnet"), ("_x_", "\\_x\\_"), ("two\nlines", "two lines")],
)
def test_markdown_is_escaped_only_where_it_would_mean_something(text: str, shown: str) -> None:
    assert markdown_escaped(text) == shown


def test_latex_is_escaped() -> None:
    assert latex_escaped("50 % of a_b & \\x{~}") == r"50 \% of a\_b \& \textbackslash{}x\{\textasciitilde{}\}"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (short(1885.65, 4), "1,886"),
        (short(60.0512, 4), "60.05"),
        (short(None), NONE),
        (spread(1637.2, 218.3, 3), "1,637 ± 218 (n = 3)"),
        (spread(0.84, None, 1), "0.84 (n = 1)"),
        (duration(0.0342), "34.2 ms"),
        (duration(5400), "1.5 h"),
        (rough_duration(7800), "2 h 10 min"),
        (span(-0.1, 0.2, "raw"), "0.1 lower to 0.2 higher"),
        (between(-0.1, 0.2, "raw"), "between 0.1 lower and 0.2 higher"),
        (span(0.1, 0.2, "raw"), "0.1 to 0.2 higher"),
        (span(None, 0.2, "raw"), "-"),
        (large(5_510_000), "5.51 M"),
        (large(540e6, "B"), "540 MB"),
    ],
)
def test_numbers_are_written_as_people_read_them(shown: str, text: str) -> None:
    assert shown == text


def test_optional_columns_without_any_value_are_left_out_and_no_rows_make_no_table() -> None:
    columns: tuple[Column[tuple[str, ...]], ...] = (
        Column("a", lambda row: row[0], words=True),
        Column("b", lambda row: row[1], optional=True),
        Column("c", lambda row: row[2], optional=True),
        Column("d", lambda row: row[1]),
    )
    made = table("t", "T", "", columns, [("x", NONE, "1"), ("y", "", NONE)])
    assert made is not None
    assert [column.head for column in made.columns] == ["a", "c", "d"]
    assert made.rows == (("x", "1", NONE), ("y", NONE, ""))
    assert table("t", "T", "", columns, []) is None


def test_a_factorial_study_shows_effects_interactions_and_their_picture(tmp_path: Path, drawn: None) -> None:
    asked = study(
        axes={"discriminator.spectral_norm": ["none", "convs"], "discriminator.blur.position": ["none", "input"]},
        design={"kind": "factorial", "blocks": 3},
    )
    files = written(tmp_path, asked=asked)
    seen = Seen(files["html"])
    terms = [effect["term"] for effect in json.loads(files["json"])["effects"]]
    assert terms == ["spectral_norm", "position", "spectral_norm:position"]
    assert all(f"| {term} |" in files["md"] for term in terms)
    assert "fid_efficientnet at each pair of levels of two axes" in {a.get("aria-label") for _, a in seen.tags}


def test_other_designs_show_no_effects(usual: dict[str, str]) -> None:
    assert json.loads(usual["json"])["effects"] == []
    assert "Main effects" not in usual["html"] + usual["md"]


def test_the_card_says_what_each_damage_costs_of_other_images_and_in_margins(tmp_path: Path) -> None:
    store = fill(tmp_path / "pretended", study())
    rungs = [
        {"metric": metric, "damage": damage, "value": value, "undamaged": 0.0, "floor": None}
        for metric, costs in {"fid_efficientnet": (30.0, 120.0), "ssim": (0.0, 0.0)}.items()
        for damage, value in zip(("grain of ±2/255", "all replaced"), costs, strict=True)
    ]
    store.write_file("plan.json", json.dumps({"arms": [], "ladder": rungs}).encode())
    files = {kind: path.read_text(encoding="utf-8") for kind, path in write(judge_stored(store)[1], store).items()}
    text = files["md"]
    mean = json.loads(files["json"])["arms"][0]["values"]["fid_efficientnet"]["mean"]
    assert (
        f"| fid_efficientnet | 0.25 ({30 / (0.1 * mean):.1f} margins) | 1 ({120 / (0.1 * mean):.0f} margins) |" in text
    )
    assert "| ssim | – | – |" in text


def test_a_study_beside_its_replication_says_whether_verdicts_came_again(tmp_path: Path) -> None:
    first, second = study(), study(design={"blocks": 4, "seed": 1})
    for asked, convs in ((first, 48.0), (second, 75.0)):
        store = fill(tmp_path / asked.results_name, asked, fids={**FIDS, "spectral_norm=convs": convs})
        write(judge_stored(store)[1], store)
    store = Store(tmp_path / "pretended")
    text = write(judge_stored(store)[1], store)["md"].read_text(encoding="utf-8")
    [row] = [line for line in text.splitlines() if line.startswith("| spectral_norm=convs |") and "hurts:" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1].startswith("helps: ")
    assert cells[2].startswith("hurts: ")
    assert cells[3] == "0 of 1"
    assert "pretended+seed1" in text


@pytest.mark.parametrize(
    "content", ["no", "[]", '{"contrasts": [1]}', '{"contrasts": [{"arm": "spectral_norm=convs"}]}']
)
def test_a_replication_that_cannot_be_read_ends_no_report(tmp_path: Path, content: str) -> None:
    store = fill(tmp_path / "pretended", study())
    (tmp_path / "pretended+seed1" / "report").mkdir(parents=True)
    (tmp_path / "pretended+seed1" / "report" / "report.json").write_text(content)
    assert write(judge_stored(store)[1], store)["html"].exists()


def test_loaded_results_have_their_verdicts_as_a_frame_and_as_a_figure(tmp_path: Path) -> None:
    asked = study(question=NASTY)
    fill(tmp_path, asked)
    results = harness.load(tmp_path)
    _, findings = judge_stored(tmp_path)
    primary = results.verdicts[results.verdicts["family"] == "primary"]
    assert list(zip(primary["arm"], primary["verdict"], primary["low"], strict=True)) == [
        (c.arm, c.verdict.value, c.ci.low) for c in findings.contrasts
    ]
    assert set(results.verdicts["metric"]) == {"fid_efficientnet", "ssim"}
    (axes,) = results.plot().axes
    assert [label.get_text().replace("\n", "") for label in axes.get_yticklabels()] == list(primary["arm"])
    seen = Seen(results._repr_html_())
    assert NASTY in seen.text
    assert "script" not in {tag for tag, _ in seen.tags}
    assert sum(tag == "tr" for tag, _ in seen.tags) == 3


def test_results_without_a_pair_say_that_there_is_nothing_to_plot(tmp_path: Path) -> None:
    fill(tmp_path, study(), blocks=0)
    results = harness.load(tmp_path)
    assert "No verdict yet" in results._repr_html_()
    assert len(results.verdicts) == 0
    with pytest.raises(StoreError, match="nothing to plot yet"):
        results.plot()
