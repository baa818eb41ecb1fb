"""The session that asks for known weaknesses: found, none, unknown to the service, or not reached."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
WEAK = {"name": "weak", "version": "2.0", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


class Session:
    """As nox's, with an answer in the place of the service's."""

    posargs = ()

    def __init__(self, folder: Path, answer: list[dict[str, Any]] | None) -> None:
        self.folder, self.answer, self.logged = folder, answer, ""

    def create_tmp(self) -> str:
        return str(self.folder)

    def run(self, *words: str, **_: Any) -> str:
        if "-o" in words and self.answer is not None:
            Path(words[words.index("-o") + 1]).write_text(json.dumps({"dependencies": self.answer}), encoding="utf-8")
        return ""

    def log(self, text: str) -> None:
        self.logged = text

    def error(self, text: str) -> None:
        raise RuntimeError(text)

    def skip(self, text: str) -> None:
        raise LookupError(text)


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("noxfile", Path(__file__).parents[2] / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.audit.func


def test_a_known_weakness_fails_and_is_named(audit: Any, tmp_path: Path) -> None:
    session = Session(tmp_path, [SOUND, WEAK, UNKNOWN])
    with pytest.raises(RuntimeError, match="2 known weaknesses"):
        audit(session)
    lines = ["2 of 3 packages audited", "weak 2.0: CVE-1", "weak 2.0: CVE-2", "unknown: not found"]
    assert session.logged.splitlines() == lines


def test_a_package_that_the_service_does_not_know_is_named_and_the_rest_is_audited(audit: Any, tmp_path: Path) -> None:
    session = Session(tmp_path, [SOUND, UNKNOWN])
    audit(session)
    assert session.logged.splitlines() == ["1 of 2 packages audited", "unknown: not found"]


def test_where_the_service_knows_nothing_the_audit_is_skipped_and_not_passed(audit: Any, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="nothing was audited"):
        audit(Session(tmp_path, [UNKNOWN]))


def test_where_the_service_is_not_reached_the_audit_is_skipped_also_after_an_answer_of_before(
    audit: Any, tmp_path: Path
) -> None:
    (tmp_path / "answer.json").write_text('{"dependencies": []}', encoding="utf-8")
    with pytest.raises(LookupError, match=r"nothing was audited: .* was not reached"):
        audit(Session(tmp_path, None))
