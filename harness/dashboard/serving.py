"""The dashboard's server, on this machine only."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from harness.dashboard.mirror import Mirror, quiet
from harness.errors import HarnessError, MissingExtraError, StoreError
from harness.results.store import Store


def serve(
    study_folder: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    url: str | None = None,
    announce: Callable[[str], object] = lambda _: None,
) -> None:
    """Open the Optuna dashboard on a study until it is interrupted; the mirror is brought up to date before.

    Args:
        study_folder: A study's results.
        host: An address of this machine's loopback: the dashboard lets anybody who reaches it change things.
        port: 0 takes a free one.
        url: The mirror's storage where it is not the journal.
        announce: Told one line with the address.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
        StoreError: The folder holds no study.
        HarnessError: The address is not this machine's own, or the port is taken.
    """
    with opened(study_folder, host, port, url=url) as server:
        announce(f"http://{host}:{server.server_port}/dashboard/ (Ctrl-C stops it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


@contextmanager
def opened(
    study_folder: Path, host: str = "127.0.0.1", port: int = 0, *, url: str | None = None
) -> Iterator[WSGIServer]:
    """Give the dashboard's HTTP server, bound and ready to serve; arguments and errors as of `serve`."""
    if not _loopback(host):
        raise HarnessError(
            f"--host {host}: not this machine's own address; use 127.0.0.1, and `ssh -L` to see it from elsewhere"
        )
    try:
        with quiet():
            from optuna_dashboard import wsgi
    except ImportError:
        way = "pip install 'gan-ablation-harness[dashboard]'"
        raise MissingExtraError(f"dashboard: optuna-dashboard is not installed; {way}") from None
    store = Store(study_folder)
    mirror = Mirror(store.frozen().study, store, url)
    try:
        with store.held():
            mirror.sync()
    except StoreError:
        # A driver at work keeps the mirror itself; there is something to show once it has begun one.
        if url is None and not mirror.journal.exists():
            raise
    with quiet():
        app = wsgi(mirror.storage(), artifact_store=mirror.artifacts())
    try:
        server = make_server(host, port, app, handler_class=_Silent)
    except OSError as error:
        raise HarnessError(f"--port {port}: {error.strerror}; 0 takes a free one") from error
    with server:
        yield server


class _Silent(WSGIRequestHandler):
    """Answers without a line on standard error for each request."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
