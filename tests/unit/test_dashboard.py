from __future__ import annotations

import dataclasses
import html
import json
import math
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import FrozenTrial, TrialState
from PIL import Image
from pretended import SHOWN, SIZE, fill, study
from tiny import wait_until

from harness.dashboard import Mirror, serve
from harness.dashboard.note import note, verdict_in_short
from harness.dashboard.panels import arm_colours, panels
from harness.dashboard.quiet import quiet
from harness.dashboard.serving import opened, titled
from harness.dashboard.trial_picture import ENLARGED, GAP, sample_grid
from harness.errors import HarnessError, MissingExtraError, StoreError
from harness.results.store import Store
from harness.verdicts.judge import judge_stored

ASKED = study(
    axes={"discriminator.spectral_norm": ["none", "convs"]}, design={"blocks": 3}, question="Does *it* | help?"
)
STATUSES = {("spectral_norm=convs", 1): "diverged", ("spectral_norm=convs", 2): "collapsed"}


def mirrored(mirror: Mirror) -> dict[str, FrozenTrial]:
    found = optuna.load_study(study_name=mirror.study.results_name, storage=mirror.storage())
    return {trial.user_attrs["trial_id"]: trial for trial in found.get_trials()}


def said(mirror: Mirror) -> dict[str, Any]:
    return {
        key: (t.state, t.values, t.params, t.distributions, t.user_attrs, t.intermediate_values)
        for key, t in sorted(mirrored(mirror).items())
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fill(tmp_path / "pretended", ASKED, statuses=STATUSES)


def test_every_row_becomes_a_trial_with_levels_values_costs_and_course(store: Store) -> None:
    mirror = Mirror(ASKED, store)
    assert mirror.sync() == 6
    trials = mirrored(mirror)
    rows = store.trials().set_index("trial_id")
    assert set(trials) == set(rows.index)
    one = trials["b000-spectral_norm=convs"]
    row = rows.loc["b000-spectral_norm=convs"]
    assert one.params == {"discriminator.spectral_norm": "convs"}
    assert one.distributions["discriminator.spectral_norm"].to_external_repr(0) == "none"
    assert one.values == [row["fid_efficientnet"]]
    assert sorted(one.intermediate_values) == [99, 201, 300]
    assert one.intermediate_values[300] == row["fid_efficientnet"]
    for name in ("arm", "block", "status", "fid_efficientnet", "ssim", "parameters_d", "seconds_per_step"):
        assert one.user_attrs[name] == row[name]
    assert one.duration is not None
    assert one.duration.total_seconds() == pytest.approx(12.5)


def test_trials_without_a_value_fail_and_say_why_and_collapsed_ones_keep_theirs(store: Store) -> None:
    mirror = Mirror(ASKED, store)
    mirror.sync()
    trials = mirrored(mirror)
    diverged, collapsed = trials["b001-spectral_norm=convs"], trials["b002-spectral_norm=convs"]
    assert (diverged.state, diverged.values) == (TrialState.FAIL, None)
    assert diverged.user_attrs["status"] == "diverged"
    assert "fid_efficientnet" not in diverged.user_attrs
    assert (collapsed.state, collapsed.user_attrs["status"]) == (TrialState.COMPLETE, "collapsed")


@pytest.mark.parametrize(("metric", "direction"), [("fid_efficientnet", "MINIMIZE"), ("ssim", "MAXIMIZE")])
def test_the_study_knows_direction_and_name_of_the_primary_metric(tmp_path: Path, metric: str, direction: str) -> None:
    asked = study(measure={"primary": metric, "margin": "10%"}, design={"blocks": 1})
    mirror = Mirror(asked, fill(tmp_path, asked, pictures=False))
    mirror.sync()
    found = optuna.load_study(study_name=asked.study, storage=mirror.storage())
    assert found.direction.name == direction
    assert found.metric_names == [metric]


def test_the_sample_grid_is_the_first_artifact_of_each_trial(store: Store) -> None:
    mirror = Mirror(ASKED, store)
    mirror.sync()
    storage = mirror.storage()
    for trial_id, trial in mirrored(mirror).items():
        (meta,) = get_all_artifact_meta(trial, storage=storage)
        assert (meta.mimetype, meta.filename) == ("image/png", f"{trial_id}.png")
        with Image.open(store.folder / "artifacts" / meta.artifact_id) as grid:
            assert grid.size == (SIZE * SHOWN // 2 * ENLARGED, (6 * SIZE + 5 * GAP) * ENLARGED)


def test_a_second_sync_writes_no_trial(store: Store) -> None:
    Mirror(ASKED, store).sync()
    mirror = Mirror(ASKED, store)
    assert mirror.sync() == 0
    assert len(mirrored(mirror)) == 6


def test_sync_adds_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    store = fill(tmp_path, ASKED, blocks=1)
    Mirror(ASKED, store).sync()
    fill(tmp_path, ASKED, blocks=3)
    mirror = Mirror(ASKED, store)
    assert mirror.sync() == 4
    assert [t.number for t in sorted(mirrored(mirror).values(), key=lambda t: t.user_attrs["block"])] == list(range(6))


@pytest.mark.parametrize("where", ["journal", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_a_mirror_that_says_something_else_than_the_rows_is_made_anew(store: Store, tmp_path: Path, where: str) -> None:
    url = None if where == "journal" else f"sqlite:///{tmp_path / 'mirror.db'}"
    Mirror(ASKED, store, url).sync()
    wanted = said(Mirror(ASKED, store, url))
    study_there = optuna.load_study(study_name=ASKED.study, storage=Mirror(ASKED, store, url).storage())
    study_there.add_trial(optuna.trial.create_trial(value=0.0, user_attrs={"trial_id": "somebody's own"}))
    mirror = Mirror(ASKED, store, url)
    assert mirror.sync() == 6
    assert said(mirror) == wanted
    (store.folder / "trials" / "b002-baseline.parquet").unlink()
    assert Mirror(ASKED, store, url).sync() == 5


@pytest.mark.parametrize("damage", ["gone", "empty", "half a line", "garbage", "binary"])
def test_a_missing_or_damaged_journal_is_made_anew(store: Store, damage: str) -> None:
    mirror = Mirror(ASKED, store)
    mirror.sync()
    wanted, content = said(mirror), mirror.journal.read_bytes()
    match damage:
        case "gone":
            mirror.journal.unlink()
        case "empty":
            mirror.journal.write_bytes(b"")
        case "half a line":
            mirror.journal.write_bytes(content[:-30])
        case "garbage":
            mirror.journal.write_bytes(content.replace(b"\n", b"\n}{\n", 3))
        case "binary":
            mirror.journal.write_bytes(bytes(range(256)) * 20 + b"\n")
    again = Mirror(ASKED, store)
    assert again.sync() == 6
    assert said(again) == wanted


@pytest.mark.timeout(25)
def test_a_lock_left_by_a_killed_process_does_not_hold_up_the_next(store: Store) -> None:
    mirror = Mirror(ASKED, store)
    mirror.sync()
    Path(f"{mirror.journal}.lock").symlink_to(mirror.journal)
    again = Mirror(ASKED, store)
    again.journal.unlink()
    assert again.sync() == 6


def test_an_artifact_whose_file_is_gone_gets_it_again(store: Store) -> None:
    Mirror(ASKED, store).sync()
    before = sorted(path.name for path in (store.folder / "artifacts").iterdir())
    for path in (store.folder / "artifacts").iterdir():
        path.unlink()
    assert Mirror(ASKED, store).sync() == 0
    assert sorted(path.name for path in (store.folder / "artifacts").iterdir()) == before


def test_a_trial_without_pictures_or_with_a_damaged_one_is_mirrored_without(store: Store) -> None:
    (store.samples / "b000-baseline.png").unlink()
    (store.samples / "b001-baseline.png").write_bytes(b"no picture")
    assert sample_grid(store, "b000-baseline") is None
    mirror = Mirror(ASKED, store)
    assert mirror.sync() == 6
    assert mirror.sync() == 0
    assert len(list((store.folder / "artifacts").iterdir())) == 4


def test_verdicts_title_the_study_and_are_panels_of_its_first_page_in_the_arms_colours(tmp_path: Path) -> None:
    asked = study(measure={"margin": "10%"}, design={"blocks": 6})
    mirror = Mirror(asked, fill(tmp_path, asked, pictures=False))
    mirror.sync()
    said = "spectral_norm=convs: helps · spectral_norm=convs+heads: negligible"
    with quiet():
        assert optuna.load_study(study_name=asked.study, storage=mirror.storage()).user_attrs["verdict"] == said
        (listed,) = titled(mirror.storage()).get_all_studies()
    assert listed.study_name == f"pretended – {said}"
    findings = judge_stored(tmp_path)[1]
    drawn = panels(findings)
    assert list(drawn) == ["verdicts", "blocks", "curves"]
    dots = [trace for trace in drawn["verdicts"].data if trace.mode == "markers"]
    assert [trace.x[0] for trace in dots] == [math.expm1(c.estimate) * 100 for c in findings.contrasts]
    assert [(line.name, len(line.x)) for line in drawn["blocks"].data] == [(f"block {b}", 3) for b in range(6)]
    colours = arm_colours(findings)
    assert {line.name: line.line.color for line in drawn["curves"].data} == colours
    assert list(drawn["blocks"].data[0].marker.color) == list(colours.values())


def test_more_than_three_arms_are_counted_in_the_title_and_a_failed_control_is_said(tmp_path: Path) -> None:
    findings = judge_stored(fill(tmp_path, study(design={"blocks": 6}), pictures=False))[1]
    many = dataclasses.replace(
        findings, primary=dataclasses.replace(findings.primary, contrasts=findings.contrasts * 2)
    )
    assert verdict_in_short(many) == "2 × helps · 2 × negligible"
    failed = SimpleNamespace(kind="negative", passed=False)
    assert verdict_in_short(dataclasses.replace(findings, controls=(failed,))).startswith("CONTROL FAILED · ")
    assert verdict_in_short(dataclasses.replace(findings, primary=None)) == "no verdict yet"


def test_the_note_gives_the_verdicts_and_warns_of_importance_and_best_trial(tmp_path: Path) -> None:
    fill(tmp_path, ASKED)
    text = note(judge_stored(tmp_path)[1])
    assert "| spectral_norm=convs |" in text
    assert "helps" in text
    assert "Does \\*it\\* \\| help?" in text
    assert "Hyperparameter importance is no effect size" in text
    assert "luckiest block" in text


def test_the_note_is_on_the_study(store: Store) -> None:
    import optuna_dashboard

    mirror = Mirror(ASKED, store)
    mirror.sync()
    found = optuna.load_study(study_name=ASKED.study, storage=mirror.storage())
    assert optuna_dashboard.get_note(found) == note(judge_stored(store.folder)[1])


@contextmanager
def served(store: Store, *, edits: bool = False) -> Iterator[HTTPConnection]:
    with opened(store.folder, edits=edits) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        with closing(HTTPConnection("127.0.0.1", server.bind_addr[1], timeout=20)) as connection:
            yield connection
    thread.join(20)


def answer(connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Send one request, its Host as given or the connection's own, and return status and document."""
    text = None if body is None else json.dumps(body)
    given = {name.title(): value for name, value in headers.items()} | {"Content-Type": "application/json"}
    connection.request(method, path, text, given)
    response = connection.getresponse()
    content = response.read()
    kind = response.headers.get("Content-Type", "")
    return response.status, json.loads(content) if content and "json" in kind else content.decode()


def own(connection: HTTPConnection) -> str:
    return f"http://127.0.0.1:{connection.port}"


STUDY = "/api/studies/0?after=0"
RENAME = ("POST", "/api/studies/0/rename", {"study_name": "another"})
WRITES = (
    RENAME,
    ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
    ("PUT", "/api/studies/0/note", {"body": "so", "version": 99}),
    ("DELETE", "/api/studies/0", None),
)


def test_the_server_answers_on_a_free_loopback_port_and_rebuilds_a_missing_mirror(store: Store) -> None:
    with served(store) as connection:
        status, found = answer(connection, "GET", STUDY)
    assert status == 200
    assert len(found["trials"]) == 6
    assert found["name"].startswith("pretended – spectral_norm=convs: ")


def test_the_first_page_leads_with_the_verdicts_and_then_into_optunas_pages(store: Store) -> None:
    with served(store) as connection:
        status, page = answer(connection, "GET", "/")
        assert status == 200
        assert answer(connection, "GET", "/report")[0] == 200
        assert answer(connection, "POST", "/")[0] == 403
        links = re.findall(r'href="(/dashboard/[^"]*)"', page)
        assert links[0] == "/dashboard/studies/0"
        assert all(answer(connection, "GET", link)[0] == 200 for link in links)
    title = html.unescape(re.search(r"<h1>(.*?)<", page)[1])
    assert title.startswith("pretended: spectral_norm=convs: ")
    assert page.index("<h1>") < page.index("<table") < page.index("no effect size") < page.index("<figure")
    assert "<script" not in page
    assert "Does *it* | help?" in page


def test_the_server_answers_to_the_names_of_this_machine_only(store: Store) -> None:
    with served(store) as connection:
        port = connection.port
        for host in ("127.0.0.1", "localhost", "[::1]", f"127.0.0.1:{port}", f"LOCALHOST:{port}", "localhost:9000"):
            assert answer(connection, "GET", STUDY, host=host)[0] == 200, host
        strangers = ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "localhost.", "0.0.0.0")
        for host in (*strangers, f"localhost:{port}@evil.example", "127.0.0.1:", "[::1]:x", "::1", "127.1"):
            assert answer(connection, "GET", STUDY, host=host)[0] in (400, 403), host
            assert answer(connection, "GET", "/dashboard/", host=host)[0] in (400, 403), host


def test_a_page_elsewhere_reads_nothing(store: Store) -> None:
    with served(store) as connection:
        for origin in ("http://evil.example", "null", "https://127.0.0.1", f"http://127.0.0.1:{connection.port + 1}"):
            assert answer(connection, "GET", STUDY, origin=origin)[0] == 403, origin
        assert answer(connection, "GET", STUDY, origin=own(connection))[0] == 200


def test_the_dashboard_is_read_only_unless_edits_are_allowed(store: Store) -> None:
    with served(store) as connection:
        for method, path, body in WRITES:
            status, said = answer(connection, method, path, body, origin=own(connection))
            assert (status, "--allow-edits" in said) == (403, True), path
        assert answer(connection, "GET", STUDY)[1]["name"].startswith("pretended – ")


def test_with_edits_allowed_only_the_dashboards_own_pages_write(store: Store) -> None:
    with served(store, edits=True) as connection:
        for method, path, body in WRITES:
            assert answer(connection, method, path, body)[0] == 403, path
            assert answer(connection, method, path, body, origin="http://evil.example")[0] == 403, path
        assert answer(connection, "GET", STUDY)[1]["name"].startswith("pretended – ")
        assert answer(connection, *RENAME, origin=own(connection))[0] < 300
        assert [found["study_name"] for found in answer(connection, "GET", "/api/studies")[1]["study_summaries"]] == [
            "another – spectral_norm=convs: inconclusive"
        ]


def test_no_page_may_frame_the_dashboard_or_read_it_as_another_type(store: Store) -> None:
    with served(store) as connection:
        connection.request("GET", "/dashboard/")
        response = connection.getresponse()
        response.read()
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_one_slow_request_does_not_hold_up_the_others(store: Store) -> None:
    with served(store) as connection, socket.create_connection(("127.0.0.1", connection.port)) as slow:
        slow.sendall(b"GET /api/studies HTTP/1.1\r\n")
        assert answer(connection, "GET", STUDY)[0] == 200


def shown(mirror: Mirror) -> int:
    """Count as a page does, which sees nothing in the moment in which the mirror is made anew."""
    try:
        return len(mirrored(mirror))
    except KeyError:
        return 0


@pytest.mark.slow
def test_the_mirror_is_kept_in_step_while_a_driver_writes_and_somebody_watches(tmp_path: Path) -> None:
    store = fill(tmp_path, ASKED, blocks=1)
    mirror, said = Mirror(ASKED, store), list[str]()
    with store.held(), mirror.followed(said.append, every=0.01):
        wait_until(lambda: said or shown(mirror) == 2)
        fill(tmp_path, ASKED, blocks=3)
        wait_until(lambda: said or shown(mirror) == 6)
        with mirror.followed(said.append):  # a second dashboard only shows
            pass
    assert said == []


@pytest.mark.parametrize("harm", ["study deleted", "journal damaged", "journal deleted", "artifacts removed"])
@pytest.mark.slow
def test_a_mirror_that_is_harmed_while_somebody_watches_is_made_anew(store: Store, harm: str) -> None:
    mirror = Mirror(ASKED, store)
    with served(store) as connection, quiet():
        assert len(answer(connection, "GET", STUDY)[1]["trials"]) == 6
        match harm:
            case "study deleted":
                optuna.delete_study(study_name=ASKED.study, storage=mirror.storage())
            case "journal damaged":
                mirror.journal.write_bytes(b"}{\n")
            case "journal deleted":
                mirror.journal.unlink()
            case "artifacts removed":
                shutil.rmtree(store.folder / "artifacts")
                fill(store.folder, study(axes=ASKED.axes, design={"blocks": 4}))
        wanted = 8 if harm == "artifacts removed" else 6
        wait_until(lambda: len((answer(connection, "GET", STUDY)[1] or {}).get("trials", ())) == wanted)


def test_a_mirror_that_cannot_be_written_is_one_line_and_is_shown_as_soon_as_it_can(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, mirror, sync = list[str](), Mirror(ASKED, store), Mirror.sync

    def full(_: Mirror) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mirror, "sync", full)
    with mirror.followed(said.append, every=0.01):
        wait_until(lambda: said)
        monkeypatch.setattr(Mirror, "sync", sync)
        wait_until(lambda: mirror.journal.exists() and shown(mirror) == 6)
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert "the rows are safe" in said[0]


@pytest.mark.parametrize("port", [80_000, -1])
def test_a_number_that_is_no_port_is_one_clear_error(store: Store, port: int) -> None:
    with pytest.raises(HarnessError, match=f"--port {port}: a port is a number from 1 to 65535"):
        serve(store.folder, port)


def test_a_port_that_is_taken_is_one_clear_error(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(HarnessError, match=r"--port .*0 takes a free one"):
            serve(store.folder, port=taken.getsockname()[1])


def test_a_folder_without_a_study_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        serve(tmp_path, port=0)


def test_without_the_dashboard_package_the_mirror_works_and_serving_says_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert Mirror(ASKED, store).sync() == 6
    with pytest.raises(MissingExtraError, match=r"pip install 'gan-ablation-harness\[dashboard\]'"):
        serve(store.folder, port=0)
