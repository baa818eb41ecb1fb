"""The JSON documents of the commands by name and version; their JSON Schemas are published in docs/schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from harness.cli.study_documents import (
    AnswersDocument,
    DiffDocument,
    InitDocument,
    MatchingDocument,
    MergeDocument,
    OverviewDocument,
    PilotDocument,
    PlanDocument,
    PublishDocument,
    ReportDocument,
    RunDocument,
    StatusDocument,
)
from harness.cli.tool_documents import (
    CompareDocument,
    DashboardDocument,
    DoctorDocument,
    ErrorDocument,
    EventDocument,
    ExplainDocument,
    GpuDocument,
    MatchDocument,
    ScoreDocument,
    SimulateDocument,
)

DOCUMENTS: Mapping[str, Any] = {
    "init": InitDocument,
    "run": RunDocument,
    "plan": PlanDocument,
    "pilot": PilotDocument,
    "matching": MatchingDocument,
    "report": ReportDocument,
    "overview": OverviewDocument,
    "diff": DiffDocument,
    "status": StatusDocument,
    "merge": MergeDocument,
    "publish": PublishDocument,
    "answers": AnswersDocument,
    "compare": CompareDocument,
    "match": MatchDocument,
    "score": ScoreDocument,
    "simulate": SimulateDocument,
    "doctor": DoctorDocument,
    "gpu": GpuDocument,
    "explain": ExplainDocument,
    "dashboard": DashboardDocument,
    "error": ErrorDocument,
    "event": EventDocument,
}
"""By name; `schema` in a document is its name and version."""
VERSIONS: Mapping[str, int] = dict.fromkeys(DOCUMENTS, 1)
"""A further key keeps a version; one that goes, or means something else, raises it, with a line in CHANGELOG.md."""


def versioned(name: str) -> str:
    """Return what a document calls its schema, such as `run/1`."""
    return f"{name}/{VERSIONS[name]}"


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    schema = TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization")
    schema["properties"]["schema"]["const"] = versioned(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{versioned(name)}.json",
        **schema,
    }
