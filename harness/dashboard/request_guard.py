"""Which requests reach the dashboard: its own pages' on this machine, and only reading ones unless said otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

READING = frozenset({"GET", "HEAD", "OPTIONS"})
HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
"""Names under which a browser on this machine, or at the end of an SSH tunnel, reaches the dashboard."""
HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class RequestGuard:
    """A WSGI application that passes on what is allowed and answers everything else itself, with 403.

    A web page whose name resolves to 127.0.0.1 (DNS rebinding) sends its own name as Host; a page elsewhere that
    posts a form here sends its own Origin. Neither is let through.
    """

    def __init__(self, application: Application, *, edits: bool) -> None:
        """Guard an application.

        Args:
            application: What is served.
            edits: Let pages of the dashboard itself write.
        """
        self.application = application
        self.edits = edits

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        reason = self._refusal(environ)
        if reason is not None:
            body = f"{reason}\n".encode()
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *HEADERS]
            start_response("403 Forbidden", headers)
            return [body]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *HEADERS], *rest)

        return self.application(environ, start)

    def _refusal(self, environ: Environ) -> str | None:
        """Return why a request is refused, or None."""
        host = environ.get("HTTP_HOST", "").lower()
        if not HOST.fullmatch(host):
            return "this dashboard answers as 127.0.0.1, localhost or [::1] only"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.lower() != f"http://{host}":
            return "this dashboard answers its own pages only"
        if environ["REQUEST_METHOD"] in READING:
            return None
        if not self.edits:
            return "this dashboard is read-only; start it with --allow-edits to change the mirror"
        return None if origin is not None else "this dashboard takes changes from its own pages only"
