"""The dashboard's server, on this machine only."""

from __future__ import annotations

import copy
import functools
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.dashboard.first_page import FirstPages
from harness.dashboard.mirror import VERDICT, Mirror
from harness.dashboard.quiet import quiet
from harness.dashboard.request_guard import Application, Environ, RequestGuard, StartResponse
from harness.errors import HarnessError, MissingExtraError
from harness.results.store import Store

if TYPE_CHECKING:
    from cheroot.wsgi import Server
    from optuna.storages import BaseStorage
    from optuna.study._frozen import FrozenStudy

ADDRESS = "127.0.0.1"
THREADS = 8
MOST_HEADER_BYTES, MOST_BODY_BYTES = 1 << 16, 1 << 25


def serve(
    study_folder: Path,
    port: int = 8080,
    *,
    url: str | None = None,
    edits: bool = False,
    announce: Callable[[str], object] = lambda _: None,
    ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Open the dashboard on a study until it is interrupted; the mirror is kept in step with the rows.

    Args:
        study_folder: A study's results.
        port: On 127.0.0.1; 0 takes a free one.
        url: The mirror's storage where it is not the journal.
        edits: Let the dashboard's pages change the mirror.
        announce: Called with a line where the mirror cannot be kept in step.
        ready: Called with the address once it answers.

    Raises:
        MissingExtraError: optuna-dashboard or its server is not installed.
        StoreError: The folder holds no study.
        HarnessError: The port is none, or taken.
    """
    with opened(study_folder, port, url=url, edits=edits, announce=announce) as server:
        ready(f"{address(server)}/")
        try:
            server.serve()
        except KeyboardInterrupt:
            return


def titled(storage: BaseStorage) -> BaseStorage:
    """Let a storage list each study with its verdict behind its name, and return it; names are taken as they were."""
    listed = storage.get_all_studies

    def with_verdicts() -> list[FrozenStudy]:
        studies = [copy.copy(study) for study in listed()]
        for study in studies:
            if verdict := study.user_attrs.get(VERDICT):
                study.study_name = f"{study.study_name} – {verdict}"
        return studies

    # The dashboard takes Optuna's own classes of storages only, and lists studies by this method alone.
    storage.get_all_studies = with_verdicts  # type: ignore[method-assign]
    return storage


@contextmanager
def opened(
    study_folder: Path,
    port: int = 0,
    *,
    url: str | None = None,
    edits: bool = False,
    announce: Callable[[str], object] = lambda _: None,
) -> Iterator[Server]:
    """Give the dashboard's HTTP server, bound and ready to `serve`; it is stopped after.

    Arguments and errors as of `serve`.
    """
    if not 0 <= port <= 65535:
        raise HarnessError(f"--port {port}: a port is a number from 1 to 65535; 0 takes a free one")
    try:
        with quiet():
            from cheroot.wsgi import Server
            from optuna_dashboard import wsgi
    except ImportError as error:
        way = "pip install 'gan-ablation-harness[dashboard]'"
        raise MissingExtraError(f"dashboard: {error.name} is not installed; {way}") from None
    store = Store(study_folder)
    mirror = Mirror(store.frozen().study, store, url)

    @functools.lru_cache(maxsize=1)
    def pages(_remade: int) -> tuple[BaseStorage, Application]:
        with quiet():
            storage = titled(mirror.storage())
            return storage, wsgi(storage, artifact_store=mirror.artifacts())

    def optunas(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return pages(mirror.remade)[1](environ, start_response)

    def study_id() -> int | None:
        try:
            return pages(mirror.remade)[0].get_study_id_from_name(mirror.study.results_name)
        except KeyError:
            return None

    with mirror.followed(announce):
        guarded = RequestGuard(FirstPages(store, optunas, study_id), edits=edits)
        with _listening(Server((ADDRESS, port), guarded, numthreads=THREADS, server_name="localhost"), port) as server:
            yield server


@contextmanager
def _listening(server: Server, port: int) -> Iterator[Server]:
    server.max_request_header_size, server.max_request_body_size = MOST_HEADER_BYTES, MOST_BODY_BYTES
    try:
        with socket.create_server((ADDRESS, port)):
            pass  # Cheroot would leave the socket open where the port is taken, and say so in words of its own.
        server.prepare()
    except OSError as error:
        raise HarnessError(f"--port {port}: {error.strerror or error}; 0 takes a free one") from error
    try:
        yield server
    finally:
        server.stop()


def address(server: Server) -> str:
    """Return the URL of a server's root."""
    return f"http://{ADDRESS}:{server.bind_addr[1]}"
