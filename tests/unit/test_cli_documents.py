from __future__ import annotations

import io
import json
import random
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dummy
import jsonschema
import numpy as np
import pandas as pd
import pretended
import pytest
from tiny import call

from harness import cli
from harness.cli.app import COMMANDS
from harness.cli.documents import DOCUMENTS, json_schema, versioned
from harness.named_draws.activation import matched
from harness.report.write import SCHEMA
from harness.results.store import Store

ROOT = Path(__file__).parents[2]
SILENT = {"schema"}
"""Commands that print JSON whatever is asked."""


def closed(schema: Any) -> Any:
    """Return a schema that takes no further keys, so that a key nobody described is seen."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {name: closed(part) for name, part in schema.items()}
    return {**inside, "additionalProperties": False} if "properties" in schema else inside


def check(text: str, name: str) -> Any:
    document = json.loads(text)
    jsonschema.validate(document, closed(json_schema(name)))
    assert document["schema"] == versioned(name)
    return document


def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in dummy.stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("harness.executors.worker.warm_up", lambda: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a control, a failed trial and looks; two folders of images' features; a table."""
    folder = tmp_path_factory.mktemp("documents")
    study = pretended.study(controls={"negative": "a/a"}, design={"blocks": {"looks": [3, 4]}})
    pretended.fill(folder / "pretended", study, statuses={("spectral_norm=convs", 1): "diverged"}, pictures=False)
    values = np.random.default_rng(0).normal(size=(8, 2))
    np.save(folder / "real.npy", values)
    np.save(folder / "fake.npy", values + 0.1)
    pd.DataFrame({"seed": range(8), "base": values[:, 0], "new": values[:, 1]}).to_csv(
        folder / "table.csv", index=False
    )
    for block, name in enumerate(("a.jsonl", "b.jsonl")):
        with matched(block, trace=folder / name):
            random.random()
    factors = [(a, b, seed, a + 2 * b + seed % 3) for a in (0, 1) for b in (0, 1) for seed in range(3)]
    pd.DataFrame(factors, columns=["A", "B", "seed", "value"]).to_csv(folder / "factorial.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("report", "report {}/pretended"),
        ("report", "report {}/pretended --format json"),
        ("status", "status {}/pretended"),
        ("overview", "report {}/pretended {}/none"),
        ("diff", "diff {}/pretended {}/pretended"),
        ("plan", "plan studies/quickstart.yaml --no-build --results {}/none"),
        ("plan", "plan studies/factorial.yaml --no-build --results {}/none"),
        ("merge", "merge {}/pretended --into {}/merged"),
        ("publish", "publish {}/pretended --into {}/published"),
        ("answers", "answers {}"),
        ("compare", "compare {}/table.csv --baseline base --better lower --margin 0.1"),
        ("compare", "compare {}/factorial.csv --factors A,B --unit seed --better lower"),
        ("score", "score {}/real.npy {}/fake.npy"),
        ("match", "match --compare {}/a.jsonl {}/b.jsonl"),
        ("simulate", "simulate --looks 6,9 --repeats 200"),
        ("explain", "explain"),
        ("explain", "explain discriminator.blur.sigma"),
        ("explain", "explain margin"),
        ("doctor", "doctor"),
    ],
)
def test_a_document_is_what_its_schema_says(
    folder: Path, name: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command.replace("{}", str(folder)))
    done = call(*words, *([] if "--format" in words else ["--json"]))
    assert done.returncode == 0, done.stderr
    check(done.stdout, name)


def test_run_prints_its_document_or_events_that_their_schemas_describe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_training(monkeypatch)
    file = tmp_path / "study.yaml"
    study = dummy.study(2, 2, signals=5).model_dump(mode="json", exclude_defaults=True)
    study["design"] = {"blocks": {"looks": [2, 3]}}
    file.write_text(json.dumps(study))
    done = call("run", file, "--results", tmp_path, "--events")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        jsonschema.validate(line, closed(json_schema("event")))
    kinds = [line["event"] for line in lines]
    assert kinds[:2] == ["stage", "planned"]
    assert kinds.count("trial") == kinds.count("started") == 6
    assert [(line["number"], line["of"]) for line in lines if line["event"] == "look"] == [(1, 2), (2, 2)]
    assert kinds[-1] == "verdict"
    again = call("run", file, "--results", tmp_path, "--json")
    assert check(again.stdout, "run")["contrasts"][0]["arm"] == lines[-1]["arm"]


def test_an_error_is_json_with_code_place_and_way_out(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("study: x\nmeasure: {targets: 3}\naxes: {discriminator.spectral_norm: [none, conv]}\n")
    document = check(call("plan", file, "--json").stdout, "error")
    assert (document["code"], document["kind"]) == (2, "StudyError")
    assert document["problems"] == [
        {
            "place": f"{file}: line 2: measure.targets",
            "found": "no such setting",
            "way_out": "did you mean 'data.targets'?",
        },
    ]
    usage = check(call("simulate", "--repeats", "1", "--json").stdout, "error")
    assert (usage["code"], usage["kind"], usage["problems"][0]["place"]) == (2, "UsageError", "--repeats")
    missing = check(call("report", tmp_path / "none", "--results", tmp_path, "--json").stdout, "error")
    assert "python -m harness run" in missing["problems"][0]["way_out"]


def test_a_defect_of_ours_is_json_with_code_70(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("harness.terminal.doctor.examine", broken)
    document = check(call("doctor", "--json").stdout, "error")
    assert (document["code"], document["kind"]) == (cli.DEFECT, "KeyError") == (70, "KeyError")


def test_where_no_contrast_can_be_judged_run_ends_with_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_training(monkeypatch)
    study = dummy.study(2, 2)
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(study.model_dump(mode="json", exclude_defaults=True)))
    lost = {("baseline", block): "failed" for block in range(2)}
    pretended.fill(tmp_path / "load", study, statuses=lost, pictures=False)
    monkeypatch.setattr("harness.driver.driver.code_version", lambda *_: "")
    assert len(Store(tmp_path / "load").done()) == 4
    assert call("run", file, "--results", tmp_path).returncode == cli.WRONG_INPUT


@pytest.mark.parametrize("name", DOCUMENTS)
def test_published_schemas_are_what_the_code_says(name: str) -> None:
    file = ROOT / "docs" / "schemas" / f"{name}.json"
    schema = json_schema(name)
    assert json.loads(file.read_text()) == schema, f"make it anew: python -m harness schema {name} > {file}"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_command_has_a_json_document_a_line_on_the_page_and_an_example_for_agents() -> None:
    page = (ROOT / "docs" / "json.md").read_text()
    agents = (ROOT / "AGENTS.md").read_text()
    for command in COMMANDS:
        name = command.__name__
        assert name in SILENT or "as_json" in command.__annotations__, name
        assert f"`{name}" in page, name
        assert re.search(rf"python -m harness {name}\b", agents), name
    assert all(f"schemas/{name}.json" in page for name in DOCUMENTS)
    assert versioned("report") == SCHEMA


def test_a_report_is_printed_in_the_form_that_is_asked_for(folder: Path) -> None:
    printed = {
        form: call("report", folder / "pretended", "--format", form).stdout
        for form in ("markdown", "csv", "latex", "html")
    }
    assert printed["markdown"].startswith("# Does spectral normalisation help?\n\n**")
    assert "![" not in printed["markdown"]
    table = pd.read_csv(io.StringIO(printed["csv"]))
    assert set(table["arm"]) == {"spectral_norm=convs", "spectral_norm=convs+heads"}
    assert set(table["metric"]) == {"fid_efficientnet", "ssim"}
    assert printed["latex"].lstrip().startswith("%") or "\\begin" in printed["latex"]
    assert printed["html"].lower().startswith("<!doctype html>")
    assert call("report", folder / "pretended", "--format", "csv", "--json").returncode == 2
