"""The page that the dashboard opens on: the study's verdicts first, then the ways into Optuna's pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from importlib.resources import files

from harness.dashboard.note import CAUTIONS, verdict_in_short
from harness.dashboard.request_guard import Application, Environ, StartResponse
from harness.errors import HarnessError
from harness.metrics.catalogue import metric_named
from harness.provenance import VERSION
from harness.report.curves import course
from harness.report.drawing import Figure
from harness.report.figures import paired
from harness.report.forest import forest
from harness.report.verdict_tables import described, headline
from harness.report.write import rendered
from harness.results.running import running
from harness.results.store import Store
from harness.statistics.sentences import contrast_rows
from harness.verdicts.judge import StudyVerdicts, judge_stored

OPTUNAS = (
    ("figures", ""),
    ("trials", "/trials"),
    ("table", "/trialTable"),
    ("artifacts and selection", "/smartSelection"),
    ("note", "/note"),
)
"""Optuna's pages of a study, by what they show, and their addresses behind the study's own."""

SHOWN = 5
"""Columns of the table of verdicts that are shown: arm, verdict, change, interval, pairs; the report has all."""


class FirstPages:
    """A WSGI application that answers `/` and `/report` from the stored rows, and hands on everything else."""

    def __init__(self, store: Store, others: Application, study_id: Callable[[], int | None]) -> None:
        """Put the pages before an application.

        Args:
            store: The study's results.
            others: Optuna's dashboard.
            study_id: Gives the study's number in Optuna's addresses; None while its storage is made anew.
        """
        self.store, self.others, self.study_id = store, others, study_id
        self._lock = threading.Lock()
        self._shown: dict[str, tuple[object, str]] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "").rstrip("/")
        if path not in ("", "/report") or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self.others(environ, start_response)
        status, kind = "200 OK", "text/html"
        try:
            text = self._current(path)
        except HarnessError as error:
            status, kind, text = "503 Service Unavailable", "text/plain", f"{error}\n"
        body = text.encode()
        start_response(status, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _current(self, path: str) -> str:
        """Return a page of the rows as they are now, made again only where they or the addresses changed."""
        with self._lock:  # Drawing changes settings of the whole process.
            now = len(running(self.store.folder))
            seen = self.store.digest(), self.study_id(), now
            known = self._shown.get(path)
            if known is not None and known[0] == seen:
                return known[1]
            _, verdicts = judge_stored(self.store)
            text = rendered(verdicts, "html") if path else first_page(verdicts, seen[1], now)
            self._shown[path] = seen, text
            return text


def first_page(verdicts: StudyVerdicts, study_id: int | None, running_now: int) -> str:
    """Return the page: verdicts, why Optuna's figures are not the answer, and the figures that are; no script."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    study, analysis = verdicts.study, verdicts.primary
    head, *rows = [()] if analysis is None else contrast_rows(analysis.to_dict())
    metric = metric_named(study.measure.primary)
    drawn: Iterable[Figure | None] = (part(verdicts) for part in (forest, paired, course))
    template = environment.from_string((files("harness.dashboard") / "first_page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        name=study.results_name,
        question=study.question or "",
        verdict=verdict_in_short(verdicts),
        pages=[] if study_id is None else [(name, f"/dashboard/studies/{study_id}{end}") for name, end in OPTUNAS],
        sound=verdicts.sound,
        head=head[:SHOWN],
        rows=[row[:SHOWN] for row in rows],
        running=running_now,
        headline=headline(verdicts),
        done=verdicts.trials_done,
        planned=verdicts.trials_planned,
        measured=f"{metric.name}: {metric.unit}." if analysis is None else described(analysis),
        cautions=CAUTIONS,
        figures=[figure for figure in drawn if figure is not None],
        style=Markup((files("harness.report") / "page.css").read_text(encoding="utf-8")),
        version=VERSION,
    )
