from __future__ import annotations

import json

import pytest
import tiny

from harness.cli import main
from harness.errors import HarnessError
from harness.report.words import HEALTH, VERDICTS, WORDS, explained, glossary_page
from harness.statistics import Verdict
from harness.study.explain import explain, render_explanation, settings
from harness.study.problems import setting_paths
from harness.study.study import Study
from harness.verdicts.health import FLOOR_SHARE, Health


def test_every_property_of_the_schema_has_a_description() -> None:
    schema = Study.model_json_schema()
    groups = {"Study": schema, **schema["$defs"]}
    properties = {f"{g}.{name}": node for g, group in groups.items() for name, node in group["properties"].items()}
    assert len(properties) > 150
    assert not [name for name, node in properties.items() if len(node.get("description", "")) < 8]


def test_every_setting_is_explained_with_its_values_and_default() -> None:
    for path in sorted(setting_paths(Study)):
        for one in explain(path):
            assert one.meaning, path
            assert "anything" not in one.values or path.startswith("axes"), path
            assert one.settings or one.required or one.default is not None or "null" in one.values, path


def test_a_setting_is_shown_with_meaning_range_default_and_how_to_vary_it() -> None:
    text = render_explanation(explain("discriminator.blur.sigma"))
    assert text.splitlines()[:5] == [
        "discriminator.blur.sigma",
        "  Standard deviation in pixels.",
        "  where    discriminator.kind is zi2zi or dcgan",
        "  values   a number above 0",
        "  default  1.0",
    ]
    assert "axes: {discriminator.blur.sigma:" in text
    assert "axes:" not in render_explanation(explain("runner.gpus"))


def test_a_setting_that_differs_by_kind_is_explained_for_each() -> None:
    of_kind = {kind: one for one in explain("data.path") for kind in one.kinds["data.kind"]}
    assert {"pairs", "images", "classes"} <= set(of_kind)
    assert of_kind["pairs"].meaning != of_kind["images"].meaning
    assert of_kind["pairs"].required


def test_a_group_lists_what_is_in_it() -> None:
    (blur,) = explain("discriminator.blur")
    assert list(blur.settings) == ["position", "kernel_size", "sigma", "fade"]
    blocks = render_explanation(explain("design.blocks"))
    assert "looks" in blocks
    assert "values   a whole number from 1 or a group of settings" in blocks
    assert list(settings())[:2] == ["data", "generator"]


@pytest.mark.parametrize(
    ("typed", "near"),
    [("discriminator.blur.sigmaa", "discriminator.blur.sigma"), ("measure.primaryy", "measure.primary")],
)
def test_an_unknown_setting_names_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(HarnessError, match=f"no setting '{typed}'; did you mean '{near}'"):
        explain(typed)


def test_the_command_prints_it_for_people_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["explain", "training.loss.l1", "--json"])
    printed = capsys.readouterr()
    (document,) = json.loads(printed.out)["settings"]
    assert (document["setting"], document["default"]) == ("training.loss.l1", 100.0)
    assert "values   a number from 0" in printed.err
    with pytest.raises(SystemExit, match="0"):
        main(["explain"])
    assert "measure" in capsys.readouterr().out


def test_every_verdict_and_every_health_is_a_word_that_is_explained() -> None:
    assert {*map(str, Verdict), *map(str, Health)} <= set(WORDS)
    assert not set(WORDS) & set(settings())
    done = tiny.call("explain", "not sensitive")
    assert (done.returncode, WORDS["not sensitive"] in done.stdout.replace("\n", " ")) == (0, True)


def test_the_page_of_words_is_what_the_glossary_says_and_agrees_with_the_code() -> None:
    page = (tiny.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert page == glossary_page(), "make it anew: its first lines say how"
    assert f"more than {FLOOR_SHARE:.0%}".replace("%", " %") in WORDS["too few images"]
    assert [word for word, _ in VERDICTS] == list(Verdict)
    assert [word for word, _ in HEALTH] == list(reversed(Health))


def test_words_are_explained_where_they_first_stand_and_the_text_stays_as_it_is() -> None:
    text = "The margins of all pairs: a pair inside the margin, by a p-value; nopair, 'look.at'."
    pieces = list(explained(text))
    assert "".join(piece for piece, _ in pieces) == text
    assert [(piece, word.word) for piece, word in pieces if word] == [
        ("margins", "margin"),
        ("pairs", "paired difference"),
    ]


def test_every_setting_has_a_description() -> None:
    schema = Study.model_json_schema()
    groups = {"study": schema, **schema["$defs"]}
    described = {
        f"{name}.{setting}": of.get("description", "")
        for name, group in groups.items()
        for setting, of in group.get("properties", {}).items()
    }
    assert [setting for setting, words in described.items() if not words.strip()] == []
    assert len(described) > 150
