"""Results at a URI: a memory file system for the laws, and a real S3 server on loopback for whole commands."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import dummy
import fsspec
import pytest
import tiny
import yaml

import harness
from harness.driver import Stored
from harness.errors import HarnessError, MissingExtraError, StoreError
from harness.results.remote import Remote, working_copy

URI = "memory://results"


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, formula: None) -> Iterator[None]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "caches"))
    yield
    fsspec.filesystem("memory").store.clear()


def run(results: str, blocks: int = 3) -> list[str]:
    """Run a study with the formula in the place of the training, and return what was computed."""
    happened = dummy.drive(dummy.study(2, blocks), results, executor=dummy.Formula())
    return [event.task.trial_id for event in happened if isinstance(event, Stored)]


def there() -> set[str]:
    return {path.removeprefix("/results/load/") for path in fsspec.filesystem("memory").find("/results")}


def test_every_file_of_a_study_is_at_its_uri_and_the_holder_is_gone(tmp_path: Path) -> None:
    run(URI)
    names = {
        f"{table}/b00{block}-{arm}.parquet"
        for table in ("trials", "measurements", "signals")
        for block in range(3)
        for arm in ("baseline", "lr=0.0002")
    }
    assert {name for name in there() if name.endswith(".parquet")} == names
    assert {"study.json", "environment.json", "plan.json"} <= there()
    assert not [name for name in there() if name.startswith(".")]


def test_rows_at_a_uri_equal_those_in_a_folder(tmp_path: Path) -> None:
    run(URI)
    run(str(tmp_path / "here"))
    at_uri, here = harness.load(f"{URI}/load"), harness.load(tmp_path / "here" / "load")
    same = ["trial_id", "arm", "block", "status", "fid_efficientnet"]
    assert at_uri.trials[same].equals(here.trials[same])
    assert len(at_uri.signals) == len(here.signals) > 0


def test_another_machine_goes_on_from_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(URI, blocks=2)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "another machine"))
    assert run(URI, blocks=3) == ["b002-baseline", "b002-lr=0.0002"]


def test_what_an_interruption_left_unsent_is_sent(tmp_path: Path) -> None:
    run(URI)
    before = there()
    files = fsspec.filesystem("memory")
    files.rm("/results/load/trials/b001-lr=0.0002.parquet")
    files.rm("/results/load/signals/b001-lr=0.0002.parquet")
    run(URI)
    assert there() == before


def test_a_row_is_sent_after_the_rest_of_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    put = Remote.put
    monkeypatch.setattr(Remote, "put", lambda self, name, content: (sent.append(name), put(self, name, content)))
    run(URI, blocks=1)
    order = [name.partition("/")[0] for name in sent if name.endswith("b000-baseline.parquet")]
    assert order == ["signals", "measurements", "trials"]


@pytest.mark.parametrize("here", [False, True])
def test_a_driver_at_work_elsewhere_or_here_is_named(here: bool) -> None:
    alive = f"process {os.getpid()} on {socket.gethostname()}" if here else "process 7 on elsewhere"
    holder = f"{alive} since 2026-01-02 03:04 UTC"
    fsspec.filesystem("memory").pipe_file("/results/load/.holder", holder.encode())
    with pytest.raises(StoreError, match=rf"in use by {holder}.*delete \.holder"):
        run(URI)
    assert ".holder" in there()


def test_a_driver_of_this_machine_that_was_killed_is_not_in_the_way() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    holder = f"process {gone.pid} on {socket.gethostname()} since 2026-01-02 03:04 UTC"
    fsspec.filesystem("memory").pipe_file("/results/load/.holder", holder.encode())
    run(URI)
    assert ".holder" not in there()


def test_a_damaged_file_at_the_uri_is_replaced() -> None:
    run(URI)
    files = fsspec.filesystem("memory")
    whole = files.cat_file("/results/load/trials/b001-lr=0.0002.parquet")
    files.pipe_file("/results/load/trials/b001-lr=0.0002.parquet", whole[:-9])
    run(URI)
    assert len(files.cat_file("/results/load/trials/b001-lr=0.0002.parquet")) > len(whole) - 9
    assert len(harness.load(f"{URI}/load").trials) == 6


def test_a_uri_that_fails_is_one_message_and_the_next_run_sends_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    put, calls = Remote.put, []

    def failing(self: Remote, name: str, content: bytes) -> None:
        calls.append(name)
        if len(calls) > 8:
            monkeypatch.setattr(fsspec.filesystem("memory").__class__, "open", broken, raising=True)
        put(self, name, content)

    def broken(*_: object, **__: object) -> None:
        raise ConnectionError("connection reset")

    opened = fsspec.filesystem("memory").__class__.open
    monkeypatch.setattr(Remote, "put", failing)
    with pytest.raises(StoreError, match=r"memory://results/load: cannot be reached .*connection reset.*run` again"):
        run(URI)
    monkeypatch.setattr(Remote, "put", put)
    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "open", opened)
    run(URI)
    assert len({name for name in there() if name.startswith("trials/")}) == 6


@pytest.mark.parametrize(
    ("uri", "error", "said"),
    [
        ("nonsense://x", HarnessError, "nonsense://x/load: .*rotocol"),
        ("dropbox://x", MissingExtraError, "dropbox://x/load: .*(?i:install)"),
    ],
)
def test_a_uri_that_cannot_be_opened_is_said_at_once(uri: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        run(uri)


def test_a_file_uri_is_its_folder(tmp_path: Path) -> None:
    assert working_copy(f"file://{tmp_path}/with%20space") == tmp_path / "with space"
    run(f"file://{tmp_path}/there")
    assert len(harness.load(tmp_path / "there" / "load").trials) == 6


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a real S3 server of this machine, with a bucket."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        for _ in range(300):
            assert server.poll() is None
            try:
                urlopen(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        make = "import s3fs; s3fs.S3FileSystem().mkdir('bucket')"
        subprocess.run([sys.executable, "-c", make], check=True, env={**os.environ, **environment})
        yield environment
    finally:
        server.kill()
        server.wait()
        log.close()


def command(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command on a machine, which is a folder of its own for what is kept of URIs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**(environment or {}), "HARNESS_CACHE": str(folder)}.items():
            patch.setenv(name, value)
        return tiny.call(*arguments)


@pytest.mark.parametrize("uri", [URI, pytest.param("s3://bucket/results", marks=pytest.mark.slow)])
def test_commands_at_a_uri(uri: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    s3 = request.getfixturevalue("s3") if uri.startswith("s3") else {}
    file = tmp_path / "load.yaml"
    file.write_text(yaml.safe_dump(dummy.study(2, 2).model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    done = command("run", str(file), "--results", uri, "--json", folder=tmp_path / "one", environment=s3)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials_done"] == 4
    status = command("status", f"{uri}/load", folder=tmp_path / "two", environment=s3)
    assert status.returncode == 0, status.stderr
    assert "4 of 4 trials" in status.stdout
    again = command("run", str(file), "--results", uri, "--json", folder=tmp_path / "three", environment=s3)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["contrasts"] == json.loads(done.stdout)["contrasts"]
    report = command("report", "load", "--results", uri, folder=tmp_path / "two", environment=s3)
    assert report.returncode == 0, report.stderr


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_message(s3: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "load.yaml"
    file.write_text(yaml.safe_dump(dummy.study(2, 2).model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    for arguments in (("status", "s3://no-such-bucket/load"), ("run", str(file), "--results", "s3://no-such-bucket")):
        refused = command(*arguments, folder=tmp_path / "machine", environment=s3)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        assert "no-such-bucket" in refused.stderr
